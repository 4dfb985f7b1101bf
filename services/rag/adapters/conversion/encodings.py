"""The encoding of a text, and the text. Runs in the worker process only."""

import codecs
import importlib
import re
from typing import BinaryIO

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
"""Old encodings that are still met, of equally likely ones the first: with more to choose from, short texts are taken
for something rare."""
_DECLARED = re.compile(
    rb"""<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([\w.:-]+)|<meta[^>]{0,500}?\bcharset\s*=\s*["']?\s*([\w.:-]+)""", re.I
)
_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "utf-16": "utf-8",
}
"""Encodings that browsers read a declared one as: names are used for the larger set that grew from them."""


class NotText(Exception):
    """The content goes on as no text does."""


def text(document: BinaryIO, *, markup: bool = False) -> str:
    """The whole text; `markup`: it may declare its encoding, as HTML does. Raises NotText."""
    name = encoding(document, markup=markup)
    document.seek(0)
    return document.read().decode(name, "replace")


def encoding(document: BinaryIO, *, markup: bool = False) -> str:
    """The first encoding in which all of it can be read, or the declared one. Raises NotText."""
    document.seek(0)
    start = document.read(_SAMPLE)
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    declared = _declared(start) if markup else None
    if declared is not None and declared.startswith("iso2022"):  # which is ASCII by its bytes
        return declared
    if _reads_as(document, "utf-8"):
        return "utf-8"
    if declared is not None:
        return declared
    guess = _guess(start)
    return guess if _reads_as(document, guess) else "latin-1"


def _declared(start: bytes) -> str | None:
    found = _DECLARED.search(start)
    if found is None:
        return None
    try:
        name = codecs.lookup((found[1] or found[2]).decode()).name
    except LookupError:
        return None
    return _MEANT.get(name, name)


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
