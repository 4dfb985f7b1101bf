"""The frontend: one format that callers speak over HTTP."""

from collections.abc import Awaitable
from typing import Protocol

from services.inference.domain.pipeline.answer import Answer, Chunk
from services.inference.domain.pipeline.exchange import Body, Exchange
from services.inference.domain.pipeline.native import NativeRequest


class EventWriter(Protocol):
    """Writes one streamed answer as server-sent events."""

    def write(self, chunks: list[Chunk]) -> bytes:
        """The events of these chunks; empty where there are none. Raises PorticoError for what cannot be written."""

    def end(self, answer: Answer) -> bytes:
        """The events after the last chunk: the answer's usage or its error, and the format's own end."""


class Frontend(Protocol):
    """One caller format. Keeps no state: what holds for one answer is in its EventWriter."""

    keep_alive: bytes
    """An event that clients skip."""

    def read(self, data: bytes) -> Awaitable[Body | NativeRequest]:
        """The request of a body: canonical, or the caller's own with its canonical form. Raises InvalidInput, whose
        field is the caller's name of it."""

    def whole(self, exchange: Exchange, completion: Chunk, answer: Answer) -> bytes:
        """The body of a whole answer. Raises PorticoError for what cannot be written."""

    def events(self, exchange: Exchange) -> EventWriter: ...
