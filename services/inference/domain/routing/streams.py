"""Streams of providers as answers."""

from collections.abc import AsyncIterator, Callable

from core.errors import PorticoError
from core.http.ports import Stream
from services.inference.domain.codecs.codec import ChunkReader
from services.inference.domain.codecs.errors import malformed
from services.inference.domain.codecs.events import Kind, kind_of
from services.inference.domain.pipeline.answer import Answer, Chunk, Pairs
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.usage import calls, tokens
from services.inference.domain.usage.calls import SUCCESS

HEAD_TICKS = 2
COMMENT_TICKS = 3
"""Ticks of silence until the client gets the head, and then each comment."""


class KeepAlive:
    """Wakes the streams that have been silent for some ticks."""

    def __init__(self) -> None:
        self._streams: set[ProviderStream] = set()

    def watch(self, stream: "ProviderStream") -> None:
        self._streams.add(stream)

    def forget(self, stream: "ProviderStream") -> None:
        self._streams.discard(stream)

    async def tick(self) -> None:
        """Call regularly."""
        for stream in tuple(self._streams):
            stream.tick()


class ProviderStream(Answer):
    """A provider's stream as an answer. `open` it first. `drain` reads what follows the last event, so that the
    connection can be used again."""

    def __init__(
        self,
        exchange: Exchange,
        stream: Stream,
        chunks: ChunkReader,
        keep_alive: KeepAlive,
        drain: Callable[[Stream], None],
        dropped: tuple[str, ...],
        limits: Pairs,
    ) -> None:
        super().__init__(dropped, limits)
        self._exchange = exchange
        self._stream: Stream | None = stream
        self._body: AsyncIterator[bytes] = aiter(stream)
        self._chunks = chunks
        self._first: list[Chunk] | None = None
        """Chunks that `open` has read."""
        self._keep_alive = keep_alive
        self._drain = drain
        self._silent_ticks = 0
        self._opened = False
        self._woken = False

    async def open(self, *, early: bool = True) -> bytes | None:
        """Read to the first chunk, with `early` no longer than the client can be kept waiting. Returns the beginning of
        an answer that is JSON instead of a stream. Raises Refusal or PorticoError for what breaks the stream before its
        first chunk: nothing has been sent to the client then."""
        if early:
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
                self._exchange.call.first_byte = calls.now()
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
        if not early:
            self._keep_alive.watch(self)
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
        self.characters = chunks.characters
        return self._finish(found) if chunks.done or chunks.error else found

    async def close(self) -> None:
        await super().close()
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

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
                if not self._exchange.call.first_byte:
                    self._exchange.call.first_byte = calls.now()
                found = chunks.feed(data)
            if found or chunks.done or chunks.error:
                return found
            if self._woken:
                self._woken = False
                return found

    def _finish(self, found: list[Chunk]) -> list[Chunk]:
        chunks = self._chunks
        if chunks.error is not None:
            self.fail(chunks.error)
            return found
        if self._stream is not None:
            self._drain(self._stream)
            self._stream = None
        self._end(SUCCESS)
        if self._exchange.with_usage:
            found.append(chunks.usage_chunk(self.usage))
        return found

    def _end(self, status: str) -> None:
        self._keep_alive.forget(self)
        chunks = self._chunks
        self.usage = chunks.usage or tokens.estimated(
            tokens.request_characters(self._exchange.request), chunks.characters
        )
        self.finish_reason = chunks.finish_reason
        super()._end(status)
