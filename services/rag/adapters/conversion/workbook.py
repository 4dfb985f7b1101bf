"""The cells of a workbook, read one after the other, as texts. Runs in the worker process only.

Libraries put a sheet's cells into a grid from the first to the last one, which takes a GiB for two cells far apart, or
take minutes for a million cells, and do not tell how a number is shown.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import BinaryIO
from xml.parsers import expat

from lxml import etree

from services.rag.adapters.conversion import ooxml
from services.rag.adapters.conversion.ooxml import Package

_BLOCK = 256 * 1024
_DIGITS = 15
"""Significant digits of a number in a spreadsheet: 0.1 + 0.2 is 0.3 there."""
_SECONDS_PER_DAY = 86_400
_LAST_DAY = 2_958_466
"""The first of January 10000."""
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.I)
_BUILT_IN = {
    **dict.fromkeys((14, 15, 16, 17, *range(27, 32), 36, *range(50, 59)), "d/m/yy"),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 34, 35, 45, 47), "h:mm:ss"),
    9: "0%",
    10: "0.00%",
    22: "d/m/yy h:mm",
    46: "[h]:mm:ss",
}

Row = dict[int, str]
"""Texts by column, from 1 on."""


@dataclass(frozen=True, slots=True)
class Sheet:
    name: str
    hidden: bool
    part: str


class Workbook:
    def __init__(self, file: BinaryIO) -> None:
        self.package = Package(file)
        main = self.package.main()
        related = self.package.related(main)
        root = ooxml.parse(self.package.read(main) or b"")
        parts = dict(related.values())
        properties = ooxml.child(root, "workbookPr")
        since_1904 = properties is not None and properties.get("date1904") in ("1", "true")
        self._strings = list(_strings(self.package, parts.get("sharedStrings")))
        self._formats = _formats(self.package.read(parts.get("styles", "")), since_1904)
        self.sheets = [
            Sheet(each.get("name"), each.get("state", "visible") != "visible", related[id][1])
            for each in ooxml.every(root, "sheet")
            if (id := ooxml.attribute(each, "id")) in related
        ]

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """Iterate the rows that hold anything, with their content."""
        reader = _Reader(self._strings, self._formats)
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
        parser.CharacterDataHandler = reader.text
        with self.package.open(sheet.part) as content:
            while block := content.read(_BLOCK):
                parser.Parse(block)
                yield from reader.take()
            parser.Parse(b"", True)


@dataclass(slots=True)
class _Reader:
    """The cells of one sheet's part."""

    strings: Sequence[str]
    formats: Sequence["_Format"]
    done: list[Row] = field(default_factory=list)
    row: Row = field(default_factory=dict)
    column: int = 0
    cell: Mapping[str, str] = field(default_factory=dict)
    value: list[str] = field(default_factory=list)
    inside: bool = False
    phonetic: bool = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        match name.rpartition("}")[2]:
            case "c":
                self.cell = attributes
                place = attributes.get("r")
                self.column = _column(place.rstrip("0123456789")) if place else self.column + 1
            case "v" | "t":
                self.inside = not self.phonetic
            case "rPh":
                self.phonetic = True
            case "row":
                self.row, self.column = {}, 0

    def text(self, data: str) -> None:
        if self.inside:
            self.value.append(data)

    def end(self, name: str) -> None:
        match name.rpartition("}")[2]:
            case "c":
                if self.value:
                    text = self._shown("".join(self.value))
                    self.value.clear()
                    if text and not text.isspace():
                        self.row[self.column] = text
            case "v" | "t":
                self.inside = False
            case "rPh":
                self.phonetic = False
            case "row":
                if self.row:
                    self.done.append(self.row)

    def take(self) -> list[Row]:
        done, self.done = self.done, []
        return done

    def _shown(self, value: str) -> str:
        match self.cell.get("t", "n"):
            case "s":
                return self.strings[int(value)]
            case "b":
                return "TRUE" if value.strip() in ("1", "true") else "FALSE"
            case "n":
                style = int(self.cell.get("s", 0))
                return (self.formats[style] if style < len(self.formats) else _PLAIN).shown(value)
            case _:  # texts, results that are texts, errors, dates in ISO 8601
                return _unescaped(value)


@lru_cache(20_000)
def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


def _strings(package: Package, part: str | None) -> Iterator[str]:
    """The texts that cells share, without how they are read aloud. One at a time: there may be a million."""
    if part is None:
        return
    with package.open(part) as content:
        for _, each in etree.iterparse(content, tag="{*}si", huge_tree=True, resolve_entities=False, no_network=True):
            texts = (text for text in ooxml.every(each, "t") if ooxml.local(text.getparent()) != "rPh")
            yield _unescaped("".join(text.text or "" for text in texts))
            each.clear()
            while each.getprevious() is not None:
                del each.getparent()[0]


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


@dataclass(frozen=True, slots=True)
class _Format:
    """Format of numbers: as they are, as percentages, or as points in time."""

    percent: int | None = None
    """Digits behind the point of a percentage; None: it is none."""
    day: bool = False
    clock: bool = False
    elapsed: bool = False
    since_1904: bool = False

    def shown(self, value: str) -> str:
        try:
            number = float(value)
        except ValueError:
            return value
        if self.percent is not None:
            return f"{(Decimal(value) * 100).quantize(Decimal(1).scaleb(-self.percent), ROUND_HALF_UP)}%"
        if self.elapsed:
            minutes, seconds = divmod(round(number * _SECONDS_PER_DAY), 60)
            return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
        if (self.day or self.clock) and 0 <= number < _LAST_DAY:
            return self._moment(number)
        return _number(number)

    def _moment(self, number: float) -> str:
        """Excel takes 1900 for a leap year: days before its 29 February count from one day later."""
        first = date(1904, 1, 1) if self.since_1904 else date(1899, 12, 31 if number < 60 else 30)
        moment = datetime.combine(first, time()) + timedelta(seconds=round(number * _SECONDS_PER_DAY))
        return " ".join([str(moment.date())] * self.day + [str(moment.time())] * self.clock)


_PLAIN = _Format()


def _number(number: float) -> str:
    whole = number.is_integer() and abs(number) < 10**_DIGITS
    return str(int(number)) if whole else f"{number:.{_DIGITS}G}"


def _formats(styles: bytes | None, since_1904: bool) -> list[_Format]:
    """Return the formats by the number of a cell's style."""
    if styles is None:
        return []
    root = ooxml.parse(styles)
    codes = dict(_BUILT_IN)
    for each in ooxml.every(root, "numFmt"):
        codes[int(each.get("numFmtId"))] = each.get("formatCode", "")
    used = ooxml.child(root, "cellXfs")
    ids = [int(each.get("numFmtId", 0)) for each in used] if used is not None else []
    return [_format(codes.get(id, ""), since_1904) for id in ids]


@lru_cache
def _format(code: str, since_1904: bool) -> _Format:
    shown = _LITERAL.sub("", code.partition(";")[0]).lower()
    if "general" in shown:
        return _PLAIN
    if "%" in shown:
        return _Format(percent=sum(letter in "0#?" for letter in shown.partition(".")[2]))
    if "[" in shown:
        return _Format(elapsed=True)
    clock = any(letter in shown for letter in "hs")
    day = any(letter in shown for letter in "yd") or ("m" in shown and not clock)
    return _Format(day=day, clock=clock, since_1904=since_1904)
