"""Checks of a document by the worker before a library reads it."""

import io
import zipfile

import pytest

from services.rag.adapters.conversion import encodings, formats, office
from services.rag.adapters.conversion.encodings import NotText
from tests.support import documents


def inspect(document: bytes) -> str:
    return office.inspect(io.BytesIO(document))


def test_office_documents_are_told_by_their_main_part() -> None:
    assert inspect(documents.docx(["x"])) == "docx"
    assert inspect(documents.pptx_raw()) == "pptx"
    assert inspect(documents.xlsx_raw({"S": ""})) == "xlsx"


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (documents.zip_bomb(17), office.Bomb),
        (documents.docx_with_entities(), office.Entities),
        (documents.docx_that_reads("/etc/passwd"), office.Entities),
        (documents.docx(["x"], prolog="<!-- " + " " * 100_000 + "-->"), office.Bomb),
        (documents.archive({"word/document.xml": b"<a/>"}), office.NotOffice),
        (documents.archive({"[Content_Types].xml": b"<Types/>"}), office.NotOffice),
        (documents.docx(["x"])[:-30], zipfile.BadZipFile),
        (b"", zipfile.BadZipFile),
    ],
    ids=["ratio", "entities", "external entity", "prolog", "no types", "no main part", "cut off", "empty"],
)
def test_what_is_not_safe_to_open_is_not_opened(document: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        inspect(document)


def test_a_total_beyond_the_limit_is_a_bomb_at_any_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "MAX_UNPACKED", 1000)
    with pytest.raises(office.Bomb):
        inspect(documents.docx(["x"]))


def test_a_part_beyond_the_limit_is_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    document = documents.many_entries(10)
    with zipfile.ZipFile(io.BytesIO(document)) as archive:
        parts = len(archive.namelist())
    monkeypatch.setattr(office, "MAX_ENTRIES", parts)
    assert inspect(document) == "docx"
    monkeypatch.setattr(office, "MAX_ENTRIES", parts - 1)
    with pytest.raises(office.Bomb):
        inspect(document)


def test_a_password_on_a_part_is_seen() -> None:
    document = bytearray(documents.docx(["x"]))
    directory = document.index(b"PK\x01\x02")
    document[directory + 8] |= 1
    with pytest.raises(office.Encrypted):
        inspect(bytes(document))


def test_entities_in_utf_16_are_seen_too() -> None:
    part = '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16")
    with pytest.raises(office.Entities):
        inspect(documents.with_parts(documents.docx(["x"]), {"word/other.bin": part}))


@pytest.mark.parametrize(
    ("text", "written_in"),
    [
        ("plain", "utf-8"),
        ("Größe, 数据", "utf-8"),
        ("Größe, 数据", "utf-8-sig"),
        ("Größe, 数据", "utf-16"),
        ("Größe", "utf-32"),
        ("Le café où l'élève étudie, façon générale", "cp1252"),
        ("Größe: fünf €", "cp1252"),
        ("Zażółć gęślą jaźń, proszę państwa, dzień dobry.", "cp1250"),
        ("Привет, как дела? Это проверка кодировки.", "cp1251"),
        ("これは日本語の文章です。文字コードの確認。", "shift_jis"),
        ("é" * 3_000_000, "utf-8"),
    ],
)
def test_texts_are_read_in_their_own_encoding(text: str, written_in: str) -> None:
    content = text.encode(written_in)
    assert content.decode(encodings.encoding(io.BytesIO(content))) == text


@pytest.mark.parametrize("content", [b"text\0text", b"x" * 2_000_000 + b"\0", b"\xff" + b"\0" * 10])
def test_what_goes_on_as_no_text_does_is_no_text(content: bytes) -> None:
    with pytest.raises(NotText):
        encodings.encoding(io.BytesIO(content))


def test_markdown_is_tidied() -> None:
    assert formats.tidy("\n\na  \r\nb\t\n\n\n\nc\fd\0\n") == "a\nb\n\nc\n\nd"


def test_tidying_does_not_take_longer_for_long_runs_of_spaces() -> None:
    """A regular expression for the ends of lines took the square of their length."""
    assert formats.tidy(" " * 1_000_000 + "x").endswith("x")
