"""The HTTP client of one provider."""

import asyncio
import re
from collections.abc import Awaitable
from pathlib import Path

from core.errors import DeadlineExceeded, InvalidInput
from core.http.connection import ClientConnection
from core.http.connector import Connector, tls_context
from core.http.decoding import decoder_for
from core.http.errors import TransportFailed
from core.http.guard import OutboundGuard
from core.http.origin import Origin
from core.http.pool import ConnectionPool
from core.http.ports import Response, Timeouts
from core.http.stream import DecodedResponse, StreamedResponse

DEFAULT_TIMEOUTS = Timeouts()
_TARGET = re.compile(rb"/[!-~]*")


class HttpClient:
    """The Upstream of `core.http.ports`. Belongs to the event loop it is made in.

    `idle_seconds` is how long an unused connection is kept. `max_response_bytes` bounds whole responses; the reader
    of a stream counts for itself. `ca_file` is trusted besides the system's authorities.
    """

    def __init__(
        self,
        origin: Origin,
        guard: OutboundGuard,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        max_connections: int = 512,
        idle_seconds: float = 50.0,
        max_response_bytes: int = 32 * 1024 * 1024,
        ca_file: Path | None = None,
    ) -> None:
        self.origin = origin
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._max_response_bytes = max_response_bytes
        connector = Connector(origin, guard, tls_context(ca_file) if origin.secure else None, self._make)
        self._pool = ConnectionPool(connector.connect, max_connections=max_connections, idle_seconds=idle_seconds)

    def post(
        self,
        target: bytes,
        headers: bytes,
        body: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Awaitable[Response]:
        return self.request(
            b"POST", target, headers, body, extra_headers=extra_headers, timeouts=timeouts, deadline=deadline
        )

    def get(
        self,
        target: bytes,
        headers: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Awaitable[Response]:
        return self.request(b"GET", target, headers, extra_headers=extra_headers, timeouts=timeouts, deadline=deadline)

    async def request(
        self,
        method: bytes,
        target: bytes,
        headers: bytes,
        body: bytes = b"",
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Response:
        """Send a request of any method but CONNECT."""
        message = _message(method, target, headers, extra_headers, body)
        _, response = await self._exchange(
            message, timeouts or self._timeouts, deadline, streaming=False, head_only=method == b"HEAD"
        )
        return response

    async def stream(
        self,
        target: bytes,
        headers: bytes,
        body: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
        method: bytes = b"POST",
    ) -> StreamedResponse:
        message = _message(method, target, headers, extra_headers, body)
        connection, head = await self._exchange(
            message, timeouts or self._timeouts, deadline, streaming=True, head_only=method == b"HEAD"
        )
        decoder = decoder_for(head.headers.get(b"content-encoding"))
        if decoder is not None:
            return DecodedResponse(head.status, head.headers, connection, decoder)
        return StreamedResponse(head.status, head.headers, connection)

    async def close(self) -> None:
        """Refuse new requests and wait for those under way. Cancelling it breaks them off."""
        await self._pool.close()

    async def _exchange(
        self, message: bytes, timeouts: Timeouts, deadline: float | None, *, streaming: bool, head_only: bool
    ) -> tuple[ClientConnection, Response]:
        if deadline is not None and deadline <= self._loop.time():
            raise DeadlineExceeded("The deadline passed before the provider was asked.")
        idle = self._pool.idle
        fresh = False
        while True:
            connection = idle.pop() if idle and not fresh else await self._acquire(timeouts, deadline, fresh)
            waiter = connection.send(message, timeouts, deadline, streaming=streaming, head_only=head_only)
            try:
                return connection, await waiter
            except TransportFailed:
                if fresh or not connection.stale:
                    raise
                fresh = True  # the server had closed it before the request: once more, on a new one
            except BaseException:  # cancelled, mostly: nobody waits for the answer
                if streaming:
                    connection.abort()
                else:
                    connection.give_up(waiter)
                raise

    async def _acquire(self, timeouts: Timeouts, deadline: float | None, fresh: bool) -> ClientConnection:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._pool.acquire(timeouts.pool, timeouts.connect, fresh=fresh)
        except TimeoutError:
            raise DeadlineExceeded("The deadline passed before the provider was reached.") from None

    def _make(self) -> ClientConnection:
        return ClientConnection(self._pool, self._loop, self._max_response_bytes)


def _message(method: bytes, target: bytes, headers: bytes, extra_headers: bytes, body: bytes) -> bytes:
    if not _TARGET.fullmatch(target):
        raise InvalidInput("The path to the provider holds a blank or a character beyond ASCII.", field="path")
    length = b"" if method in (b"GET", b"HEAD") else b"Content-Length: %d\r\n" % len(body)
    return b"%b %b HTTP/1.1\r\n%b%b%b\r\n%b" % (method, target, headers, extra_headers, length, body)
