"""Bounds on protobuf messages, checked before they are parsed.

A message of two bytes becomes an object of a hundred, at any depth: a server could send megabytes of them. Strings and
packed numbers take what they are; so it is the number of fields that has to be bounded.
"""

from collections.abc import Mapping
from functools import cache

from google.protobuf.descriptor import Descriptor

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 32


class Malformed(Exception):
    """The bytes are no message of this type, or have more fields than allowed."""


def check_fields(message: Descriptor, data: bytes, limit: int) -> None:
    """Count the fields of a message. Raises Malformed where `data`, read as such a message, has more than `limit`
    fields, nested ones included."""
    if len(data) <= 2 * limit:  # a field takes two bytes at least
        return
    _checked(message, data, 0, len(data), limit, _MAX_DEPTH)


def _checked(message: Descriptor, data: bytes, at: int, end: int, limit: int, depth: int) -> int:
    """Check the fields of a message. Return what is left of `limit`."""
    nested = _nested(message)
    if not depth:
        raise Malformed("nested too deeply")
    while at < end:
        limit -= 1
        if limit < 0:
            raise Malformed("too many fields")
        tag, at = (data[at], at + 1) if data[at] < 0x80 else _varint(data, at, end)
        kind = tag & 7
        if kind == _BYTES:
            length, at = (data[at], at + 1) if at < end and data[at] < 0x80 else _varint(data, at, end)
            if at + length > end:
                raise Malformed("cut short")
            if (inner := nested.get(tag >> 3)) is not None:
                limit = _checked(inner, data, at, at + length, limit, depth - 1)
            at += length
        elif kind == _VARINT:
            _, at = _varint(data, at, end)
        elif kind == _FIXED32:
            at += 4
        elif kind == _FIXED64:
            at += 8
        else:
            raise Malformed("no field is of this kind")  # groups are not used
    return limit


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            break
    raise Malformed("no number")


@cache
def _nested(message: Descriptor) -> Mapping[int, Descriptor]:
    """Types of the fields that hold messages, by number; what a newer server adds is kept as bytes."""
    return {field.number: field.message_type for field in message.fields if field.message_type is not None}
