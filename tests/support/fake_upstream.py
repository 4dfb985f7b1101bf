"""A provider's server on loopback that does exactly what a test says, byte by byte: slow, broken or hostile.

async def answer(peer: Peer, request: Request) -> None:
    await peer.respond(body=b'{"ok":true}')

async with FakeUpstream(each(answer)) as upstream:
    ... upstream.url, upstream.requests
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""


class Peer:
    """One accepted connection; `number` counts from 0. Writing to a client that has gone is not an error."""

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: list[Request]
    ) -> None:
        self.number = number
        self._reader = reader
        self._writer = writer
        self._seen = seen

    @property
    def closing(self) -> bool:
        """True if the connection has ended, as far as we know."""
        return self._writer.is_closing()

    async def request(self, *, body: bool = True) -> Request | None:
        """The next request, or None when the client has gone. Without `body` its body is left unread."""
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")[:-2]
            method, target, _ = first.split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = int(headers.get("content-length", "0")) if body else 0
            request = Request(method, target, headers, await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self._seen.append(request)
        return request

    async def send(self, data: bytes) -> None:
        """These very bytes, in a segment of their own."""
        if not self._writer.is_closing():
            self._writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def respond(
        self, status: int = 200, body: bytes = b"{}", headers: Mapping[str, str] | None = None, *, length: bool = True
    ) -> None:
        """A whole response. Without `length` it has no Content-Length."""
        fields = {"Content-Type": "application/json", **(headers or {})}
        if length:
            fields["Content-Length"] = str(len(body))
        await self.send(_head(status, fields) + body)

    async def start(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """The head of a chunked response; `chunk` and `finish` follow."""
        fields = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked", **(headers or {})}
        await self.send(_head(status, fields))

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def finish(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def gone(self) -> None:
        """Return when the client has closed its side."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65536):
                pass

    def close(self) -> None:
        """In order: what was sent arrives."""
        self._writer.close()

    def reset(self) -> None:
        """With RST, as a crashed server or an impatient middlebox does."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]
"""Script of one connection. It is closed when the script returns."""


def each(handler: Callable[[Peer, Request], Awaitable[None]]) -> Script:
    """The script of a well-behaved server: `handler` for every request of a connection."""

    async def serve(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            await handler(peer, request)

    return serve


class FakeUpstream:
    """Listens on a free port while entered. On exit, connections are cut and a script's exception is raised."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.requests: list[Request] = []
        self.connections = 0
        """Accepted so far."""
        self._script = script
        self._tls = tls
        self._host = host
        self._running: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._failures: list[Exception] = []
        self._server: asyncio.Server

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    @property
    def open(self) -> int:
        """Connections whose script is running."""
        return len(self._running)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, 0, ssl=self._tls, limit=2**20)
        return self

    async def __aexit__(self, *_: object) -> None:
        for _round in range(5):  # a connection that is just being accepted would be lost, open, when the server closes
            await asyncio.sleep(0)
        self._server.close()
        running = dict(self._running)
        for task, writer in running.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*running, return_exceptions=True)
        for writer in running.values():
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
        if self._failures:
            raise self._failures[0]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(self.connections, reader, writer, self.requests)
        self.connections += 1
        task = asyncio.ensure_future(self._serve(peer, writer))
        self._running[task] = writer

    async def _serve(self, peer: Peer, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            await self._script(peer)
        except Exception as error:  # a script's failed assertion must fail the test
            self._failures.append(error)
        finally:
            writer.close()
            del self._running[task]


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode("latin-1")
