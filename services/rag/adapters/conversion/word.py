"""DOCX to Markdown, by mammoth and HTML. Runs in the worker process only.

mammoth leaves out what it does not know, text and all. So the document's XML is first put into the words that it knows:
whatever else is around text is taken away, and what is drawn is told in paragraphs and tables.
"""

import io
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

import mammoth  # type: ignore[import-untyped]
from lxml import etree
from mammoth.docx.dingbats import dingbats  # type: ignore[import-untyped]

from services.rag.adapters.conversion import html, ooxml
from services.rag.adapters.conversion.ooxml import Element, Package, attribute, child, every, local

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_KNOWN = frozenset(
    {
        *("document", "body", "p", "r", "t", "tbl", "tr", "tc", "ins", "hyperlink", "sdt", "sdtContent", "smartTag"),
        *("footnotes", "footnote", "endnotes", "endnote", "comments", "comment", "hdr", "ftr", "tab", "br", "sym"),
        *("noBreakHyphen", "softHyphen", "footnoteReference", "endnoteReference", "commentReference", "instrText"),
        *("fldChar", "bookmarkStart"),
    }
)
_WHOLE = frozenset({"rPr", "pPr", "tblPr", "tblGrid", "trPr", "tcPr", "sdtPr", "sectPr", "fldChar", "instrText"})
"""Properties: nothing in them is shown."""
_GONE = frozenset({"del", "moveFrom", "delText", "delInstrText", "annotationRef", "footnoteRef", "endnoteRef"})
_RENAMED = {"moveTo": "ins", "moveFrom": "del", "dstrike": "strike", "cr": "br", "ptab": "tab"}
_DRAWN = ("drawing", "pict", "object")
_STORIES = ("footnotes", "endnotes", "comments")
_MATH_STYLE = "PorticoMath"
_STYLE_MAP = f"u => u\nr.{_MATH_STYLE} => math\ncomment-reference => sup"


def document(file: BinaryIO, at_most: int) -> str:
    package = Package(file)
    shown = mammoth.convert_to_html(_simplified(package), style_map=_STYLE_MAP).value
    return html.markdown(shown)


def _simplified(package: Package) -> BinaryIO:
    """The document in mammoth's words. Pictures and what else no text stands in is left out."""
    main = package.main()
    related = package.related(main)
    stories = {main, *(part for type, part in related.values() if type in _STORIES)}
    styles = next((part for type, part in related.values() if type == "styles"), "")
    out = io.BytesIO()
    hidden = set[str]()
    with zipfile.ZipFile(out, "w") as made:
        if (content := package.read(styles)) is not None:
            root = ooxml.parse(content)
            hidden = _repaired_styles(root)
            made.writestr(styles, etree.tostring(root))
        for name in package.names:
            content = package.read(name)
            if content is None or name == styles or not name.endswith((".xml", ".rels")):
                continue
            if name in stories:
                story = _Story(package, name, hidden)
                content = story.simplified(content, with_margins=name == main)
            made.writestr(name, content)
    out.seek(0)
    return out


def _repaired_styles(root: Element) -> set[str]:
    """Make mammoth read styles that lack what it needs, and give those by which text is hidden."""
    hidden = set[str]()
    for style in list(every(root, "style")):
        if attribute(style, "styleId") is None:
            style.getparent().remove(style)
            continue
        if attribute(style, "type") is None:
            style.set(f"{_W}type", "paragraph")
        if _is_on(child(style, "rPr"), "vanish"):
            hidden.add(attribute(style, "styleId") or "")
    return hidden


def _is_on(properties: Element | None, name: str) -> bool:
    found = None if properties is None else child(properties, name)
    return found is not None and attribute(found, "val") not in ("0", "false", "off")


class _Story:
    """One part of the document with text of its own."""

    def __init__(self, package: Package, name: str, hidden_styles: set[str]) -> None:
        self._package = package
        self._related = package.related(name)
        self._hidden_styles = hidden_styles

    def simplified(self, content: bytes, *, with_margins: bool) -> bytes:
        """`with_margins`: headers and footers stand before and after the text, each once."""
        root = ooxml.parse(content)
        margins = list(self._margins(root)) if with_margins else []
        self._simplify(root)
        body = child(root, "body")
        if body is not None:
            for kind, blocks in reversed(margins):
                if kind == "header":
                    body[:0] = blocks
            for kind, blocks in margins:
                if kind == "footer":
                    body.extend(blocks)
        return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True))

    def _margins(self, root: Element) -> Iterator[tuple[str, list[Element]]]:
        seen = set[tuple[str, str]]()
        for each in list(every(root, "headerReference", "footerReference")):
            kind, part = self._related.get(attribute(each, "id") or "", ("", ""))
            content = self._package.read(part)
            if content is None:
                continue
            margin = ooxml.parse(content)
            _Story(self._package, part, self._hidden_styles)._simplify(margin)
            for link in list(every(margin, "hyperlink")):  # its targets are the margin's own
                ooxml.unwrap(link)
            text = "".join(each.text or "" for each in every(margin, "t")).strip()
            if text and (kind, text) not in seen:
                seen.add((kind, text))
                yield kind, list(margin)

    def _simplify(self, root: Element) -> None:
        ooxml.resolve_alternates(root)
        for each in list(every(root, *_RENAMED)):
            each.tag = _W + _RENAMED[local(each)]
        for each in list(every(root, "oMathPara", "oMath")):
            if each.getparent() is not None and local(each.getparent()) != "oMathPara":
                each.getparent().replace(each, _run(ooxml.latex(each), _MATH_STYLE))
        for each in list(every(root, "p")):
            self._tell_drawings(each)
        for each in list(every(root, "ruby")):
            _tell_ruby(each)
        for each in list(every(root, "sym")):
            _tell_symbol(each)
        for each in list(every(root, "r")):
            if self._is_hidden(each):
                each.getparent().remove(each)
        for each in list(every(root, "tr")):
            _fill_gap(each)
        _keep_known(root)

    def _is_hidden(self, run: Element) -> bool:
        properties = child(run, "rPr")
        if properties is not None and child(properties, "vanish") is not None:
            return _is_on(properties, "vanish")
        style = None if properties is None else child(properties, "rStyle")
        return style is not None and attribute(style, "val") in self._hidden_styles

    def _tell_drawings(self, paragraph: Element) -> None:
        """Write the drawings of a paragraph behind it."""
        after = paragraph
        for drawn in [each for each in every(paragraph, *_DRAWN) if _nearest(each, "p") is paragraph]:
            for block in list(self._blocks(drawn)):
                after.addnext(block)
                after = block
            alternative = next((each.get("descr") for each in every(drawn, "docPr") if each.get("descr")), "")
            drawn.getparent().replace(drawn, _element("t", " ".join(alternative.split())))

    def _blocks(self, drawn: Element) -> Iterator[Element]:
        for each in drawn.iter():
            match local(each):
                case "txbxContent":
                    if _nearest(each, "txbxContent", within=drawn) is None:
                        yield from list(each)
                case "p" if each.tag != f"{_W}p" and "drawingml" in each.tag:
                    yield _paragraph(ooxml.text(each))
                case "chart":
                    if (content := self._part(attribute(each, "id"))) is not None:
                        title, rows = ooxml.chart(content)
                        yield from (_paragraph(title), _table(rows))
                case "relIds":
                    if (content := self._part(attribute(each, "dm"))) is not None:
                        yield from map(_paragraph, ooxml.diagram(content))

    def _part(self, id: str | None) -> bytes | None:
        return self._package.read(self._related.get(id or "", ("", ""))[1])


def _nearest(element: Element, name: str, within: Element | None = None) -> Element | None:
    """The next one around it that is called so."""
    for each in element.iterancestors():
        if each is within:
            return None
        if local(each) == name:
            return each
    return None


def _keep_known(element: Element) -> None:
    """Take away what is deleted, and whatever mammoth does not know from around its content."""
    for each in list(element):
        name = local(each)
        if name in _GONE or not name:
            element.remove(each)
        elif name not in _WHOLE:
            _keep_known(each)
            if name not in _KNOWN:
                ooxml.unwrap(each)


def _fill_gap(row: Element) -> None:
    """An empty cell stands for the columns that a row leaves out before its first one."""
    properties = child(row, "trPr")
    gap = None if properties is None else child(properties, "gridBefore")
    width = "" if gap is None else attribute(gap, "val") or ""
    if width.isdigit() and int(width):
        empty = _element("tc")
        empty.append(_element("tcPr"))
        empty[0].append(_element("gridSpan"))
        empty[0][0].set(f"{_W}val", width)
        row.insert(row.index(properties) + 1, empty)


def _tell_ruby(ruby: Element) -> None:
    """Signs, and how they are read in parentheses."""
    base, reading = (
        "".join(text.text or "" for part in every(ruby, name) for text in every(part, "t"))
        for name in ("rubyBase", "rt")
    )
    ruby.getparent().replace(ruby, _element("t", f"{base} ({reading})" if reading else base))


def _tell_symbol(symbol: Element) -> None:
    """A character of an ordinary font; mammoth knows those of the fonts of signs."""
    font, code = attribute(symbol, "font"), int(attribute(symbol, "char") or "0", 16)
    if (font, code) not in dingbats and (font, code - 0xF000) not in dingbats:
        code = code - 0xF000 if 0xF000 <= code <= 0xF0FF else code
        symbol.getparent().replace(symbol, _element("t", chr(code) if code >= 0x20 else ""))


def _element(name: str, text: str = "") -> Element:
    made = etree.Element(_W + name)
    made.text = text or None
    return made


def _run(text: str, style: str = "") -> Element:
    run = _element("r")
    if style:
        run.append(_element("rPr"))
        run[0].append(_element("rStyle"))
        run[0][0].set(f"{_W}val", style)
    run.append(_element("t", text))
    return run


def _paragraph(text: str) -> Element:
    paragraph = _element("p")
    paragraph.append(_run(text))
    return paragraph


def _table(rows: list[list[str]]) -> Element:
    made = _element("tbl")
    for row in rows:
        line = etree.SubElement(made, f"{_W}tr")
        for text in row:
            etree.SubElement(line, f"{_W}tc").append(_paragraph(text))
    return made
