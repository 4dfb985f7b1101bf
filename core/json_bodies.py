"""Decoder of JSON bodies into typed values. Pure."""

import re
from mmap import mmap
from typing import TypeVar

import msgspec

from core.errors import InvalidInput, UnsupportedMedia

T = TypeVar("T")

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that it cannot read; the last two are for texts inside and for depth."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"x\x9c": "deflate",
    b"x\x01": "deflate",
    b"x\xda": "deflate",
}
"""First bytes of compressed bodies; no JSON begins like that."""
_MISSING = re.compile(r"Object missing required field `(\w+)`")


def read(decoder: "msgspec.json.Decoder[T]", body: bytes | bytearray | mmap | str | msgspec.Raw, part: str = "") -> T:
    """`part`: of which field this is the JSON, if it is not the whole body. Raises InvalidInput, naming the field, and
    UnsupportedMedia for a compressed body."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _unfit(str(error), part) from None
    except msgspec.DecodeError as error:
        if isinstance(body, bytes | bytearray | mmap):
            _check_compression(body, part)
            if body[:3] == _BYTE_ORDER_MARK and body[3:6] != _BYTE_ORDER_MARK:
                return read(decoder, body[3:], part)
        raise _no_json(str(error).removeprefix("JSON is malformed: "), part) from None
    except UnicodeDecodeError:
        raise _no_json("its text is not UTF-8", part) from None
    except RecursionError:
        raise _no_json("it is nested too deeply", part) from None


def _check_compression(body: bytes | bytearray | mmap, part: str) -> None:
    for magic, coding in _COMPRESSED.items():
        if body[: len(magic)] == magic:
            raise UnsupportedMedia(
                f"The body is compressed with {coding}. Send it without a Content-Encoding.",
                reason="UNSUPPORTED_ENCODING",
                field=part or "body",
            )


def _unfit(text: str, part: str) -> InvalidInput:
    """Return the error for a body that does not fit, from msgspec's text, which alone names the field."""
    what, _, where = text.partition(" - at `$")
    where = where.replace("[...]", "")  # some value of an object of any shape
    field = f"{part}{where.rstrip('`')}".lstrip(".")
    if missing := _MISSING.fullmatch(what):
        field = f"{field}.{missing[1]}".lstrip(".")
        return InvalidInput(f"{field} is missing.", field=field)
    return InvalidInput(f"{what} {f'at {field}' if field else 'as the body'}.", field=field or "body")


def _no_json(why: str, part: str) -> InvalidInput:
    return InvalidInput(f"{part or 'The body'} is not valid JSON: {why}.", reason="INVALID_JSON", field=part or "body")
