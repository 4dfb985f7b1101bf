"""Workbooks to Markdown: a heading and a table for each sheet. Runs in the worker process only.

Cells are what the workbook says: an empty one is empty, "NA" is a text, and 3 is no 3.0 because of a gap above it, as
it is in a data frame, by which converters commonly read workbooks.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, BinaryIO

from python_calamine import CalamineWorkbook, SheetTypeEnum


def markdown(document: BinaryIO) -> str:
    workbook = CalamineWorkbook.from_filelike(document)
    sheets = [each.name for each in workbook.sheets_metadata if each.typ is SheetTypeEnum.WorkSheet]
    return "\n\n".join(f"## {name}\n{''.join(_table(workbook.get_sheet_by_name(name).to_python()))}" for name in sheets)


def _table(rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """The first row that holds anything is the heading; rows that hold nothing are left out."""
    begun = False
    for row in rows:
        cells = [_text(value) for value in row]
        if any(cells):
            yield f"| {' | '.join(cells)} |\n"
            if not begun:
                yield f"|{' --- |' * len(cells)}\n"
                begun = True


def _text(value: Any) -> str:
    match value:
        case float() if value.is_integer():
            return str(int(value))
        case datetime():
            return value.isoformat(" ")
        case _:
            return " ".join(str(value).replace("|", "\\|").split())
