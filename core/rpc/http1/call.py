"""The transport of one call on a connection, as the chain sees it."""

import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Protocol

import grpc
from grpc.aio import AbortError

from core.rpc.http1 import wire
from core.rpc.http1.body import Body
from core.rpc.http1.wire import Pairs, Refused


class ResponseWriter(Protocol):
    """The part of the connection that a call uses."""

    @property
    def peer(self) -> str:
        """The peer's address as gRPC writes it: "ipv4:127.0.0.1:5000"."""

    @property
    def closing(self) -> bool:
        """True if this answer is the connection's last."""

    @property
    def paused(self) -> bool:
        """True if the other side reads slowly: await `drained` before more is sent."""

    def send(self, data: bytes) -> None: ...

    async def drained(self) -> None: ...


class Http1Call:
    """Reads the request and writes the answer, whose head is collected and sent with the first message."""

    __slots__ = ("_body", "_code", "_deadline", "_head", "_headers", "_serialize", "_status", "_writer")

    def __init__(
        self,
        writer: ResponseWriter,
        headers: dict[str, str],
        body: Body,
        seconds: float | None,
        serialize: Callable[[Any], bytes],
    ) -> None:
        self._writer = writer
        self._body = body
        self._headers = headers
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._serialize = serialize
        self._head: bytes | None = b""
        """Further header lines; None once the head is sent."""
        self._status: bytes | None = None
        """The lines of a status other than OK."""
        self._code = grpc.StatusCode.OK

    def invocation_metadata(self) -> Iterable[tuple[str, str]]:
        return self._headers.items()

    def peer(self) -> str:
        return self._writer.peer

    def time_remaining(self) -> float | None:
        """Seconds; None: for ever."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    @property
    def arrived(self) -> bool:
        return self._body.complete

    async def read(self) -> bytes:
        """The message of the request. Call it once. Raises PayloadTooLarge, and AbortError for what is no message."""
        body = self._body
        try:
            return body.take() if body.complete else await body.read()
        except Refused as refusal:
            await self.abort(refusal.code, refusal.text)

    async def send_initial_metadata(self, metadata: Pairs) -> None:
        if self._head is None:
            raise RuntimeError("the answer has begun")
        self._head += wire.header_lines(metadata)

    async def write(self, message: Any) -> None:
        """Send a message of a stream at once."""
        self._writer.send(self._begin() + wire.chunk_of(self._serialize(message)))
        if self._writer.paused:
            await self._writer.drained()

    def code(self) -> grpc.StatusCode:
        return self._code

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Pairs = ()) -> NoReturn:
        self.fail(code, details, trailing_metadata)
        raise AbortError

    def fail(self, code: grpc.StatusCode, details: str, trailing_metadata: Pairs = ()) -> None:
        """Set the status with which the call will end."""
        self._code = code
        self._status = wire.status_lines(code, details, trailing_metadata)

    def end(self, message: Any = None) -> None:
        """Send the rest of the answer: `message`, if there is one, and the status."""
        status = self._status
        if status is None and message is not None:
            self._writer.send(self._begin() + wire.chunk_of(self._serialize(message)) + wire.OK)
        elif self._head is None:
            self._writer.send(wire.OK if status is None else wire.last(status))
        else:
            self._writer.send(self._begin(wire.EMPTY, wire.OK_STATUS if status is None else status))

    def _begin(self, kind: bytes = wire.CHUNKED, more: bytes = b"") -> bytes:
        """The head, if it is not sent yet."""
        head, self._head = self._head, None
        if head is None:
            return b""
        return b"%b%b%b%b\r\n" % (kind, wire.CLOSE if self._writer.closing else b"", head, more)
