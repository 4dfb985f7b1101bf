"""Markdown tables. Runs in the worker process only."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

_PIPE = re.compile(r"(?<!\\)(\\*)\|")

Rows = Iterable[Sequence[str]]
Sparse = dict[int, str]
"""The cells of a row that hold anything, by their columns."""


class TooLong(Exception):
    """The Markdown would be longer than is allowed."""


def cell(text: str) -> str:
    """Text as it stands in a cell: on one line, with its pipes escaped."""
    return _PIPE.sub(lambda found: found[1] * 2 + r"\|", " ".join(text.split()))


def table(rows: Rows, width: int, at_most: int | None = None) -> str:
    """A table of these cells, each escaped already; the first row is the heading. Rows are filled up to `width`. Raises
    TooLong where it would take more than `at_most` characters."""
    lines, left = list[str](), at_most
    for line in _lines(rows, width):
        lines.append(line)
        if left is not None:
            left -= len(line) + 1
            if left < 0:
                raise TooLong
    return "\n".join(lines)


def sparse_table(rows: Sequence[Sparse], at_most: int | None = None) -> str:
    """A table of these cells, each escaped already. Of empty columns beside each other one stays, and none at the
    sides. Raises TooLong."""
    places, width = _places({column for row in rows for column in row})
    return table((_filled(row, places, width) for row in rows), width, at_most)


def _places(columns: Iterable[int]) -> tuple[dict[int, int], int]:
    """Return each column's position in the table, and the table's width."""
    used = sorted(columns)
    places, width = dict[int, int](), 0
    for before, column in pairwise([*used[:1], *used]):
        width += column - before > 1
        places[column] = width
        width += 1
    return places, width


def _filled(row: Sparse, places: dict[int, int], width: int) -> list[str]:
    cells = [""] * width
    for column, text in row.items():
        cells[places[column]] = text
    return cells


def _lines(rows: Rows, width: int) -> Iterator[str]:
    rule = "| " + " | ".join(["---"] * width) + " |"
    for at, row in enumerate(rows):
        yield "| " + " | ".join([*row, *[""] * (width - len(row))]) + " |"
        if at == 0:
            yield rule
