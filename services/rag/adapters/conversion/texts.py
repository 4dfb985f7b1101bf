"""Plain text and CSV to Markdown. Runs in the worker process only."""

import csv
import io
import itertools
import os
import re
import sys
from collections import Counter
from typing import BinaryIO

from services.rag.adapters.conversion import encodings
from services.rag.adapters.conversion.document_tables import TooLong, cell, table

_SHRINKS = 2
"""Factor by which a text may shrink: in UTF-16, or where it is nothing but quotation marks."""
_SAMPLE = 64 * 1024
_SAMPLE_ROWS = 200
_SEPARATOR = re.compile(r"sep=(.)(?:\r\n|\r|\n|$)", re.I)
"""A first line by which Excel is told the separator; it is no row."""
_SEPARATORS = "\t;,|"
"""Separators, of equally likely ones the first: in rows of decimal commas, commas are as regular as what separates
them."""


def plain(document: BinaryIO, at_most: int) -> str:
    """The text as it is."""
    return _read(document, at_most)


def csv_table(document: BinaryIO, at_most: int) -> str:
    """One table. Lines that hold nothing are left out."""
    content = _read(document, at_most).removeprefix("\ufeff")
    separator = _separator(content)
    if declared := _SEPARATOR.match(content):
        content = content[declared.end() :]
    csv.field_size_limit(sys.maxsize)  # the worker's memory is the limit
    rows = [row for row in csv.reader(io.StringIO(content, newline=""), delimiter=separator) if row]
    width = max(map(len, rows), default=0)
    return table(([cell(value) for value in row] for row in rows), width, at_most)


def _read(document: BinaryIO, at_most: int) -> str:
    if document.seek(0, os.SEEK_END) > at_most * _SHRINKS:
        raise TooLong
    return encodings.text(document)


def _separator(content: str) -> str:
    """The declared one, or the one that splits most rows of the beginning into equally many cells."""
    if declared := _SEPARATOR.match(content):
        return declared[1]
    sample = content[:_SAMPLE]
    regularity = {separator: _regularity(sample, separator) for separator in _SEPARATORS}
    best = max(regularity, key=regularity.__getitem__)
    return best if regularity[best] else ","


def _regularity(sample: str, separator: str) -> float:
    """The share of rows that have the commonest number of cells; 0 where that is one cell."""
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
    widths = Counter(len(row) for row in itertools.islice(reader, _SAMPLE_ROWS) if row)
    if not widths:
        return 0.0
    width, count = widths.most_common(1)[0]
    return count / widths.total() if width > 1 else 0.0
