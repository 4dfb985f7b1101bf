"""Streamed answers to a chat, as the client reads them."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from core.errors import PorticoError
from core.http.ports import Stream
from services.inference.domain.codecs.errors import malformed
from services.inference.domain.codecs.events import Kind, kind_of
from services.inference.domain.codecs.headers import Pairs
from services.inference.domain.codecs.openai.chunks import Chunk, ChunkStream
from services.inference.domain.codecs.openai.completions import chunks_of
from services.inference.domain.pipeline.requests import ClientOptions
from services.inference.domain.routing.sending import ProviderSender
from services.inference.domain.usage import calls, tokens
from services.inference.domain.usage.calls import CANCELLED, ModelCall
from services.inference.domain.usage.metering import Meter
from services.inference.domain.usage.tokens import TokenUsage

HEAD_TICKS = 2
COMMENT_TICKS = 3
"""Ticks of silence until the client gets the head, and then each comment."""


class AnyChatStream(Protocol):
    """A streamed answer. Call `next` until it has `ended`, then look at `error`; call `close` in any case."""

    request_id: str
    dropped: tuple[str, ...]
    """Fields that were not sent on."""
    limits: Pairs
    usage: TokenUsage
    """Known once the stream has ended."""
    error: PorticoError | None
    ended: bool

    async def next(self) -> list[Chunk]:
        """The chunks that came together, as soon as there are any. None at the end, or because nothing has come for so
        long that the client should hear something. Never raises PorticoError: what breaks the stream stands in `error`,
        after the chunks that came before."""

    def fail(self, error: PorticoError) -> None:
        """End the call with this error: what `next` gave out cannot be sent on."""

    async def close(self) -> None:
        """End the call. If the stream has not ended, the client has gone."""


class KeepAlive:
    """Wakes the streams that have been silent for some ticks."""

    def __init__(self) -> None:
        self._streams: set[ChatStream] = set()

    def watch(self, stream: "ChatStream") -> None:
        self._streams.add(stream)

    def forget(self, stream: "ChatStream") -> None:
        self._streams.discard(stream)

    async def tick(self) -> None:
        """Call regularly."""
        for stream in tuple(self._streams):
            stream.tick()


class ChatStream:
    """A provider's stream as an AnyChatStream. `open` it first."""

    def __init__(
        self,
        call: ModelCall,
        options: ClientOptions,
        dropped: tuple[str, ...],
        stream: Stream,
        chunks: ChunkStream,
        sender: ProviderSender,
        meter: Meter,
        keep_alive: KeepAlive,
    ) -> None:
        self.request_id = options.request_id
        self.dropped = dropped
        self.limits = call.limits
        self.error: PorticoError | None = None
        self.usage = tokens.NO_USAGE
        self.ended = False
        self._call = call
        self._options = options
        self._stream: Stream | None = stream
        self._body: AsyncIterator[bytes] = aiter(stream)
        self._chunks = chunks
        self._first: list[Chunk] | None = None
        """What `open` has read."""
        self._sender = sender
        self._meter = meter
        self._keep_alive = keep_alive
        self._silent_ticks = 0
        self._opened = False
        self._woken = False

    async def open(self) -> bytes | None:
        """Read to the first chunk, but no longer than the client can be kept waiting. Returns the beginning of an
        answer that is JSON instead of a stream. Raises Refusal or PorticoError for what breaks the stream before its
        first chunk: nothing has been sent to the client then."""
        self._keep_alive.watch(self)
        try:
            start, kind = b"", None
            try:
                while kind is None and not self._woken:
                    data = await anext(self._body)
                    start = data if start.isspace() else start + data
                    kind = kind_of(start)
            except StopAsyncIteration:
                pass  # `_read` meets the end once more
            if start:
                self._call.first_byte = calls.now()
            if kind is Kind.PAGE:
                raise malformed()
            if kind is Kind.JSON:
                self._keep_alive.forget(self)
                return start
            chunks = self._chunks
            found = chunks.feed(start)
            if not (found or chunks.done or chunks.error or self._woken):
                found = await self._read()
            if chunks.error is not None and not found:
                raise chunks.refusal or chunks.error
        except BaseException:
            self._keep_alive.forget(self)
            raise
        self._first = found
        self._opened, self._woken = True, False
        return None

    async def next(self) -> list[Chunk]:
        if self.ended:
            return []
        found, self._first = self._first, None
        if found is None:
            found = await self._read()
        self._silent_ticks = 0
        chunks = self._chunks
        return self._end(found) if chunks.done or chunks.error else found

    async def close(self) -> None:
        if not self.ended:
            self._call.status = CANCELLED
            self._record()
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    def fail(self, error: PorticoError) -> None:
        self.error = error
        if not self.ended:
            self._call.failed(error)
            self._record()

    def tick(self) -> None:
        self._silent_ticks += 1
        if self._silent_ticks >= (COMMENT_TICKS if self._opened else HEAD_TICKS):
            self._silent_ticks = 0
            self._woken = True
            if self._stream is not None:
                self._stream.wake()

    async def _read(self) -> list[Chunk]:
        """The next chunks, or none if this was woken; `done` or `error` of the chunks say whether there are more."""
        chunks = self._chunks
        while True:
            try:
                data = await anext(self._body)
            except StopAsyncIteration:
                self._stream = None
                found = chunks.end()
            except PorticoError as error:
                self._stream = None
                chunks.error = error
                found = []
            else:
                if not self._call.first_byte:
                    self._call.first_byte = calls.now()
                found = chunks.feed(data)
            if found or chunks.done or chunks.error:
                return found
            if self._woken:
                self._woken = False
                return found

    def _end(self, found: list[Chunk]) -> list[Chunk]:
        self.error = self._chunks.error
        if self.error is not None:
            self._call.failed(self.error)
        elif self._stream is not None:
            self._sender.drain(self._stream)
            self._stream = None
        self._record()
        if self._options.usage and self.error is None:
            found.append(self._chunks.usage_chunk(self.usage))
        return found

    def _record(self) -> None:
        """Once."""
        self.ended = True
        self._keep_alive.forget(self)
        chunks = self._chunks
        self.usage = chunks.usage or tokens.estimated(tokens.request_characters(self._options.body), chunks.characters)
        self._call.usage = self.usage
        self._call.finish_reason = chunks.finish_reason
        self._meter.add(self._call)


class WholeAsStream:
    """A whole answer for a client that asked for a stream, as an AnyChatStream."""

    def __init__(
        self,
        completion: dict[str, Any],
        usage: TokenUsage,
        options: ClientOptions,
        dropped: tuple[str, ...],
        limits: Pairs,
    ) -> None:
        self.request_id = options.request_id
        self.dropped = dropped
        self.limits = limits
        self.usage = usage
        self.error: PorticoError | None = None
        self.ended = False
        self._found = chunks_of(completion, with_usage=options.usage)

    async def next(self) -> list[Chunk]:
        self.ended = True
        return self._found

    def fail(self, error: PorticoError) -> None:
        self.error = error

    async def close(self) -> None:
        """Nothing is open."""
