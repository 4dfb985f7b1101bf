"""Inspection of Office documents: their kind, and whether they are safe to open. Runs in the worker process only."""

import re
import zipfile
from typing import BinaryIO
from xml.parsers import expat

MAX_ENTRIES = 10_000
MAX_UNPACKED = 512 * 1024 * 1024
MAX_RATIO = 100
_RATIO_FROM = 16 * 1024 * 1024
"""Unpacked bytes below which the ratio does not matter: small documents may be very regular."""
_PROLOG = 64 * 1024
"""Most bytes before the first element of a part."""
_BLOCK = 4096
_CONTENT_TYPES = "[Content_Types].xml"
_MAX_CONTENT_TYPES = 4 * 1024 * 1024
_ENCRYPTED = 0x1
_MAIN_PARTS = {
    "docx": re.compile(rb"wordprocessingml\.(?:document|template)\.main\+xml|ms-word\.\w+\.macroEnabled\w*\.main\+xml"),
    "pptx": re.compile(rb"presentationml\.\w+\.main\+xml|ms-powerpoint\.\w+\.macroEnabled\.main\+xml"),
    "xlsx": re.compile(rb"spreadsheetml\.(?:sheet|template)\.main\+xml|ms-excel\.\w+\.macroEnabled\.main\+xml"),
}


class Bomb(Exception):
    """The document would unpack to far more than it should."""


class Entities(Exception):
    """The document defines XML entities, with which a parser can be made to write much or to read other files."""


class Encrypted(Exception):
    """The document has a password."""


class NotOffice(Exception):
    """A zip file, but none of the three."""


def inspect(document: BinaryIO) -> str:
    """docx, pptx or xlsx. Raises Bomb, Entities, Encrypted, NotOffice, zipfile.BadZipFile."""
    document.seek(0, 2)
    packed = document.tell()
    with zipfile.ZipFile(document) as archive:
        parts = archive.infolist()
        unpacked = sum(part.file_size for part in parts)
        if len(parts) > MAX_ENTRIES or unpacked > MAX_UNPACKED:
            raise Bomb
        if unpacked > _RATIO_FROM and unpacked > packed * MAX_RATIO:
            raise Bomb
        if any(part.flag_bits & _ENCRYPTED for part in parts):
            raise Encrypted
        format = _format(archive)
        for part in parts:
            if not part.is_dir():
                _check_prolog(archive, part)
    return format


def _format(archive: zipfile.ZipFile) -> str:
    try:
        with archive.open(_CONTENT_TYPES) as part:
            types = part.read(_MAX_CONTENT_TYPES)
    except KeyError:
        raise NotOffice from None
    for format, main_part in _MAIN_PARTS.items():
        if main_part.search(types):
            return format
    raise NotOffice


def _check_prolog(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Refuse a part with a DTD, which the standard forbids as well. What is no XML at all passes."""
    parser = expat.ParserCreate()
    begun = False

    def refuse(*_: object) -> None:
        raise Entities

    def begin(*_: object) -> None:
        nonlocal begun
        begun = True

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = begin
    with archive.open(part) as content:
        for _ in range(_PROLOG // _BLOCK):
            block = content.read(_BLOCK)
            try:
                parser.Parse(block, not block)
            except expat.ExpatError:
                return
            if begun or not block:
                return
    raise Bomb
