"""Hostile clients of the edge. Each holds as much of it as it can get until the time is over, then prints what it got.

    python -m tests.support.attacks streams --port 8080 --connections 12 --streams 1000 --bytes 63488 --seconds 30
    python -m tests.support.attacks connections --port 8080 --connections 5000 --seconds 30
    python -m tests.support.attacks json --port 8080 --path /v1/models/providers --bytes 131072 --seconds 30

It prints `attacking` once everything that the edge lets it open is open, and a line of JSON when it ends.
"""

import argparse
import asyncio
import contextlib
import json
import socket
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 1
END_HEADERS = 4
INITIAL_WINDOW_SIZE = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_BYTES = 16384
RAMP_SECONDS = 3.0
"""Time that an attack takes to open all it wants; what is closed after that is opened again."""
DRIP_SECONDS = 1.0
PAUSE_SECONDS = 0.05
"""Between two rounds of opening: these attacks are after memory, not after time of the CPU."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """An HTTP/2 frame, valid or not."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


@dataclass(frozen=True, slots=True)
class Frame:
    """An HTTP/2 frame that has come."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def ends_stream(self) -> bool:
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)


def read_frames(connection: socket.socket) -> Iterator[Frame]:
    """Frames as they come, until the other side closes."""
    with connection.makefile("rb") as stream:
        while head := stream.read(9):
            yield _frame(head, stream.read(int.from_bytes(head[:3], "big")))


def _frame(head: bytes, payload: bytes) -> Frame:
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    return Frame(kind, flags, stream, payload)


def header_block(headers: dict[str, str]) -> bytes:
    """Headers in HPACK, as literals that are never indexed. Names and values are shorter than 16 KiB."""
    return b"".join(b"\x10" + _text(name) + _text(value) for name, value in headers.items())


def _text(value: str) -> bytes:
    data = value.encode("latin-1")
    return _length(len(data)) + data


def _length(number: int) -> bytes:
    """An HPACK integer with a prefix of seven bits."""
    if number < 127:
        return bytes([number])
    rest = number - 127
    encoded = bytearray([127])
    while rest >= 128:
        encoded.append(rest % 128 + 128)
        rest //= 128
    encoded.append(rest)
    return bytes(encoded)


@dataclass(slots=True)
class Request:
    """Request that every stream of an attack sends: this head, then `size` bytes of a body that never ends."""

    headers: dict[str, str]
    size: int


@dataclass(slots=True)
class Stream:
    """An open request: bytes of its body that are still to be sent, and how many of them the edge wants now."""

    unsent: int
    window: int


@dataclass
class StreamsAttack:
    """One HTTP/2 connection that keeps `wanted` requests open, more than the edge allows if need be."""

    request: Request
    wanted: int
    seen: Counter[str]
    _streams: dict[int, Stream] = field(default_factory=dict)
    _next: int = 1
    _window: int = 65535
    _stream_window: int = 65535
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, port: int, address: str) -> None:
        """Attack until cancelled, or until the edge closes the connection. Raises OSError or an ExceptionGroup."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        try:
            writer.write(PREFACE + frame(SETTINGS, 0, 0) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**30)))
            async with asyncio.TaskGroup() as tasks:
                sender = tasks.create_task(self._send(writer))
                await self._read(reader, writer)
                sender.cancel()
        finally:
            writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            self._changed.clear()
            for _ in range(self.wanted - len(self._streams)):
                self._open(writer)
            for number, stream in self._streams.items():
                while (size := min(stream.unsent, stream.window, self._window, FRAME_BYTES)) > 0:
                    writer.write(frame(DATA, 0, number, b" " * size))
                    stream.unsent -= size
                    stream.window -= size
                    self._window -= size
            await writer.drain()
            await asyncio.sleep(PAUSE_SECONDS)
            await self._changed.wait()

    def _open(self, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(HEADERS, END_HEADERS, self._next, header_block(self.request.headers)))
        self._streams[self._next] = Stream(self.request.size, self._stream_window)
        self._next += 2
        self.seen["opened"] += 1

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            except (asyncio.IncompleteReadError, ConnectionError):
                self.seen["connections closed"] += 1
                return
            self._take(_frame(head, payload), writer)
            self._changed.set()

    def _take(self, got: Frame, writer: asyncio.StreamWriter) -> None:
        if got.kind == RST_STREAM or got.ends_stream:
            ended = self._streams.pop(got.stream, None)
            self.seen["reset" if got.kind == RST_STREAM else "answered"] += ended is not None
        elif got.kind == WINDOW_UPDATE:
            self._widen(got.stream, int.from_bytes(got.payload, "big"))
        elif got.kind == SETTINGS and not got.flags & ACK:
            self._note_settings(got.payload)
            writer.write(frame(SETTINGS, ACK, 0))
        elif got.kind == PING and not got.flags & ACK:
            writer.write(frame(PING, ACK, 0, got.payload))

    def _widen(self, number: int, more: int) -> None:
        if number == 0:
            self._window += more
        elif number in self._streams:
            self._streams[number].window += more

    def _note_settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self._stream_window
                self._stream_window = value


def post(path: str, headers: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """The head of a POST request with JSON."""
    head = {":method": "POST", ":scheme": "http", ":authority": "edge", ":path": path}
    return head | {"content-type": "application/json"} | dict(headers)


async def attack_with_streams(
    port: int, address: str, connections: int, streams: int, request: Request, seen: Counter[str]
) -> None:
    """Keep connections with many requests open; one that is closed is opened again. Runs until cancelled."""

    async def keep() -> None:
        while True:
            with contextlib.suppress(OSError, ExceptionGroup):
                await StreamsAttack(request, streams, seen).run(port, address)
            await asyncio.sleep(0.1)

    await asyncio.gather(*(keep() for _ in range(connections)))


async def attack_with_connections(
    port: int, address: str, connections: int, first: bytes, seen: Counter[str], drip: bytes = b""
) -> None:
    """Keep connections open that send `first`, then `drip` every second; one that is closed is opened again.

    Runs until cancelled.
    """

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while drip:
            await asyncio.sleep(DRIP_SECONDS)
            writer.write(drip)

    async def keep() -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
                seen["opened"] += 1
                sending = asyncio.ensure_future(send(writer))
                try:
                    while await reader.read(65536):
                        pass
                    seen["connections closed"] += 1
                finally:
                    sending.cancel()
                    writer.close()
            await asyncio.sleep(0.1)

    await asyncio.gather(*(keep() for _ in range(connections)))


def costly_json(size: int) -> bytes:
    """JSON of at most this size that takes a transcoder as long as any of its size can."""
    return b'{"metadata":{"a":[' + b"{}," * ((size - 23) // 3) + b"{}]}}"


async def attack_with_json(port: int, address: str, connections: int, request: Request, seen: Counter[str]) -> None:
    """Send whole requests over HTTP/1.1 one after the other on each connection; `seen` counts statuses of answers.

    Runs until cancelled.
    """
    body = costly_json(request.size)
    head = f"POST {request.headers[':path']} HTTP/1.1\r\nhost: edge\r\ncontent-length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items() if not name.startswith(":"))
    whole = head.encode() + b"\r\n" + body

    async def keep() -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
                try:
                    while True:
                        writer.write(whole)
                        seen[await _status(reader)] += 1
                finally:
                    writer.transport.abort()
            await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(*(keep() for _ in range(connections)))


async def _status(reader: asyncio.StreamReader) -> str:
    """Status of an answer that has a length; the answer is read to its end. Raises IncompleteReadError."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
    return head.split(" ", 2)[1]


async def _attack(given: argparse.Namespace) -> Counter[str]:
    seen: Counter[str] = Counter()
    request = Request(post(given.path, [line.split(": ", 1) for line in given.header]), given.bytes)
    place = given.port, given.address, given.connections
    attacks = {
        "connections": lambda: attack_with_connections(*place, given.first.encode(), seen),
        "json": lambda: attack_with_json(*place, request, seen),
        "streams": lambda: attack_with_streams(*place, given.streams, request, seen),
    }
    task = asyncio.create_task(attacks[given.kind]())
    await asyncio.wait([task], timeout=RAMP_SECONDS)
    print("attacking", flush=True)
    await asyncio.wait([task], timeout=given.seconds - RAMP_SECONDS)
    task.cancel()
    await asyncio.wait([task])
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("streams", "connections", "json"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.2", help="of loopback, from where the attack comes")
    parser.add_argument("--connections", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--streams", type=int, default=1000, help="requests at a time on each connection")
    parser.add_argument("--bytes", type=int, default=62 * 1024, help="of each body, which never ends unless it is JSON")
    parser.add_argument("--path", default="/v1/auth/login")
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'")
    parser.add_argument("--first", default="", help="what each connection sends before it is silent")
    print(json.dumps(asyncio.run(_attack(parser.parse_args()))))


if __name__ == "__main__":
    main()
