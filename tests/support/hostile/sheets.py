"""Hostile workbooks."""

import io
from datetime import date, time, timedelta
from typing import Any

import openpyxl  # type: ignore[import-untyped]

from tests.support import documents
from tests.support.documents import xlsx_raw
from tests.support.hostile.case import Hostile
from tests.support.hostile.word import CHART

ERRORS = ("#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!")


def row(number: int, *cells: str) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


def c(place: str, value: str, type: str = "n", style: int = 0) -> str:
    return f'<c r="{place}" t="{type}" s="{style}"><v>{value}</v></c>'


def inline(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def merged() -> bytes:
    workbook = openpyxl.Workbook()
    for values in (["Region", "x1"], ["ignored", "x2"], ["wide", "ignored"], ["end", "y"]):
        workbook.active.append(values)
    workbook.active.merge_cells("A1:A2")
    workbook.active.merge_cells("A3:B3")
    return saved(workbook)


def typed() -> bytes:
    workbook = openpyxl.Workbook()
    cells: list[tuple[Any, str]] = [
        (date(2024, 1, 2), "yyyy-mm-dd"),
        (time(3, 4, 5), "hh:mm:ss"),
        (timedelta(hours=30), "[h]:mm:ss"),
        (0.25, "0%"),
        (0.12345, "0.00%"),
        (123456789012345, "0"),
        ("007", "@"),
        (0.1 + 0.2, "General"),
        (True, "General"),
        (1e300, "General"),
        (-0.5, '"day "0.0'),
    ]
    for at, (value, format) in enumerate(cells):
        cell = workbook.active.cell(1, at + 1, value)
        cell.number_format = format
    return saved(workbook)


def saved(workbook: Any) -> bytes:
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def with_chart() -> bytes:
    """And a text box, in the drawing of the sheet."""
    box = f'<t:txBody xmlns:t="{documents.A}/x"><a:p><a:r><a:t>in a box</a:t></a:r></a:p></t:txBody>'
    drawing = f'<d:wsDr xmlns:d="{documents.S}/drawing" xmlns:a="{documents.A}">{box}</d:wsDr>'
    return documents.with_parts(
        xlsx_raw({"S": row(1, c("A1", "1"))}),
        {
            "xl/worksheets/_rels/sheet1.xml.rels": link("drawing", "../drawings/drawing1.xml"),
            "xl/drawings/drawing1.xml": drawing.encode(),
            "xl/drawings/_rels/drawing1.xml.rels": link("chart", "/xl/charts/chart1.xml"),
            "xl/charts/chart1.xml": CHART,
        },
    )


def link(type: str, target: str) -> bytes:
    return documents.relationships(("rId1", f"{documents.R}/{type}", target, ""))


SHEETS = [
    Hostile("chart.xlsx", with_chart(), ["| 1 |", "in a box", "Sales", "| | 2024 |", "| North | 41 |"]),
    Hostile(
        "errors.xlsx",
        xlsx_raw({"S": row(1, *(c(f"{chr(65 + at)}1", each, "e") for at, each in enumerate(ERRORS)))}),
        [f"| {' | '.join(ERRORS)} |"],
    ),
    Hostile(
        "far_apart.xlsx",
        documents.xlsx_cells({"A1": "here", "B1": "beside", "XFD1048576": "there"}),
        ["| here | beside | | |", "| | | | there |"],
        ["| | | | | |"],
    ),
    Hostile(
        "hidden_sheets.xlsx",
        xlsx_raw(
            {"Shown": row(1, c("A1", "1")), "Hidden": row(1, c("A1", "2")), "Very": row(1, c("A1", "3"))},
            states={"Hidden": "hidden", "Very": "veryHidden"},
        ),
        ["## Shown", "| 1 |", "## Hidden (hidden)", "| 2 |", "## Very (hidden)", "| 3 |"],
        ["Shown (hidden)"],
    ),
    Hostile("merged.xlsx", merged(), ["| Region | x1 |", "| | x2 |", "| wide | |", "| end | y |"], ["ignored"]),
    Hostile(
        "types.xlsx",
        typed(),
        ["| 2024-01-02 | 03:04:05 | 30:00:00 | 25% | 12.35% | 123456789012345 | 007 | 0.3 | TRUE | 1E+300 | -0.5 |"],
    ),
    Hostile(
        "texts.xlsx",
        xlsx_raw({"S": row(1, inline("A1", "a|b"), inline("B1", "two\nlines"), c("C1", "a_x000D_b", "str"))}),
        ["| a\\|b | two lines | a b |"],
    ),
    Hostile(
        "no_places.xlsx",
        xlsx_raw({"S": '<row><c t="str"><v>a</v></c><c t="str"><v>b</v></c></row><row><c><v>1</v></c></row>'}),
        ["| a | b |", "| 1 | |"],
    ),
]
