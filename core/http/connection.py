"""One keep-alive connection to a provider and the exchange that it carries."""

import asyncio
import math
import re
from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from core.errors import DeadlineExceeded, PorticoError
from core.http.decoding import decoded, known, unsupported
from core.http.errors import BadResponse, TransportFailed, UpstreamTimeout
from core.http.limits import MAX_BUFFERED_BYTES, MAX_FRAMING, MAX_HEAD_BYTES
from core.http.ports import Response, Timeouts

_KEEP_ALIVE_SECONDS = re.compile(rb"timeout\s*=\s*(\d{1,6})", re.IGNORECASE)


class Pool(Protocol):
    """The part of the pool that a connection uses."""

    def watch(self, deadline: float) -> None:
        """Call `expire` on every connection whose deadline has passed, at `deadline` the latest."""

    def release(self, connection: "ClientConnection") -> None:
        """Return a connection whose exchange has ended and which can carry another."""

    def forget(self, connection: "ClientConnection") -> None:
        """Remove a connection that has closed. Called once."""


class ClientConnection(asyncio.Protocol):
    """Carries one exchange at a time.

    A whole response is the result of `send`'s future, and the connection is then back with its owner. For a streamed
    one the future brings the head and the reader drives the rest: `wait` until `readable`, `take`, `end` when done.
    Nothing here awaits: the callbacks of transport and parser do all the work, and one future wakes the caller.
    """

    __slots__ = (
        "_body_due",
        "_body_timeout",
        "_buffered",
        "_error",
        "_head",
        "_head_only",
        "_headers",
        "_idle_timeout",
        "_loop",
        "_max_body",
        "_parser",
        "_parts",
        "_paused",
        "_persistent",
        "_pool",
        "_silent",
        "_streaming",
        "_total_deadline",
        "_transport",
        "_used",
        "_waiter",
        "closed",
        "complete",
        "deadline",
        "keep_alive",
        "stale",
    )

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop, max_body: int) -> None:
        self._pool = pool
        self._loop = loop
        self._max_body = max_body
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._used = False
        self.closed = False
        self.deadline = math.inf
        """Time at which `expire` is due, on the loop's clock."""
        self.keep_alive = math.inf
        """Seconds that the server keeps an idle connection, if it said so."""
        # The exchange; `send` sets these anew.
        self._waiter: asyncio.Future[Response] | None = None
        self._headers: dict[bytes, bytes] = {}
        self._head: Response | None = None
        self._parts: list[bytes] = []
        self._buffered = 0
        """Bytes in `_parts`."""
        self._silent = 0
        """Bytes received that were not body, as far as the body has not made up for them."""
        self._error: PorticoError | None = None
        self._streaming = False
        self._head_only = False
        self._paused = False
        self._persistent = False
        self._idle_timeout = self._body_timeout = 0.0
        self._total_deadline = self._body_due = math.inf
        self.complete = True
        """No response is outstanding."""
        self.stale = False
        """Lost without one byte of an answer after it had served before: the server had closed it while it was idle."""

    # -- the exchange, driven by client and stream

    def send(
        self,
        message: bytes,
        timeouts: Timeouts,
        deadline: float | None,
        *,
        streaming: bool = False,
        head_only: bool = False,
    ) -> asyncio.Future[Response]:
        """Send a request. `head_only`: as for HEAD, whose answers have no body whatever their headers say."""
        self._total_deadline = math.inf if deadline is None else deadline
        self._body_due = math.inf
        self._idle_timeout, self._body_timeout = timeouts.idle, timeouts.body
        self._headers = {}
        self._head = None
        self._buffered = self._silent = 0
        self._streaming = streaming
        self._head_only = head_only
        self.complete = False
        self._waiter = waiter = self._loop.create_future()
        self._transport.write(message)
        self._expect(timeouts.first_byte)
        return waiter

    def give_up(self, waiter: asyncio.Future[Response]) -> None:
        """Abandon a whole response that nobody waits for any more. Ends its exchange, unless that just ended by
        itself."""
        if self._waiter is waiter:
            self.abort()
        elif not waiter.cancelled():
            waiter.exception()  # seen: nobody else will ask for it

    @property
    def readable(self) -> bool:
        return bool(self._parts) or self.complete or self._error is not None

    @property
    def drained(self) -> bool:
        return self.complete and not self._parts

    def wait(self) -> asyncio.Future[Response]:
        """Done when `readable`."""
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def wake(self) -> None:
        """End a `wait` of a stream's reader although nothing came."""
        if self._head is not None:
            self._wake()

    def take(self) -> bytes:
        """The bytes received since the last call; b"" at the end. What broke the stream is raised after its last
        bytes."""
        parts = self._parts
        if not parts:
            if self._error is not None:
                raise self._error
            return b""
        chunk = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._buffered = 0
        if self._paused:
            self._paused = False
            if not self.closed:
                self._transport.resume_reading()
                self._expect(self._idle_timeout)
        return chunk

    def end(self) -> None:
        """End the exchange: the reader of a stream is done with it."""
        self._parts.clear()
        if self.complete:
            self._recycle()
        else:
            self.abort()

    def expire(self) -> None:
        """Handle a deadline that has passed."""
        if self.complete:
            self.abort()
        elif self._loop.time() >= self._total_deadline:
            self._fail(DeadlineExceeded("The deadline passed before the provider had answered."))
        elif self._head is None:
            self._fail(UpstreamTimeout("The provider did not answer in time.", sent=True))
        else:
            self._fail(UpstreamTimeout("The provider stopped in the middle of its answer.", sent=True))

    def abort(self) -> None:
        """Close at once. Who still waits for this exchange gets TransportFailed."""
        self._fail(TransportFailed("The connection to the provider was closed.", sent=True))

    # -- callbacks of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # create_connection makes no other kind

    def data_received(self, data: bytes) -> None:
        if self.complete or self._parser is None:
            self._close()  # bytes that answer nothing: they would be taken for the next request's answer
            return
        self._silent += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if not self.complete:
                self._fail(BadResponse("The provider's answer is not valid HTTP."))
                return
            self._persistent = False  # the response was whole; what followed it was not
        if self._error is not None:
            self._fail(self._error)
        elif self.complete:
            self._finish()
        elif self._silent > MAX_HEAD_BYTES:
            self._fail(BadResponse("The headers of the provider's answer are too large."))
        elif self._head is not None:
            self._progress()

    def eof_received(self) -> None:
        if self.complete:
            self._close()  # not only when the loop comes round to connection_lost: somebody might pick it up before

    def connection_lost(self, error: Exception | None) -> None:
        self._parser = None  # it holds our methods: a cycle
        self._close()
        if self.complete or self._error is not None:
            return
        if error is None and self._head is not None and not _has_length(self._headers):
            self.complete = True  # a response without a length ends with its connection
            self._finish()
        else:
            self.stale = self._used and not self._silent and self._head is None
            self._fail(TransportFailed("The connection to the provider broke.", sent=True))

    # -- callbacks of the parser, out of data_received

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("a second response")  # stops the parser; data_received takes it for what it is

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:  # trailers have no readers
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status, headers = self._parser.get_status_code(), self._headers
        if 100 <= status < 200:
            self._headers = {}
            return
        self._head = Response(status, headers, b"")
        if not self._streaming:
            self._body_due = self._loop.time() + self._body_timeout
        if not 200 <= status <= 599:
            self._error = BadResponse("The provider's answer has no valid status.")
        elif headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            self._error = BadResponse("The provider's answer has a transfer encoding that is not supported.")
        elif self._streaming and not known(headers.get(b"content-encoding")):
            self._error = unsupported()
        elif self._silent > MAX_HEAD_BYTES and sum(map(len, (*headers, *headers.values()))) > MAX_HEAD_BYTES:
            self._error = BadResponse("The headers of the provider's answer are too large.")
        elif self._head_only:
            self.complete = True
            self._persistent = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        if self._head_only:
            raise ValueError("a body that answers HEAD")
        self._silent = max(0, self._silent - MAX_FRAMING * len(data))
        self._parts.append(data)
        self._buffered += len(data)

    def on_message_complete(self) -> None:
        if self._head is not None:  # or else it was an interim response
            assert self._parser is not None
            self.complete = True
            self._persistent = self._parser.should_keep_alive()

    # -- within

    def _progress(self) -> None:
        """Called between two chunks of the body."""
        if self._streaming:
            self._wake()
            if self._buffered > MAX_BUFFERED_BYTES:
                self._paused = True
                self._transport.pause_reading()
                self._expect(math.inf)  # the reader is slow, not the provider
                return
        elif self._buffered > self._max_body:
            self._fail(_too_large())
            return
        self._expect(self._idle_timeout)

    def _expect(self, seconds: float) -> None:
        self.deadline = due = min(self._loop.time() + seconds, self._total_deadline, self._body_due)
        self._pool.watch(due)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            assert self._head is not None
            waiter.set_result(self._head)

    def _finish(self) -> None:
        """Finish the exchange: the response is complete."""
        self.deadline = math.inf
        if self._head_only and self._parser is not None:
            self._parser = HttpResponseParser(self)  # the old one waits for a body
        if self._streaming:
            self._wake()
            return
        assert self._head is not None
        try:
            self._head.body = self._whole_body()
        except BadResponse as problem:
            self._fail(problem)
            return
        self._wake()  # first: the owner may close what it gets back
        self._recycle()

    def _whole_body(self) -> bytes:
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        if len(body) > self._max_body:
            raise _too_large()
        coding = self._headers.get(b"content-encoding")
        return body if coding is None else decoded(body, coding, self._max_body)

    def _recycle(self) -> None:
        """Return the connection to the pool, if both sides keep it alive."""
        if self.closed:
            return
        # A request that is answered before it was sent to its end would have the next one begin in its middle.
        if not self._persistent or self._transport.get_write_buffer_size():
            self._close()
            return
        if not self._used:
            self._used = True
            if told := _KEEP_ALIVE_SECONDS.search(self._headers.get(b"keep-alive", b"")):
                self.keep_alive = max(0.0, int(told[1]) - 1.0)  # close before the server does
        self._pool.release(self)

    def _fail(self, error: PorticoError) -> None:
        self._error = self._error or error
        waiter, self._waiter = self._waiter, None
        self._close()
        if waiter is not None and not waiter.done():
            waiter.set_exception(self._error)

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            self._pool.forget(self)
            self._transport.abort()


def _has_length(headers: dict[bytes, bytes]) -> bool:
    return b"content-length" in headers or b"transfer-encoding" in headers


def _too_large() -> BadResponse:
    return BadResponse("The provider's answer is too large.")
