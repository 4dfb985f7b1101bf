"""The part of reading a provider's stream that is the same for every format: bytes to events, and what breaks it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from core.errors import PorticoError
from services.inference.domain.codecs.errors import Refusal
from services.inference.domain.codecs.events import EventSplitter

Chunk = dict[str, Any]


class EventReader(ABC):
    """Base of the ChunkReaders. Errors end the stream and stand in `error`, after the chunks before."""

    def __init__(self, max_event_bytes: int) -> None:
        self.done = False
        self.error: PorticoError | None = None
        self.refusal: Refusal | None = None
        """Refusal of the provider, where `error` is what it reported."""
        self.characters = 0
        """Characters of the answer so far, to estimate tokens with."""
        self._events = EventSplitter(max_event_bytes)

    def feed(self, data: bytes) -> list[Chunk]:
        """Feed bytes of the provider; returns the chunks that they complete. Sets `done` or `error` when there will be
        no more."""
        chunks: list[Chunk] = []
        try:
            self._take(self._events.feed(data), chunks)
        except (PorticoError, Refusal) as error:
            self._fail(error)
        return chunks

    def end(self) -> list[Chunk]:
        """End the stream, which the provider closed."""
        chunks: list[Chunk] = []
        try:
            self._take(self._events.end(), chunks)
            if not self.done:
                self._close(chunks)
        except (PorticoError, Refusal) as error:
            self._fail(error)
        return chunks

    @abstractmethod
    def _take(self, payloads: Iterable[bytes], chunks: list[Chunk]) -> None:
        """Add the chunks of the data of events. Raises PorticoError, Refusal."""

    @abstractmethod
    def _close(self, chunks: list[Chunk]) -> None:
        """The stream ended without the format's own end: set `done`, or raise UpstreamFailed where the answer is not
        whole."""

    def _fail(self, error: PorticoError | Refusal) -> None:
        if isinstance(error, Refusal):
            self.refusal, self.error = error, error.error
        else:
            self.error = error
