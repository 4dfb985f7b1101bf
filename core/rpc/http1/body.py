"""The body of a request while it arrives: one gRPC message, read by the call."""

import asyncio
from typing import Protocol

from core.rpc.http1.wire import FRAME_BYTES, message_of
from core.rpc.limits import UNREAD_BYTES
from core.rpc.parsing import too_large


class Holds(Protocol):
    """The part of the connection that a body uses."""

    def hold(self, held: bool) -> None:
        """Stop reading, or go on."""


class Body:
    """Fed by the connection, read by the call. Until it is read, little more than `UNREAD_BYTES` is taken in."""

    __slots__ = ("_connection", "_content", "_dropped", "_max_bytes", "_reader", "_reading", "complete")

    def __init__(self, max_bytes: int, connection: Holds) -> None:
        """`max_bytes` is the limit of the message."""
        self._max_bytes = max_bytes
        self._connection = connection
        self._content: bytes | bytearray = b""
        self._reading = self._dropped = False
        self._reader: asyncio.Future[None] | None = None
        self.complete = False
        """All of it has come."""

    # -- for the connection

    def feed(self, data: bytes) -> None:
        if not self._content:
            self._content = data  # most bodies come in one chunk
        else:
            if isinstance(self._content, bytes):
                self._content = bytearray(self._content)
            self._content += data
        if self._dropped:
            self._content = b""
        elif not self._reading:
            if len(self._content) > UNREAD_BYTES:
                self._connection.hold(True)
        elif self._refusable:
            self._wake()

    def end(self) -> None:
        self.complete = True
        self._connection.hold(False)  # nothing of this request is left to hold back; the next one must get through
        if self._reader is not None:
            self._wake()

    def drop(self) -> None:
        """Drop what has arrived and will arrive, since nobody will read it."""
        self._dropped = True
        self._content = b""
        self._connection.hold(False)

    # -- for the call

    async def read(self) -> bytes:
        """The message, once it is there. Raises as `take` does, as soon as it can be refused."""
        self._reading = True
        self._connection.hold(False)
        if not self.complete and not self._refusable:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self.take()

    def take(self) -> bytes:
        """The message that has come. Raises Refused for what is not one message, and PayloadTooLarge."""
        content, self._content = self._content, b""
        come = len(content) - FRAME_BYTES
        if come > self._max_bytes or (not self.complete and (_announced(content) or 0) > self._max_bytes):
            raise too_large(self._max_bytes)
        return message_of(content)

    @property
    def _refusable(self) -> bool:
        """True if more is announced, or has arrived, than is allowed."""
        announced = _announced(self._content)
        return announced is not None and (announced > self._max_bytes or len(self._content) > FRAME_BYTES + announced)

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _announced(content: bytes | bytearray) -> int | None:
    """Bytes of the message, once its frame has come."""
    return int.from_bytes(content[1:FRAME_BYTES], "big") if len(content) >= FRAME_BYTES else None
