"""A client for many streamed chats at once that checks each of them to its end.

It reads raw sockets, so that two hundred streams cost little beside the gateway that is being measured.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools

from tests.load import processes

_DONE = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Target:
    """One request, ready to send: `url` is http://host:port/path, `body` JSON."""

    url: str
    body: bytes
    headers: Mapping[str, str]

    def request(self) -> bytes:
        parts = urlsplit(self.url)
        headers = {
            "Host": parts.netloc,
            "Content-Type": "application/json",
            "Content-Length": str(len(self.body)),
            **self.headers,
        }
        lines = [f"POST {parts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


@dataclass(slots=True)
class Streams:
    """Result of a run: `events` counts server-sent events without `[DONE]`, `reads` how many chunks brought them."""

    started: int = 0
    finished: int = 0
    events: int = 0
    reads: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


More = Callable[[Streams], bool]
"""Decision to start another stream, given the result so far."""


@dataclass(frozen=True, slots=True)
class Soak:
    """Streams held open together, and the memory of the processes that carried them, before, at the peak and after."""

    streams: Streams
    before: processes.Tree
    after: processes.Tree

    @property
    def growth(self) -> dict[str, int]:
        """Bytes of resident memory by process, after less before."""
        grown: dict[str, int] = {}
        for pid, process in self.after.processes.items():
            earlier = self.before.processes.get(pid)
            grown[process.label] = grown.get(process.label, 0) + process.rss - (earlier.rss if earlier else 0)
        return grown


class StreamFailed(Exception):
    """A stream that was refused, cut off or incomplete; the text says which."""


class _Connection(asyncio.Protocol):
    """One keep-alive connection; answers one request at a time."""

    def __init__(self) -> None:
        self.closed = False
        self._begin()

    def _begin(self) -> None:
        self.events, self.reads, self.status = 0, 0, 0
        self.done, self._rest, self._body = False, b"", bytearray()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)

    async def stream(self, request: bytes, expected: int | None) -> int:
        """Send one request and read its stream. Returns the number of events; raises StreamFailed."""
        self._begin()
        self.transport.write(request)
        await self._ended
        if self.status != 200:
            raise StreamFailed(f"status {self.status}: {bytes(self._body[:200]).decode(errors='replace')}")
        if not self.done:
            raise StreamFailed(f"ended without [DONE] after {self.events} events")
        if expected is not None and self.events != expected:
            raise StreamFailed(f"{self.events} events instead of {expected}")
        return self.events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.reads += 1
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(StreamFailed(f"not HTTP: {error}"))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if self.status != 200:
            self._body += body
            return
        *lines, self._rest = (self._rest + body).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                if line[5:].strip() == _DONE:
                    self.done = True
                else:
                    self.events += 1

    def on_message_complete(self) -> None:
        self.closed = self.closed or not self._parser.should_keep_alive()
        self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._end(StreamFailed(f"connection lost after {self.events} events ({error})"))

    def _end(self, error: StreamFailed | None) -> None:
        if not self._ended.done():
            if error:
                self._ended.set_exception(error)
            else:
                self._ended.set_result(None)


async def run(
    target: Target, *, concurrent: int, more: More, expected: int | None = None, limit: float = 120
) -> Streams:
    """Keep `concurrent` streams open, each followed by another while `more(so far)`; all of them run to their end.

    `expected` is the number of events that each stream must bring, `limit` the seconds that one may take.
    """
    total, request = Streams(), target.request()
    loop, address = asyncio.get_running_loop(), urlsplit(target.url)
    host, port = address.hostname or "127.0.0.1", address.port or 80

    async def client() -> None:
        connection: _Connection | None = None
        while more(total):
            total.started += 1
            try:
                async with asyncio.timeout(limit):
                    if connection is None or connection.closed:
                        _, connection = await loop.create_connection(_Connection, host, port)
                    events = await connection.stream(request, expected)
                total.events += events  # never `+= await`: that would lose what others add meanwhile
                total.finished += 1
            except (StreamFailed, OSError) as failure:  # TimeoutError is an OSError
                total.failures.append(f"{type(failure).__name__}: {failure}")
                if connection:
                    connection.transport.abort()
                    connection = None
            if connection:
                total.reads += connection.reads
        if connection:
            connection.transport.close()

    started = loop.time()
    await asyncio.gather(*(client() for _ in range(concurrent)))
    total.seconds = loop.time() - started
    return total


async def soak(target: Target, *, pid: int, concurrent: int = 200, expected: int | None = None) -> Soak:
    """Hold `concurrent` streams open together, once; read the memory of `pid` and its descendants before and after."""
    before = processes.tree(pid)
    total = await run(target, concurrent=concurrent, more=lambda so_far: so_far.started < concurrent, expected=expected)
    return Soak(total, before, processes.tree(pid))
