"""The formats and their converters. Runs in the worker process only.

markitdown's converters are used one by one, rather than through its own front, which would load them all: that costs
seconds and hundreds of MiB per process, and brings converters that call out to the network. Workbooks are read by
calamine (see sheets).
"""

import codecs
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

_CONVERTERS = {
    "pdf": ("_pdf_converter", "PdfConverter"),
    "docx": ("_docx_converter", "DocxConverter"),
    "pptx": ("_pptx_converter", "PptxConverter"),
    "html": ("_html_converter", "HtmlConverter"),
    "csv": ("_csv_converter", "CsvConverter"),
    "text": ("_plain_text_converter", "PlainTextConverter"),
}
_TEXTS = ("csv", "text")
_SHRINKS = 2
"""By how much a text may: in UTF-16, or where it is nothing but quotation marks."""
_SAMPLE = 64 * 1024
_BLOCK = 1024 * 1024
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_OLD_ENCODINGS = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r"),
    *("shift_jis", "euc_jp", "euc_kr", "gb18030", "big5"),
)
"""Those that are still met, of equally likely ones the first: with more to choose from, short texts are taken for
something rare."""
_GAPS = re.compile(r"\n{3,}")

Convert = Callable[[BinaryIO], str]


class TooLong(Exception):
    """Its Markdown cannot but be longer than is allowed."""


class NotText(Exception):
    """The content goes on as no text does."""


class _Converter(Protocol):
    def convert(self, file_stream: BinaryIO, stream_info: Any) -> Any: ...


def load(format: str, at_most: int) -> Convert:
    """The converter of a format, all its libraries loaded. `at_most` is how many bytes of Markdown are wanted."""
    if format == "xlsx":
        from services.rag.adapters.conversion import sheets

        return lambda document: tidy(sheets.markdown(document))
    module_name, class_name = _CONVERTERS[format]
    for package in ("markitdown", "markitdown.converters"):
        _without_its_contents(package)
    module = importlib.import_module(f"markitdown.converters.{module_name}")
    stream_info = importlib.import_module("markitdown._stream_info").StreamInfo
    converter: _Converter = getattr(module, class_name)()

    def convert(document: BinaryIO) -> str:
        if format in _TEXTS and document.seek(0, os.SEEK_END) > at_most * _SHRINKS:
            raise TooLong
        document.seek(0)
        charset = encoding(document) if format in _TEXTS else None
        document.seek(0)
        info = stream_info(extension=".txt" if format == "text" else f".{format}", charset=charset)
        text: str = converter.convert(document, info).markdown
        return text if format == "text" else tidy(text)

    return convert


def encoding(document: BinaryIO) -> str:
    """The first encoding in which all of it can be read. Raises NotText."""
    start = document.read(4)
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    if _reads_as(document, "utf-8"):
        return "utf-8"
    document.seek(0)
    guess = _guess(document.read(_SAMPLE))
    return guess if _reads_as(document, guess) else "latin-1"


def tidy(text: str) -> str:
    """Without spaces at the ends of lines, with one empty line at most between others and none around all."""
    text = text.replace("\0", "").replace("\f", "\n\n")
    return _GAPS.sub("\n\n", "\n".join(line.rstrip() for line in text.split("\n"))).strip("\n")


def _reads_as(document: BinaryIO, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    document.seek(0)
    try:
        while block := document.read(_BLOCK):
            if b"\0" in block:
                raise NotText
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _guess(sample: bytes) -> str:
    charset_normalizer = importlib.import_module("charset_normalizer")
    matches = charset_normalizer.from_bytes(sample, cp_isolation=list(_OLD_ENCODINGS))
    best = matches.best()
    likely = {
        name
        for match in matches
        if (match.chaos, match.coherence) == (best.chaos, best.coherence)
        for name in match.could_be_from_charset
    }
    return next((name for name in _OLD_ENCODINGS if name in likely), _OLD_ENCODINGS[0])


def _without_its_contents(package: str) -> None:
    """Makes the package importable, without running what it would import first."""
    if package not in sys.modules:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        sys.modules[package] = importlib.util.module_from_spec(spec)
