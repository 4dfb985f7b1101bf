"""JSON to Python values and back, exactly: integers of any size keep their digits."""

import json
from typing import Any

import msgspec
import orjson

from core.json_bodies import UNREADABLE as UNREADABLE

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LEAST_LOGPROB = -9999.0
"""Log probability that OpenAI gives for a token that is next to impossible."""
_NUMBERS: dict[str, float | None] = {"-Infinity": _LEAST_LOGPROB, "Infinity": None, "NaN": None}
_ODDITIES = (b"Infinity", b"NaN", b"\\ud", b"\\uD")
"""Texts that Python's own parser takes but not the strict one: numbers that JSON lacks, and halves of characters."""

decode = msgspec.json.Decoder().decode
"""Strict. Raises one of UNREADABLE."""


class NotJson(ValueError):
    """No JSON, even with leniency, or a value that cannot be written as JSON."""


def decode_leniently(data: bytes) -> Any:
    """Decode what is nearly JSON, as providers send it: after a byte order mark, with infinite numbers, with half a
    surrogate pair. An infinitely small number becomes the least logprob, other numbers that JSON lacks become None.
    Raises NotJson."""
    text = data.removeprefix(BYTE_ORDER_MARK)
    try:
        return decode(text)
    except UNREADABLE:
        if not any(oddity in text for oddity in _ODDITIES):
            raise NotJson from None
    try:
        return json.loads(text.decode(), parse_constant=_NUMBERS.get)
    except (ValueError, RecursionError):
        raise NotJson from None


def encode(value: Any) -> bytes:
    """Encode a value as JSON. Raises NotJson for nesting beyond 254 levels."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        if "ecursion" in str(error):
            raise NotJson from None
    try:  # integers beyond 64 bits, halves of characters
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise NotJson from None
