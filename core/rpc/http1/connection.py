"""One connection of the edge, carrying one call at a time."""

import asyncio
import math
from typing import Any, Protocol

import grpc
from grpc.aio import AbortError
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from core import logs
from core.rpc.chain import Method
from core.rpc.http1 import wire
from core.rpc.http1.body import Body
from core.rpc.http1.call import Http1Call
from core.rpc.http1.wire import Refused
from core.rpc.limits import MAX_HEAD_BYTES, MIB

REQUEST_SECONDS = 60.0
"""Time for a request's head, and for the rest of a request that is answered before all of it has come."""
IDLE_SECONDS = 300.0
"""Time that a connection may be idle. The edge closes what is idle long before, so that the two never meet half-way."""
READY_PATH = b"/health/ready"

_MAX_BODY = 40 * MIB
"""Most bytes of a body: more than any RPC takes. Who sends this is not the edge, and gets no answer of an RPC."""
_GRPC = "application/grpc"

log = logs.get(__name__)


class Server(Protocol):
    """The part of the server that a connection uses."""

    @property
    def serving(self) -> bool:
        """True if the edge may send calls."""

    @property
    def stopping(self) -> bool:
        """True if every connection ends after its present answer."""

    def method(self, path: bytes) -> Method | None: ...

    def remember(self, connection: "ServerConnection") -> None:
        """Count a connection that has been made."""

    def forget(self, connection: "ServerConnection") -> None:
        """Remove a connection that is closed and whose call has ended. Called once."""


class _Unfit(Exception):
    """Stops the parser. The text is an HTTP status."""


class ServerConnection(asyncio.Protocol):
    """Parses requests, runs each in a task of its own, and cancels that when the connection closes.

    The task begins as soon as the request's head is there: a call is refused before its body has come. The rest of
    such a request is thrown away as it comes, so that the edge reads the answer and uses the connection again.

    Whatever is not what the edge sends ends the connection: there is no second way to read a request.
    """

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._persistent = True
        self._held = False
        """True while reading is paused."""
        self._lost = False
        self._writable: asyncio.Future[None] | None = None
        self._unfit = b""
        self._task: asyncio.Task[None] | None = None
        self._started = False
        """The task has taken its first step, and will hence take its last."""
        self._expired = False
        self.deadline = loop.time() + IDLE_SECONDS
        """Time at which `expire` is due, on the loop's clock."""
        # The request; `on_message_begin` sets these anew.
        self._receiving = self._in_head = False
        self._answered = False
        """True once the request is answered before all of it has come."""
        self._path = b""
        self._headers: dict[str, str] = {}
        self._body: Body | None = None
        self._size = 0
        """Size of the body so far, in bytes."""
        self._silent = 0
        """Bytes received since the last of a body."""

    # -- for the server

    def expire(self) -> None:
        """`deadline` has passed: a request is late, or none has come for long."""
        if self._receiving and not self._answered:
            self._refuse(b"408 Request Timeout")
        else:
            self._transport.close()

    def retire(self) -> None:
        """Close, now or after the present answer."""
        if self._task is None and not self._receiving:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, which cancels the call."""
        self._transport.abort()

    # -- for the call

    @property
    def peer(self) -> str:
        host, port = self._transport.get_extra_info("peername")[:2]
        return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"

    @property
    def closing(self) -> bool:
        return not self._persistent or self._server.stopping

    @property
    def paused(self) -> bool:
        return self._writable is not None

    def send(self, data: bytes) -> None:
        self._transport.write(data)

    async def drained(self) -> None:
        if self._writable is not None:
            await asyncio.shield(self._writable)  # the next call may have to wait for the same

    def hold(self, held: bool) -> None:
        """Stop reading, or go on."""
        if held is self._held or self._transport.is_closing():
            return
        self._held = held
        if held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # -- callbacks of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a server makes no other kind
        self._server.remember(self)

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._transport.is_closing():
            return
        if self._task is not None and not self._receiving:
            self.abort()  # the edge awaits its answer before it sends more
            return
        self._silent += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._refuse(self._unfit or b"400 Bad Request")
        else:
            if self._silent > MAX_HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """End the connection, also when only the edge's half is closed: it never does that to a connection on which it
        waits."""
        self._parser = None  # it holds our methods: a cycle
        self._lost = True
        if self._body is not None:  # it holds us, and so what has come of it until the garbage collector comes by
            self._body.drop()
            self._body = None
        if self._task is not None:
            self._task.cancel()
        if not self._started:
            self._server.forget(self)

    # -- callbacks of the parser, out of data_received

    def on_message_begin(self) -> None:
        if self._task is not None:
            self._stop(b"400 Bad Request")  # a second request behind the first
        self._receiving = self._in_head = True
        self._path, self._headers, self._body, self._size = b"", {}, None, 0
        self.deadline = self._loop.time() + REQUEST_SECONDS

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers have no readers
            self._headers[name.lower().decode()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self._in_head = False
        headers, verb = self._headers, self._parser.get_method()
        if self._parser.get_http_version() != "1.1":
            self._stop(b"505 HTTP Version Not Supported")
        if self._parser.should_upgrade():
            self._stop(b"400 Bad Request")
        if verb != b"POST" and not (verb == b"GET" and self._path == READY_PATH):
            self._stop(b"405 Method Not Allowed")
        if verb == b"POST" and headers.get("content-type", "").partition(";")[0] not in (_GRPC, _GRPC + "+proto"):
            self._stop(b"415 Unsupported Media Type")
        if headers.get("transfer-encoding", "chunked").lower() != "chunked":
            self._stop(b"501 Not Implemented")
        if int(headers.get("content-length", "0")) > _MAX_BODY:
            self._stop(b"413 Content Too Large")
        if self._silent > MAX_HEAD_BYTES and sum(map(len, (*headers, *headers.values()))) > MAX_HEAD_BYTES:
            self._stop(b"431 Request Header Fields Too Large")
        self._persistent = self._parser.should_keep_alive()
        if self._path != READY_PATH:
            self._begin()

    def on_body(self, data: bytes) -> None:
        self._silent = 0
        self._size += len(data)
        if self._size > _MAX_BODY:
            self._stop(b"413 Content Too Large")
        if self._body is not None:
            self._body.feed(data)

    def on_message_complete(self) -> None:
        self._receiving = False
        self._silent = 0
        if self._body is None:
            self._tell_ready()
        elif self._answered:
            self._answered = False
            self._rest()
        else:
            self._body.end()

    # -- within

    def _stop(self, status: bytes) -> None:
        self._unfit = status
        raise _Unfit(status)

    def _begin(self) -> None:
        """Start the call, whose body comes later."""
        method = self._server.method(self._path)
        self._body = Body(method.policy.max_request_bytes if method else 0, self)
        self.deadline = math.inf
        self._task = self._loop.create_task(self._serve(method, self._headers, self._body))

    def _refuse(self, status: bytes) -> None:
        """Refuse what is no request. Where a call is running, or has been answered, there is nothing left to say."""
        if self._answered or self._started or (self._task is not None and not self._receiving):
            self.abort()
            return
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._transport.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        self._transport.close()

    def _tell_ready(self) -> None:
        status = b"200 OK" if self._server.serving else b"503 Service Unavailable"
        close = wire.CLOSE if self.closing else b""
        self._transport.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\n%b\r\n" % (status, close))
        self._rest()

    async def _serve(self, method: Method | None, headers: dict[str, str], body: Body) -> None:
        self._started = True
        try:
            await self._answer(method, headers, body)
        except Exception:  # an answer that cannot be written: what of it was sent cannot be taken back
            log.exception("answer cut off", path=self._path.decode("latin-1"))
            self.abort()
        finally:
            self._task, self._started = None, False
            if self._lost:
                self._server.forget(self)
            elif self._receiving:
                self._answered = True
                self.deadline = self._loop.time() + REQUEST_SECONDS
                body.drop()
            else:
                self._rest()

    async def _answer(self, method: Method | None, headers: dict[str, str], body: Body) -> None:
        seconds = wire.seconds_of(headers.get("grpc-timeout"))
        call = Http1Call(self, headers, body, seconds, method.serialize if method else bytes)
        timer = None if seconds is None else self._loop.call_later(seconds, self._give_up)
        message: Any = None
        try:
            if method is None:
                raise Refused(grpc.StatusCode.UNIMPLEMENTED, "There is no such method.")
            message = await method.run(None, call)
        except AbortError:
            pass  # the call knows its status
        except Refused as refusal:
            call.fail(refusal.code, refusal.text)
        except asyncio.CancelledError:
            if not self._expired or self._lost:
                raise
            call.fail(grpc.StatusCode.DEADLINE_EXCEEDED, "The deadline has passed.")
        finally:
            self._expired = False
            if timer is not None:
                timer.cancel()
        call.end(message)

    def _give_up(self) -> None:
        if self._task is not None:
            self._expired = True
            self._task.cancel()

    def _rest(self) -> None:
        """Wait for the next request."""
        if self.closing:
            self._transport.close()
        else:
            self.deadline = self._loop.time() + IDLE_SECONDS
