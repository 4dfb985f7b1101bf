"""The protobuf wire format: counts the fields of an encoded message before it is parsed, and cuts it into chunks.

A parser allocates for each field, not for each byte: an empty submessage takes two bytes on the wire and a hundred and
more in memory, so 16 MiB become a gigabyte. The counter walks the wire by the message's descriptor and allocates
nothing. A field is counted each time it occurs, at every depth: a scalar, a string, a submessage, an entry of a map, an
unknown field. A packed list of numbers is one field, as it takes no more than eight times its bytes.

Groups are refused: no contract has them, and what cannot be skipped cannot be measured.
"""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

_Table = dict[int, "_Table"]
"""The tables of a message's submessages, by the tag that precedes them on the wire."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT = 10
_MAX_DEPTH = 200
"""Deeper than any parser goes: protobuf's own limit is 100."""


class FieldCounter:
    """Counts for one message type."""

    def __init__(self, message: Descriptor | None) -> None:
        """Without a message it counts the fields of the outermost level."""
        self._table = {} if message is None else _table_of(message, {})

    def exceeds(self, data: bytes, limit: int) -> bool:
        """Return whether `data` holds more than `limit` fields; stops at the first one above. Raises DecodeError where
        `data` is no protobuf message, or has groups."""
        try:
            return _exceeds(data, self._table, limit)
        except IndexError:
            raise _TRUNCATED from None


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    """A message that a `FieldCounter` has walked, cut between its fields into chunks of more than `size` bytes: merged
    one after the other, they are the whole."""
    start = at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        at = _skipped(data, at, tag & 7)
        if at - start > size:
            yield data[start:at]
            start = at
    yield data[start:]


def members(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of the content of each field of the message between `start` and `end` that is a submessage,
    a text or bytes. Raises DecodeError where that is no protobuf message, or has groups."""
    at = start
    try:
        while at < end:
            tag, at = _varint(data, at)
            if tag & 7 == _BYTES:
                size, at = _varint(data, at)
                if at + size > end:
                    raise _TRUNCATED
                yield tag >> 3, at, at + size
                at += size
            else:
                at = _skipped(data, at, tag & 7)
    except IndexError:
        raise _TRUNCATED from None
    if at > end:
        raise _TRUNCATED


_TRUNCATED = DecodeError("truncated message")


def _table_of(message: Descriptor, known: dict[str, _Table]) -> _Table:
    if message.full_name in known:
        return known[message.full_name]
    table = known[message.full_name] = {}
    for field in message.fields:
        if field.message_type is not None:
            table[field.number << 3 | _BYTES] = _table_of(field.message_type, known)
    return table


def _exceeds(data: bytes, table: _Table, limit: int) -> bool:
    at, end = 0, len(data)
    outer: list[tuple[int, _Table]] = []
    while True:
        if at >= end:
            if at > end:
                raise _TRUNCATED
            if not outer:
                return False
            end, table = outer.pop()
            continue
        limit -= 1
        if limit < 0:
            return True
        tag = data[at]
        at += 1
        if tag & 0x80:
            tag, at = _varint(data, at - 1)
        inner = table.get(tag)
        if inner is None:
            at = _skipped(data, at, tag & 7)
            continue
        size = data[at]
        at += 1
        if size & 0x80:
            size, at = _varint(data, at - 1)
        if not size:
            continue
        if at + size > end:
            raise _TRUNCATED
        outer.append((end, table))
        end, table = at + size, inner
        if len(outer) > _MAX_DEPTH:
            raise DecodeError("nested too deeply")


def _skipped(data: bytes, at: int, kind: int) -> int:
    """The offset at which a value ends. Raises IndexError where the data ends within a number."""
    if kind == _BYTES:
        size, at = _varint(data, at)
        return at + size
    if kind == _VARINT:
        return _varint(data, at)[1]
    try:
        return at + _FIXED_SIZES[kind]
    except KeyError:
        raise DecodeError("a group, or no such wire type") from None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Decode the varint at `at`: its value and the offset after it."""
    value = 0
    for shift in range(0, 7 * _MAX_VARINT, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise DecodeError("endless number")
