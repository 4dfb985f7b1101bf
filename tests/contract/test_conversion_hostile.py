"""Documents on which converters commonly fail: public reports of text that vanished or stood in the wrong column."""

import io

import pytest

from services.rag.adapters.conversion import formats
from services.rag.adapters.conversion.document_tables import TooLong
from services.rag.domain.files.kinds import HEAD_BYTES, Kind, kind_of
from tests.support import documents
from tests.support.hostile import HOSTILE
from tests.support.hostile.case import Hostile
from tests.support.hostile.sheets import c, row

MIB = 1024 * 1024


def markdown(name: str, content: bytes, at_most: int = 20 * MIB) -> str:
    kind = kind_of(name, "", content[:HEAD_BYTES])
    format = name.rpartition(".")[2] if kind is Kind.OFFICE else kind.value
    return formats.load(format, at_most)(io.BytesIO(content))


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda each: each.name)
def test_what_is_shown_stands_in_the_markdown(hostile: Hostile) -> None:
    text = markdown(hostile.name, hostile.content)
    assert not hostile.faults(text), text[:2000]


def test_a_workbook_costs_what_stands_in_it() -> None:
    """Two cells in far corners took a GiB, and a table of a million rows or of 16,384 columns."""
    text = markdown("a.xlsx", documents.xlsx_cells({"A1": "here", "B1": "beside", "XFD1048576": "there"}))
    assert text.splitlines() == [
        "## Sheet",
        "| here | beside |  |  |",
        "| --- | --- | --- | --- |",
        "|  |  |  | there |",
    ]


def test_a_table_that_grows_too_long_is_given_up_early() -> None:
    """On a diagonal, each row is as wide as the sheet."""
    rows = "".join(row(at, c(f"{chr(65 + at % 26)}{chr(65 + at // 26 % 26)}{at}", "1")) for at in range(1, 600))
    with pytest.raises(TooLong):
        markdown("a.xlsx", documents.xlsx_raw({"S": rows}), 100_000)
    with pytest.raises(TooLong):
        markdown("a.csv", b"a,b\n" + b"1,2\n" * 100 + b"," * 5_000, 60_000)


@pytest.mark.parametrize("sheets", [{"S": ""}, {"S": row(1, c("A1", ""), c("B1", " ", "str")), "T": ""}, {}])
def test_a_workbook_without_a_cell_gives_nothing(sheets: dict[str, str]) -> None:
    assert markdown("a.xlsx", documents.xlsx_raw(sheets)) == ""


def test_an_empty_sheet_among_others_keeps_its_heading() -> None:
    text = markdown("a.xlsx", documents.xlsx_raw({"S": row(1, c("A1", "1")), "T": ""}))
    assert text == "## S\n| 1 |\n| --- |\n\n## T"


@pytest.mark.parametrize(
    ("format", "value", "shown"),
    [
        ("General", "12345678901234567890", "1.23456789012346E+19"),
        ("General", "1234567890123456", "1.23456789012346E+15"),
        ("General", "123456789012345", "123456789012345"),
        ("0.0%", "0.005", "0.5%"),
        ("0.00%", "0.12345", "12.35%"),
        ('0"%"', "7", "7"),
        ("yyyy\\-mm\\-dd", "45293", "2024-01-02"),
        ("[$-409]d mmm yyyy;@", "45293", "2024-01-02"),
        ("h:mm AM/PM", "0.5", "12:00:00"),
        ("dd/mm/yyyy hh:mm", "45293.25", "2024-01-02 06:00:00"),
        ("[h]:mm", "1.5", "36:00:00"),
        ("yyyy", "1", "1900-01-01"),
        ("yyyy", "-1", "-1"),
        ("yyyy", "3000000", "3000000"),
        ("[Red]0.00", "1.5", "1.5"),
        ('"year "0', "7", "7"),
        ("0.00E+00", "7", "7"),
    ],
)
def test_numbers_are_shown_as_what_they_are(format: str, value: str, shown: str) -> None:
    escaped = format.replace('"', "&quot;")
    text = markdown("a.xlsx", documents.xlsx_raw({"S": row(1, c("A1", value, style=1))}, formats=[escaped]))
    assert text.splitlines()[1] == f"| {shown} |"
