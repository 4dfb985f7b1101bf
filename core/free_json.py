"""Free JSON: objects of the caller's own making (metadata, settings, request defaults), with one set of limits.

What is accepted can be given back by every writer on the way out: JSON, protobuf's Struct, the edge and the stores.
All checks raise InvalidInput, naming the field.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from core import json_bodies
from core.errors import InvalidInput

MAX_DEPTH = 32
"""Objects and lists inside each other, the outermost included. As a Struct each takes three levels of messages, and
protobuf's readers, the edge's among them, take 100: a Struct two messages below an answer may have 33 levels."""

INT64 = 2**63
EXACT = 2**53
"""Up to here a 64-bit float, which is all that a Struct has, holds every integer."""

_OBJECT = msgspec.json.Decoder(dict[str, Any] | None)


def read(field: str, text: "str | bytes | msgspec.Raw") -> dict[str, Any]:
    """Parse an object from its JSON text; null: an empty one. Refuses a name that an object has twice, as the edge does
    where it parses: one of the two values would be lost."""
    value = json_bodies.read(_OBJECT, text, field) or {}
    if _most_names(text if isinstance(text, bytes) else _bytes(text)) > _names(value):
        _refuse_repeated(field, text if isinstance(text, str) else bytes(text))
    return value


def check(field: str, value: Mapping[str, Any], *, at_most: int) -> None:
    """Check that a value is free JSON within its limits. `at_most` is in bytes of JSON. Numbers must be finite,
    integers have at most 64 bits, text is Unicode without NUL (which PostgreSQL does not keep)."""
    try:
        size = len(orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS))
    except TypeError as error:
        _check(field, value, 1)  # says more of the usual reasons
        raise InvalidInput(f"{field} is not a JSON object: {error}.", field=field) from None
    if size > at_most:
        raise InvalidInput(f"{field} must be at most {at_most} bytes of JSON; it has {size}.", field=field)
    _check(field, value, 1)


def _check(field: str, value: Any, depth: int) -> None:
    """`depth` is that of `value` if it is an object or list."""
    kind = type(value)
    if kind is str:
        if "\0" in value or not value.isascii():
            _check_text(field, value)
    elif kind is int:
        if not -INT64 <= value < INT64:
            raise InvalidInput(f"{field} holds an integer beyond 64 bits. Send it as a text.", field=field)
    elif kind is dict or kind is list:
        if depth > MAX_DEPTH:
            raise InvalidInput(f"{field} must be nested at most {MAX_DEPTH} deep.", field=field)
        if kind is dict:
            _check_text(field, "".join(value))
            value = value.values()
        for item in value:
            _check(field, item, depth + 1)
    elif kind is float:
        if not math.isfinite(value):
            raise InvalidInput(f"{field} holds a number that is not finite.", field=field)
    elif not (value is None or kind is bool):
        raise InvalidInput(f"{field} is not a JSON object: it holds a {kind.__name__}.", field=field)


def _check_text(field: str, text: str) -> None:
    if "\0" in text:
        raise InvalidInput(f"{field} holds a NUL character.", field=field)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidInput(f"{field} holds half of a surrogate pair, which is not Unicode.", field=field) from None


def _names(value: Any) -> int:
    """Count the distinct names in the objects of an object or list."""
    count = len(value) if type(value) is dict else 0
    for item in value.values() if type(value) is dict else value:
        if type(item) is dict or type(item) is list:
            count += _names(item)
    return count


def _most_names(text: bytes) -> int:
    """Count at least as many names as the text has: the colons behind a quotation mark or white space."""
    count = text.count
    return count(b'":') + count(b" :") + count(b"\t:") + count(b"\n:") + count(b"\r:")


def _refuse_repeated(field: str, text: str | bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise InvalidInput(f"{field} has an object with a name twice.", field=field)
        return found

    json.loads(text, object_pairs_hook=unique)


def _bytes(text: "str | msgspec.Raw") -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)
