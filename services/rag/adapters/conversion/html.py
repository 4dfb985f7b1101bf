"""HTML to Markdown. Runs in the worker process only."""

import re
import sys
from functools import partial
from itertools import takewhile
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from bs4 import BeautifulSoup, Tag
from bs4.builder._lxml import LXMLTreeBuilder
from bs4.element import PageElement
from lxml import etree
from markdownify import ATX, MarkdownConverter

from services.rag.adapters.conversion import encodings
from services.rag.adapters.conversion.document_tables import Sparse, cell, sparse_table

_UNSEEN = ("script", "style", "template", "noscript", "head", "title", "object", "iframe", "datalist")
_NAVIGATION = frozenset({"navigation", "search"})
"""Roles of elements that lead to other pages: they stand on every page of a site, and say nothing of this one."""
_PERMALINK = re.compile(r"\s*[\u00b6#\u00a7\U0001f517]?\s*")
"""Text of a link from a heading to itself."""
_TABLE_PARTS = ("table", "thead", "tbody", "tfoot", "tr")
_IN_TABLES = frozenset({*_TABLE_PARTS[1:], "td", "th", "caption", "colgroup", "col"})
_HIDDEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))\b", re.I)
_SCHEMES = frozenset({"", "http", "https", "mailto", "tel", "ftp"})
_CONTROL = re.compile(r"[\x00-\x20]+")
_URL_SAFE = "%/:=&?~#+!$,;'@*[]"
_MAX_SPAN = 1000
_DEPTH = 20_000
"""Depth of calls: three for each element around another."""


def document(file: BinaryIO, at_most: int) -> str:
    return markdown(encodings.text(file, markup=True))


def markdown(text: str) -> str:
    """Convert what a browser would show of a page, without its navigation."""
    builder = LXMLTreeBuilder(parser=partial(etree.HTMLParser, huge_tree=True))
    soup = BeautifulSoup(text, builder=builder)
    for element in soup(_unseen):
        element.extract()
    _mend_tables(soup)
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(_DEPTH)
    try:
        return str(_Markdown(heading_style=ATX).convert_soup(soup))
    except RecursionError:  # its words are worth more than its structure
        return soup.get_text("\n", strip=True)
    finally:
        sys.setrecursionlimit(usual)


def _unseen(element: Tag) -> bool:
    return (
        element.name in _UNSEEN
        or element.name == "nav"
        or element.get("role") in _NAVIGATION
        or _is_permalink(element)
        or element.has_attr("hidden")
        or _HIDDEN.search(str(element.get("style", ""))) is not None
    )


def _is_permalink(element: Tag) -> bool:
    if element.name != "a" or not str(element.get("href", "")).startswith("#"):
        return False
    return element.find("img") is None and _PERMALINK.fullmatch(element.get_text()) is not None


def _mend_tables(soup: BeautifulSoup) -> None:
    """Mend tables as browsers do: cells without a row get one, without a table they are blocks, and what stands between
    cells stands before the table."""
    for each in soup(("td", "th", "tr")):
        if each.find_parent("table") is None:
            each.name = "div"
        elif each.name != "tr" and each.parent is not None and each.parent.name != "tr":
            row = soup.new_tag("tr")
            cells = [each, *takewhile(_is_cell, each.next_siblings)]
            each.insert_before(row)
            row.extend(cells)
    for part in soup(_TABLE_PARTS):
        table = part if part.name == "table" else part.find_parent("table")
        if table is None:
            continue
        for node in list(part.children):
            if node.name not in _IN_TABLES if isinstance(node, Tag) else str(node).strip():
                table.insert_before(node)


def _is_cell(node: PageElement) -> bool:
    return isinstance(node, Tag) and node.name in ("td", "th")


class _Markdown(MarkdownConverter):
    """Pictures are told by their alternative text where they lie in the document itself. Tables keep their columns."""

    def convert_a(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Links to what is no page, such as javascript:, are their text alone."""
        href = _url(el)
        if href:
            el["href"] = href
        else:
            del el["href"]
        return str(super().convert_a(el, text, parent_tags))

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        source = str(el.get("src") or "").strip()
        if source[:5].lower() == "data:":
            source = str(el.get("data-src") or "").strip()
        alternative = " ".join(str(el.get("alt") or "").split())
        if not source or source[:5].lower() == "data:" or "_inline" in parent_tags:
            return alternative
        return f"![{alternative}]({quote(source, safe=_URL_SAFE)})"

    def convert_input(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if el.get("type") == "checkbox":
            return "[x] " if el.has_attr("checked") else "[ ] "
        return ""

    def convert_u(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f"<u>{text}</u>" if text.strip() and "_noformat" not in parent_tags else text

    def convert_strike(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return str(self.convert_del(el, text, parent_tags))

    def convert_math(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return el.get_text()

    def convert_li(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f" {text.strip()} " if "_inline" in parent_tags else str(super().convert_li(el, text, parent_tags))

    def convert_list(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return text if "_inline" in parent_tags else str(super().convert_list(el, text, parent_tags))

    convert_ul = convert_list
    convert_ol = convert_list

    def convert_pre(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f" `{text.strip()}` " if "_inline" in parent_tags else str(super().convert_pre(el, text, parent_tags))

    def convert_option(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f" {text.strip()} "

    # A table is made from its cells' texts, which lie here by element until then

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        self._cells()[id(el)] = cell(text)
        return f"{text.strip()}, " if _in_cell(el) else ""

    convert_th = convert_td

    def convert_tr(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f"{text.strip().removesuffix(',')}; " if text.strip() else ""

    def convert_table(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if "_inline" in parent_tags:  # in a cell of another one
            return f" {text.strip().removesuffix(';')} "
        rows = _grid(el, self._cells())
        caption = el.find("caption", recursive=False)
        above = f"{' '.join(caption.get_text().split())}\n\n" if isinstance(caption, Tag) else ""
        return f"\n\n{above}{sparse_table(rows)}\n\n"

    def convert_caption(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return ""

    def _cells(self) -> dict[int, str]:
        cells: dict[int, str] = self.__dict__.setdefault("cells", {})
        return cells


def _in_cell(element: Tag) -> bool:
    """Return whether the element is in a table that is in a cell itself."""
    outer = element.find_parent("table")
    return outer is not None and outer.find_parent(("td", "th")) is not None


def _grid(element: Tag, texts: dict[int, str]) -> list[Sparse]:
    """The rows of a table, each cell in its own column. One that spans others stands at its first place."""
    lines = [line for line in element.find_all("tr") if line.find_parent("table") is element]
    rows, busy = list[Sparse](), dict[int, int]()
    """`busy`: for how many rows more a column belongs to a cell above."""
    for left, line in zip(range(len(lines), 0, -1), lines, strict=True):
        row, x, began = Sparse(), 0, dict[int, int]()
        for each in line.find_all(("td", "th"), recursive=False):
            while x in busy:
                x += 1
            if text := texts.get(id(each)):
                row[x] = text
            down = min(_span(each, "rowspan") or left, left)
            for _ in range(_span(each, "colspan") or 1):
                began[x] = down
                x += 1
        busy = {x: more - 1 for x, more in {**busy, **began}.items() if more > 1}
        rows.append(row)
    return [row for row in rows if row]


def _span(element: Tag, name: str) -> int:
    value = str(element.get(name, "1")).strip()
    return min(int(value), _MAX_SPAN) if value.isascii() and value.isdigit() else 1


def _url(element: Tag) -> str:
    """Return the address that it links to; empty: none that can be followed."""
    href = str(element.get("href") or "").strip()
    try:
        scheme = urlsplit(_CONTROL.sub("", href)).scheme
    except ValueError:
        return ""
    return quote(href, safe=_URL_SAFE) if scheme.lower() in _SCHEMES else ""
