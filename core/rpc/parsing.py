"""From the bytes of a request to its message: within bounds, and without holding the event loop.

A message costs by the number of its fields, not by its length: 30 MiB may be one text, or fifteen million empty
messages that take seconds and a gigabyte. So the fields of a large message are counted on the wire first, and if they
are many, the message is parsed piece by piece in the worker thread, for protobuf itself lets nobody else run.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Final, NoReturn

from google.protobuf.message import DecodeError, Message

from core.errors import InvalidInput
from core.offload import LARGE_BYTES, offload_request

MAX_FIELDS: Final = 1_000_000
"""Of a request, those of nested messages included: ten thousand points with twenty members of metadata each."""
_FEW_FIELDS = 1_000
"""What is parsed at once, however long the texts in them are."""
_LEAST_FIELD = 2
"""Bytes."""
_VARINT, _LENGTH = 0, 2
_FIXED = {1: 8, 5: 4}
"""Size in bytes by wire type."""

Deserialize = Callable[[bytes], Any]
"""`FromString` of a message's class."""


class Parser:
    """Parses the request messages of one RPC."""

    def __init__(self, deserialize: Deserialize, max_fields: int = MAX_FIELDS) -> None:
        self._deserialize = deserialize
        self._class: type[Message] = deserialize.__self__  # type: ignore[attr-defined]  # generated code has no other
        self._max_fields = max_fields

    async def parse(self, data: bytes) -> Any:
        """Raises InvalidInput for too many fields and for what is no such message, and RateLimited where too many large
        ones of the tenant wait."""
        try:
            if self.is_large(data):
                return await offload_request(lambda: self._in_pieces(data), len(data))
            return self._deserialize(data)
        except DecodeError:
            raise InvalidInput("The request cannot be read. Text must be UTF-8, in paths and queries too.") from None

    def small(self, data: bytes) -> Any:
        """The message, or None where it is large or cannot be read. For a look at the request of a refused call."""
        if len(data) > LARGE_BYTES:
            return None
        with suppress(DecodeError):
            return self._deserialize(data)
        return None

    def is_large(self, data: bytes) -> bool:
        """Whether a message takes so long to parse that it must not be done on the event loop."""
        return len(data) > LARGE_BYTES and has_more_fields(data, self._class, _FEW_FIELDS)

    def _in_pieces(self, data: bytes) -> Message:
        if has_more_fields(data, self._class, self._max_fields):
            raise InvalidInput(
                f"The request has more than {self._max_fields} fields: send less at once.", reason="TOO_MANY_VALUES"
            )
        whole = self._class()
        for piece in _pieces(data):
            whole.MergeFromString(piece)
        return whole


class Received:
    """A request message that has yet to be parsed: only once the caller is known to be allowed the call. A transport
    that parsed it would also say INTERNAL of what it cannot read, before the chain has heard of the call."""

    __slots__ = ("_data", "_parser")

    def __init__(self, parser: Parser, data: bytes) -> None:
        self._parser = parser
        self._data = data

    async def message(self) -> Any:
        """Raises InvalidInput. To be called once: the bytes, which may be many, are held no longer than that."""
        data, self._data = self._data, b""
        return await self._parser.parse(data)

    def small_message(self) -> Any:
        """The message, or None where it is large or cannot be read. Not to be asked for after `message`."""
        return self._parser.small(self._data)


async def message_of(received: Received) -> Any:
    return await received.message()


async def messages_of(received: AsyncIterator[Received]) -> AsyncIterator[Any]:
    return _Messages(received)


class _Messages:
    """Those of a stream. One that cannot be read does not end it."""

    def __init__(self, received: AsyncIterator[Received]) -> None:
        self._received = received

    def __aiter__(self) -> "_Messages":
        return self

    async def __anext__(self) -> Any:
        return await (await anext(self._received)).message()


def has_more_fields(message: bytes, kind: type[Message], than: int) -> bool:
    """Whether a serialized message has more than so many fields, at all depths together. Goes down level by level, and
    no further than it must: what is not yet walked holds a field in every two bytes at most. A broken message has as
    many as there are before the break."""
    fields = 0
    level = [(0, len(message), _nested(kind.DESCRIPTOR))]
    with suppress(IndexError, ValueError):
        while fields + sum(end - at for at, end, _ in level) // _LEAST_FIELD > than:
            deeper: list[tuple[int, int, Mapping[int, Any]]] = []
            for at, end, nested in level:
                while at < end:
                    fields += 1
                    if fields > than:
                        return True
                    tag, at = (message[at], at + 1) if message[at] < 0x80 else _varint(message, at)
                    if tag & 7 != _LENGTH:
                        at = _skipped(message, at, tag & 7)
                        continue
                    size, at = (message[at], at + 1) if message[at] < 0x80 else _varint(message, at)
                    if size and (inner := nested.get(tag >> 3)) is not None:
                        deeper.append((at, at + size, _nested(inner)))
                    at += size
            level = deeper
    return False


def _pieces(message: bytes) -> Iterator[bytes]:
    """The message cut between its fields: merged one after the other, the pieces are the whole. What is broken is in
    the last piece, for the parser to refuse."""
    start = at = 0
    with suppress(IndexError, ValueError):
        while at < len(message):
            tag, at = _varint(message, at)
            if tag & 7 == _LENGTH:
                size, at = _varint(message, at)
                at += size
            else:
                at = _skipped(message, at, tag & 7)
            if at - start > LARGE_BYTES and at <= len(message):
                yield message[start:at]
                start = at
    yield message[start:]


@cache
def _nested(descriptor: Any) -> Mapping[int, Any]:
    """The fields of a descriptor that hold messages, by number, with the descriptors of these."""
    return {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}


def _skipped(message: bytes, at: int, kind: int) -> int:
    """Where a value that is not of length ends. Raises ValueError for groups, which no contract has."""
    if kind == _VARINT:
        return _varint(message, at)[1]
    return at + _FIXED[kind] if kind in _FIXED else _broken()


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number, and where it ends. Raises IndexError where the message ends first, ValueError."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    return _broken()


def _broken() -> NoReturn:
    raise ValueError("no message")
