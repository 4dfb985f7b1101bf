"""gRPC on raw HTTP/2, for what no gRPC client does: messages that are cut off, compressed, or larger than they say."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

Headers = Iterable[tuple[str, str]]


@dataclass(slots=True)
class Stream:
    """One call. `sent` counts the bytes of its body that the server was ready to take."""

    id: int
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer, trailers included."""
    content: bytes = b""
    over: bool = False
    sent: int = 0

    @property
    def code(self) -> int:
        """gRPC's status; -1: none came."""
        return int(self.headers.get("grpc-status", -1))

    @property
    def message(self) -> str:
        return unquote(self.headers.get("grpc-message", ""))


class Http2Client:
    """One connection with any number of calls."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._connection.initiate_connection()
        self._streams: dict[int, Stream] = {}
        self._changed = asyncio.Condition()
        self.closed = False

    async def run(self) -> None:
        """Read until the connection ends."""
        self._flush()
        try:
            while data := await self._reader.read(1 << 16):
                for event in self._connection.receive_data(data):
                    self._take(event)
                self._flush()
                async with self._changed:
                    self._changed.notify_all()
        except (ConnectionError, ProtocolError):
            pass
        self.closed = True
        async with self._changed:
            self._changed.notify_all()

    def start(self, path: str, headers: Headers = ()) -> Stream:
        """Send the head of a call."""
        stream = Stream(self._connection.get_next_available_stream_id())
        head = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x")]
        head += [("content-type", "application/grpc"), ("te", "trailers"), *headers]
        self._streams[stream.id] = stream
        self._connection.send_headers(stream.id, head)
        self._flush()
        return stream

    async def send(self, stream: Stream, data: bytes, *, end: bool = False) -> None:
        """Send as much as the server takes, which may be for ever; return early when it has answered."""
        rest = memoryview(data)
        while rest or end:
            if stream.over or self.closed:
                return
            size = min(self._window(stream), self._connection.max_outbound_frame_size, len(rest))
            if size or not rest:
                last = end and size == len(rest)
                self._connection.send_data(stream.id, bytes(rest[:size]), end_stream=last)
                self._flush()
                stream.sent += size
                rest = rest[size:]
                if last:
                    return
                await self._writer.drain()
            else:
                async with self._changed:
                    await self._changed.wait_for(lambda: stream.over or self.closed or self._window(stream))

    async def answer(self, stream: Stream) -> Stream:
        """The call once it has ended."""
        async with self._changed:
            await self._changed.wait_for(lambda: stream.over or self.closed)
        return stream

    def reset(self, stream: Stream) -> None:
        if not stream.over and not self.closed:
            self._connection.reset_stream(stream.id, 8)
            self._flush()

    def _window(self, stream: Stream) -> int:
        """Bytes that the server takes now; the first word of the server's own limit may make less than none of them."""
        return 0 if stream.over else max(0, self._connection.local_flow_control_window(stream.id))

    def _take(self, event: Event) -> None:
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            return
        stream.headers |= dict(getattr(event, "headers", None) or ())
        if isinstance(event, DataReceived):
            stream.content += event.data or b""
            self._connection.acknowledge_received_data(event.flow_controlled_length or 0, stream.id)
        elif isinstance(event, StreamEnded | StreamReset):
            stream.over = True

    def _flush(self) -> None:
        self._writer.write(self._connection.data_to_send())


@asynccontextmanager
async def http2(port: int) -> AsyncIterator[Http2Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = Http2Client(reader, writer)
    running = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        running.cancel()
        writer.transport.abort()  # what it has not sent yet would keep it open


def frame(message: bytes, *, size: int | None = None, compressed: bool = False) -> bytes:
    """A message in gRPC's frame, which may announce another size."""
    return bytes([compressed]) + (len(message) if size is None else size).to_bytes(4, "big") + message
