"""Convertible kinds of files, told from name, declared type and beginning."""

import pytest

from core.errors import UnsupportedMedia
from services.rag.domain.files.kinds import HEAD_BYTES, Kind, kind_of
from tests.support import documents

PDF = documents.pdf(["x"])
DOCX = documents.docx(["x"])
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100)


@pytest.mark.parametrize(
    ("name", "content_type", "content", "kind"),
    [
        ("a.pdf", "", PDF, Kind.PDF),
        ("a.PDF", "", b"junk before\n" + PDF, Kind.PDF),
        ("a.docx", "", PDF, Kind.PDF),
        ("a", "image/png", PDF, Kind.PDF),
        ("a.docx", "", DOCX, Kind.OFFICE),
        ("a.xlsx", "text/plain", DOCX, Kind.OFFICE),
        ("a", "", DOCX, Kind.OFFICE),
        ("a.pptx", "", documents.pptx_raw(), Kind.OFFICE),
        ("a.xlsm", "", documents.xlsx_raw({"S": ""}), Kind.OFFICE),
        ("a.html", "text/plain", b"words", Kind.HTML),
        ("a.htm", "", b"<p>x", Kind.HTML),
        ("a", "", b"\xef\xbb\xbf \n<!-- a -- b -->\n<!DOCTYPE HTML><html>", Kind.HTML),
        ("a.unknown", "", b'<?xml version="1.0"?>\n<html xmlns="...">', Kind.HTML),
        ("a", "", "<!doctype html><p>x".encode("utf-16"), Kind.HTML),
        ("a", "text/plain", "\ufeff<html><p>x".encode("utf-16-be"), Kind.HTML),
        ("a.md", "", b"<html> is a tag", Kind.TEXT),
        ("a", "text/html; charset=utf-8", b"<p>x", Kind.HTML),
        ("a.csv", "", b"a,b\n", Kind.CSV),
        ("a.tsv", "", b"a\tb\n", Kind.CSV),
        ("a", "text/tab-separated-values", b"a\tb\n", Kind.CSV),
        ("a.csv", "application/pdf", b"a,b\n", Kind.CSV),
        ("a.csv", "text/csv", PDF, Kind.PDF),
        ("a", "text/csv", b"a,b\n", Kind.CSV),
        ("a.txt", "text/csv", b"a,b\n", Kind.TEXT),
        ("a.txt", "application/pdf", b"words", Kind.TEXT),
        ("README", "", b"# Title", Kind.TEXT),
        ("a.py", "", b"x = 1\n", Kind.TEXT),
        ("a.txt", "", "Größe".encode("latin-1"), Kind.TEXT),
        ("a.txt", "", "Größe".encode("utf-16"), Kind.TEXT),
        ("a.txt", "", ("x" + "ö" * HEAD_BYTES).encode()[:HEAD_BYTES], Kind.TEXT),
    ],
)
def test_kinds_are_told_by_the_content(name: str, content_type: str, content: bytes, kind: Kind) -> None:
    assert kind_of(name, content_type, content[:HEAD_BYTES]) is kind


@pytest.mark.parametrize(
    ("name", "content_type", "content", "reason"),
    [
        ("a.txt", "text/plain", b"", "empty"),
        ("a.png", "image/png", PNG, "Only PDF"),
        ("a.txt", "text/plain", PNG, "Only PDF"),
        ("a.txt", "text/plain", b"\xff\x01\x02", "Only PDF"),
        ("a.pdf", "application/pdf", PNG, "name ends in .pdf"),
        ("a.pdf", "application/pdf", b"words", "name ends in .pdf"),
        ("a.docx", "", b"words", "name ends in .docx"),
        ("a.zip", "", documents.archive({"x.txt": b"x"}), "Only PDF"),
        ("a.doc", "", OLE, "password"),
        ("a.docx", "", OLE, "protected with a password"),
        ("a", "", OLE + "EncryptedPackage".encode("utf-16-le"), "protected with a password"),
        ("a.rtf", "", b"{\\rtf1 words}", "Only PDF"),
    ],
)
def test_the_rest_is_refused_with_the_reason(name: str, content_type: str, content: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedMedia, match=reason):
        kind_of(name, content_type, content[:HEAD_BYTES])
