"""PPTX to Markdown. Runs in the worker process only."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pptx

from services.rag.adapters.conversion import ooxml
from services.rag.adapters.conversion.document_tables import cell, table

_SAME_HEIGHT = 0.25
"""Part of its own height by which a shape may lie lower and still stand beside another."""


def document(file: BinaryIO, at_most: int) -> str:
    presentation = pptx.Presentation(file)
    return "\n\n".join(_slide(number + 1, slide) for number, slide in enumerate(presentation.slides))


def _slide(number: int, slide: Any) -> str:
    """Convert a slide: its shapes from top to bottom and left to right, and its notes."""
    ooxml.resolve_alternates(slide._element)
    hidden = " (hidden)" if slide._element.get("show") in ("0", "false") else ""
    told = [f"<!-- Slide number: {number}{hidden} -->"]
    title = slide.shapes.title
    for shape in _in_order(slide.shapes):
        told += _shape(shape, shape == title)
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None:
        notes = _text(frame)
        told += [f"\n### Notes:\n{notes}"] if notes else []
    return "\n".join(told)


def _in_order(shapes: Iterable[Any]) -> Iterator[Any]:
    """Line by line, for shapes that stand beside each other seldom begin at quite the same height."""
    left = sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0))
    while left:
        lowest = (left[0].top or 0) + _SAME_HEIGHT * (left[0].height or 0)
        line = [shape for shape in left if (shape.top or 0) <= lowest]
        left = left[len(line) :]
        yield from sorted(line, key=lambda shape: shape.left or 0)


def _shape(shape: Any, is_title: bool) -> Iterator[str]:
    if ooxml.local(shape._element) == "grpSp":
        for each in _in_order(shape.shapes):
            yield from _shape(each, False)
    elif getattr(shape, "has_table", False):
        yield _table(shape.table)
    elif shape.has_text_frame:
        text = _text(shape.text_frame)
        if text:
            yield f"# {' '.join(text.split())}" if is_title else text
    else:
        yield from _drawn(shape)


def _drawn(shape: Any) -> Iterator[str]:
    """A chart, a diagram or a picture."""
    for each in ooxml.every(shape._element, "chart", "relIds"):
        is_chart = ooxml.local(each) == "chart"
        part = _related(shape, ooxml.attribute(each, "id" if is_chart else "dm"))
        if part is not None:
            yield _chart(part.blob) if is_chart else "\n".join(ooxml.diagram(part.blob))
    for each in ooxml.every(shape._element, "cNvPr"):
        if alternative := " ".join((each.get("descr") or "").split()):
            yield alternative
        break


def _related(shape: Any, id: str | None) -> Any:
    try:
        return shape.part.related_part(id)
    except KeyError:
        return None


def _text(frame: Any) -> str:
    return "\n".join(ooxml.text(paragraph._p) for paragraph in frame.paragraphs).strip()


def _table(cells: Any) -> str:
    """A cell that spans others stands at its first place, and the rest is empty."""
    rows = [[cell("" if each.is_spanned else _text(each.text_frame)) for each in row.cells] for row in cells.rows]
    return f"\n{table(rows, max(map(len, rows), default=0))}\n"


def _chart(content: bytes) -> str:
    title, rows = ooxml.chart(content)
    values = [[cell(each) for each in row] for row in rows]
    return f"\n### Chart: {title}\n\n{table(values, max(map(len, values), default=0))}\n"
