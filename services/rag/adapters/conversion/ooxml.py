"""Shared reading of DOCX and PPTX: parts, equations, charts, diagrams. Runs in the worker process only.

Elements are told by their local names, for Office writes each in two namespaces (transitional and strict).
"""

import posixpath
import zipfile
from collections.abc import Iterator
from typing import IO, Any, BinaryIO
from urllib.parse import unquote
from xml.etree import ElementTree

from lxml import etree

Element = Any
"""lxml's elements come without useful types."""

_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_WITH_PROPERTIES = frozenset({"acc", "bar", "d", "f", "groupChr"})


class Package:
    """The parts of a document, and which part refers to which."""

    def __init__(self, file: BinaryIO) -> None:
        self._archive = zipfile.ZipFile(file)
        self.names = self._archive.namelist()
        self._by_lower = {name.lower(): name for name in self.names}

    def read(self, name: str) -> bytes | None:
        there = self._by_lower.get(name.lower())
        return None if there is None else self._archive.read(there)

    def open(self, name: str) -> IO[bytes]:
        """Raises KeyError."""
        return self._archive.open(self._by_lower[name.lower()])

    def main(self) -> str:
        """The name of the document's own part. Raises KeyError."""
        targets = dict(self.related("").values())
        return self._by_lower[targets.get("officeDocument", "word/document.xml").lower()]

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """Return the type and name of the parts that a part refers to, by id. Leaves out references out of the
        document."""
        folder, base = posixpath.split(name)
        content = self.read(posixpath.join(folder, "_rels", f"{base}.rels"))
        found = {}
        for each in () if content is None else parse(content):
            if each.get("TargetMode") != "External" and each.get("Target"):
                target = posixpath.normpath(posixpath.join("/", folder, unquote(each.get("Target"))))
                found[each.get("Id")] = (each.get("Type", "").rpartition("/")[2], target.lstrip("/"))
        return found


def parse(content: bytes) -> Element:
    """Raises etree.XMLSyntaxError, or RecursionError where it is nested too deeply for the parser."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        if "depth" in str(error):
            raise RecursionError from error
        raise


def local(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def attribute(element: Element, name: str) -> str | None:
    """Return an attribute by its local name, in whichever namespace."""
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), None)


def every(element: Element, *names: str) -> Iterator[Element]:
    """Itself and those in it that are called so."""
    return (each for each in element.iter() if local(each) in names)


def child(element: Element, name: str) -> Element | None:
    return next((each for each in element if local(each) == name), None)


def unwrap(element: Element) -> None:
    """Put its children in its place."""
    parent = element.getparent()
    at = parent.index(element)
    parent[at : at + 1] = list(element)


def resolve_alternates(root: Element) -> None:
    """Take of every AlternateContent what current programs show, which is the first choice."""
    for each in list(every(root, "AlternateContent")):
        choice = child(each, "Choice")
        if choice is None:
            choice = child(each, "Fallback")
        each[:] = [] if choice is None else list(choice)
        unwrap(each)


def latex(equation: Element) -> str:
    """An oMath or oMathPara in LaTeX; its words, where it cannot be told in it."""
    from markitdown.converter_utils.docx.math.omml import oMath2Latex  # only where there is an equation

    told = []
    for each in every(equation, "oMath"):
        try:
            told.append(str(oMath2Latex(_transitional(each)).latex))
        except Exception:  # of any type, and better its words than nothing
            told.append("".join(text.text or "" for text in every(each, "t")))
    formula = " ".join(" ".join(told).split())
    return f"$${formula}$$" if local(equation) == "oMathPara" else f"${formula}$"


def _transitional(equation: Element) -> ElementTree.Element:
    """A copy for the standard library, which the converter works with, in the namespace that it knows and with the
    properties that it takes for granted."""
    name = local(equation)
    copy = ElementTree.Element(_MATH + name if "officeDocument/math" in equation.tag else equation.tag)
    copy.attrib.update({_MATH + key.rpartition("}")[2]: value for key, value in equation.attrib.items()})
    copy.text = equation.text
    if name in _WITH_PROPERTIES and child(equation, f"{name}Pr") is None:
        copy.append(ElementTree.Element(f"{_MATH}{name}Pr"))
    copy.extend(_transitional(each) for each in equation if isinstance(each.tag, str))
    return copy


def text(paragraph: Element) -> str:
    """Return the text of a DrawingML paragraph: runs, breaks, fields and equations."""
    told = []
    for each in paragraph:
        match local(each):
            case "r" | "fld":
                told += [part.text or "" for part in every(each, "t")]
            case "br":
                told.append("\n")
            case "m":
                told.append(latex(each))
    return "".join(told)


def texts(element: Element) -> list[str]:
    """The DrawingML paragraphs in it that hold anything."""
    found = [text(each).strip() for each in every(element, "p")]
    return [each for each in found if each]


def diagram(model: bytes) -> list[str]:
    """The texts of a SmartArt graphic."""
    return [each for point in every(parse(model), "pt") for each in texts(point)]


def chart(content: bytes) -> tuple[str, list[list[str]]]:
    """Title and table of a chart: a row for each category, a column for each series, as the document keeps them."""
    root = parse(content)
    titles = [" ".join(texts(each)) for each in every(root, "title")]
    series = list(every(root, "ser"))
    names = [next(iter(_values(child(each, "tx")).values()), "") for each in series]
    columns = [_values(_first(each, "val", "yVal")) for each in series]
    categories = dict[int, str]()
    for each in series:
        categories |= _values(_first(each, "cat", "xVal"))
    rows = sorted({at for column in [categories, *columns] for at in column})
    body = [[categories.get(at, ""), *(column.get(at, "") for column in columns)] for at in rows]
    return ", ".join(filter(None, titles)), [["", *names], *body] if series else []


def _first(series: Element, *names: str) -> Element | None:
    return next((found for name in names if (found := child(series, name)) is not None), None)


def _values(element: Element | None) -> dict[int, str]:
    """Return the values of a series' part, by their index."""
    if element is None:
        return {}
    points = {int(each.get("idx", 0)): "".join(v.text or "" for v in every(each, "v")) for each in every(element, "pt")}
    return points or {0: "".join(each.text or "" for each in every(element, "v"))}
