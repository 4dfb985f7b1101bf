"""Detection of the kinds of files that can be converted to Markdown: told from how the content begins, and from the
name where that leaves a choice. What the client said of the content type decides only between kinds of text."""

import re
from enum import StrEnum
from typing import Final

from core.errors import UnsupportedMedia
from services.rag.domain.files.names import essence

HEAD_BYTES: Final = 4096
"""Bytes of the beginning that `kind_of` wants to see."""


class Kind(StrEnum):
    PDF = "pdf"
    OFFICE = "office"
    """DOCX, PPTX or XLSX: which of them, the whole file tells."""
    HTML = "html"
    CSV = "csv"
    TEXT = "text"
    """Markdown too."""


_OFFICE = frozenset({"docx", "docm", "dotx", "pptx", "pptm", "ppsx", "xlsx", "xlsm", "xltx"})
_BY_EXTENSION = {
    **dict.fromkeys(("html", "htm", "xhtml"), Kind.HTML),
    **dict.fromkeys(("csv", "tsv"), Kind.CSV),
    **dict.fromkeys(
        ("txt", "text", "md", "markdown", "mdown", "log", "json", "jsonl", "xml", "yaml", "yml"), Kind.TEXT
    ),
}
_BY_TYPE = {
    "text/html": Kind.HTML,
    "application/xhtml+xml": Kind.HTML,
    "text/csv": Kind.CSV,
    "application/csv": Kind.CSV,
    "text/tab-separated-values": Kind.CSV,
}

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
"""Name of the one part of an Office document with a password."""
_PDF = b"%PDF-"
_PDF_WITHIN = 1024
"""Readers accept this much before a PDF's first line."""
_OFFICE_PART = re.compile(rb"\[Content_Types\]\.xml|_rels/\.rels|(?:word|xl|ppt)/|docProps/")
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}>\s*|<!--(?:(?!-->).){0,1000}-->\s*)*<(?:!doctype\s+html|html[\s>])", re.I | re.S
)
_UNICODE_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def kind_of(name: str, content_type: str, head: bytes) -> Kind:
    """`head` holds the first HEAD_BYTES. Raises UnsupportedMedia."""
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    if not head:
        raise _unsupported("The file is empty.")
    if head.startswith(_PDF) or (extension == "pdf" and _PDF in head[:_PDF_WITHIN]):
        return Kind.PDF
    if head.startswith(_ZIP) and (extension in _OFFICE or _OFFICE_PART.search(head)):
        return Kind.OFFICE
    if head.startswith(_OLE):
        if extension in _OFFICE or _ENCRYPTED in head:
            raise _unsupported("The document is protected with a password. Save it without one.")
        raise _unsupported(
            "Old Office formats and documents with a password are not converted. "
            "Save it as DOCX, PPTX or XLSX without a password."
        )
    if extension == "pdf" or extension in _OFFICE:
        raise _unsupported(f"The name ends in .{extension}, but the content is something else.")
    if not is_text(head) or head.startswith(b"{\\rtf"):
        raise _unsupported("Only PDF, DOCX, PPTX, XLSX, HTML, CSV and text can be converted to Markdown.")
    if (known := _BY_EXTENSION.get(extension)) is not None:
        return known
    return Kind.HTML if _HTML.match(_ascii(head)) else _BY_TYPE.get(essence(content_type), Kind.TEXT)


def _ascii(head: bytes) -> bytes:
    """The ASCII characters of a text, which is UTF-16 where it begins with that one's mark."""
    name = "utf-16" if head.startswith(_UNICODE_MARKS[1:]) else "utf-8-sig"
    return head.decode(name, "ignore").encode("ascii", "ignore")


def is_text(head: bytes) -> bool:
    """Return whether this is the beginning of a text, in UTF-8, in UTF-16 with a mark, or in an old encoding of one
    byte each."""
    if head.startswith(_UNICODE_MARKS):
        return True
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        cut_off = error.reason == "unexpected end of data" and len(head) == HEAD_BYTES
        return cut_off or _CONTROL.search(head) is None
    return True


def _unsupported(message: str) -> UnsupportedMedia:
    return UnsupportedMedia(message, reason="NOT_CONVERTIBLE", field="objectKey")
