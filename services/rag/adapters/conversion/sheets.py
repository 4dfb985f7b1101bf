"""XLSX to Markdown: a heading and a table for each sheet. Runs in the worker process only.

What a sheet costs is what stands in it, however far apart it stands: empty rows are left out, and of empty columns
beside each other one stays. Hidden sheets are marked.
"""

from collections.abc import Iterator
from typing import BinaryIO

from services.rag.adapters.conversion import ooxml
from services.rag.adapters.conversion.document_tables import cell, sparse_table, table
from services.rag.adapters.conversion.ooxml import Package
from services.rag.adapters.conversion.workbook import Workbook


def document(file: BinaryIO, at_most: int) -> str:
    """Empty where no sheet holds anything."""
    workbook = Workbook(file)
    told, found, left = list[str](), False, at_most
    for sheet in workbook.sheets:
        rows = [{column: cell(text) for column, text in row.items()} for row in workbook.rows(sheet)]
        parts = [f"## {sheet.name}{' (hidden)' if sheet.hidden else ''}"]
        parts += [sparse_table(rows, left)] if rows else []
        parts += _drawings(workbook.package, sheet.part)
        found = found or len(parts) > 1
        told.append("\n".join(parts))
        left -= len(told[-1])
    return "\n\n".join(told) if found else ""


def _drawings(package: Package, sheet: str) -> Iterator[str]:
    """The charts and the texts of shapes that lie on a sheet."""
    for type, part in package.related(sheet).values():
        content = package.read(part) if type == "drawing" else None
        if content is None:
            continue
        root = ooxml.parse(content)
        ooxml.resolve_alternates(root)
        for body in ooxml.every(root, "txBody"):
            yield from (f"\n{text}" for text in ooxml.texts(body))
        for kind, target in package.related(part).values():
            if kind == "chart":
                yield f"\n{chart(package.read(target))}"


def chart(content: bytes | None) -> str:
    """Convert a chart: its heading and its table."""
    if content is None:
        return ""
    title, rows = ooxml.chart(content)
    cells = [[cell(each) for each in row] for row in rows]
    return f"### Chart: {title}\n\n{table(cells, max(map(len, cells), default=0))}\n"
