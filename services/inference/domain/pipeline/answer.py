"""Answers: what a step gets from the next one and returns, whole and streamed alike."""

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from core.errors import PorticoError
from services.inference.domain.usage.calls import CANCELLED, ERROR, SUCCESS
from services.inference.domain.usage.tokens import NO_USAGE, TokenUsage

Chunk = dict[str, Any]
"""OpenAI's chunk, with `choices[].delta`, of a streamed chat. Of a whole one: the completion, with `choices[].message`.
Of another operation: its whole answer."""

Pairs = tuple[tuple[str, str], ...]


class Answer(ABC):
    """An answer that is read chunk by chunk. A whole answer is a stream of one complete chunk.

    Call `next` until it has `ended`, then look at `error`; call `close` in any case.
    """

    ended: bool = False
    error: PorticoError | None = None
    """The error that broke the answer off, after the chunks that came before."""
    status: str = SUCCESS
    """Known once it has ended, as are `usage` and `finish_reason`."""
    usage: TokenUsage = NO_USAGE
    finish_reason: str = ""
    """Finish reason of the first choice."""
    characters: int = 0
    """Characters of the texts that a provider has streamed so far."""
    settling: Callable[[], Awaitable[None]] | None = None
    """Waits until what the end leaves behind is on the disk; None: there is nothing to wait for."""
    _watchers: tuple[Callable[["Answer"], None], ...] = ()

    def __init__(self, dropped: tuple[str, ...] = (), limits: Pairs = ()) -> None:
        self.dropped = dropped
        """Fields of the request that were not sent to the provider."""
        self.limits = limits
        """Headers that tell the provider's rate limits."""

    @abstractmethod
    async def next(self) -> list[Chunk]:
        """The chunks that came together, as soon as there are any. None at the end, or because nothing has come for so
        long that the client should hear something. Never raises PorticoError: see `error`."""

    def fail(self, error: PorticoError) -> None:
        """End the answer with this error, because what `next` gave out cannot be used."""
        self.error = error
        if not self.ended:
            self._end(ERROR)

    async def close(self) -> None:
        """Release what the answer holds. If it has not ended, the client has gone."""
        if not self.ended:
            self._end(CANCELLED)

    def when_ended(self, watcher: Callable[["Answer"], None]) -> None:
        """Call the watcher once, when the answer has ended, in whatever way. It must not raise."""
        self._watchers += (watcher,)

    async def settled(self) -> None:
        """Wait, once the answer has ended, before the client hears so."""
        if self.settling is not None:
            await self.settling()

    def _end(self, status: str) -> None:
        """Set what is known at the end before this is called."""
        self.ended = True
        self.status = status
        for watcher in self._watchers:
            watcher(self)


class WholeAnswer(Answer):
    """An answer that is there already, in one chunk or more."""

    def __init__(
        self,
        chunks: list[Chunk],
        usage: TokenUsage,
        finish_reason: str = "",
        dropped: tuple[str, ...] = (),
        limits: Pairs = (),
    ) -> None:
        self.dropped = dropped
        self.limits = limits
        self.usage = usage
        self.finish_reason = finish_reason
        self._chunks = chunks

    async def next(self) -> list[Chunk]:
        return self.take()

    def take(self) -> list[Chunk]:
        """As `next`, at once."""
        if self.ended:
            return []
        self._end(SUCCESS)
        return self._chunks


_SILENT_SECONDS = 15.0
"""Longest time for which a client hears nothing because a step holds back all that comes."""


class WrappedAnswer(Answer):
    """An answer that a step changes on its way out: implement `change`."""

    def __init__(self, inner: Answer) -> None:
        super().__init__(inner.dropped, inner.limits)
        self.inner = inner

    async def change(self, chunks: list[Chunk], *, last: bool) -> Sequence[Chunk]:
        """The chunks that go out for these; none: they are held back. `last`: there will be no more. To break the
        answer off, return what may still go out after a call of `fail`."""
        return chunks

    async def next(self) -> list[Chunk]:
        inner, began = self.inner, time.monotonic()
        while not self.ended:
            found = await inner.next()
            self.characters = inner.characters
            if inner.ended:
                self._learn()
            elif not found:
                return found
            changed = list(await self.change(found, last=inner.ended))
            if inner.ended and not self.ended:
                self.error = inner.error
                self._end(inner.status)
            if changed or time.monotonic() - began > _SILENT_SECONDS:
                return changed
        return []

    async def break_off(self, error: PorticoError) -> None:
        """End the answer with this error before the inner one has ended; what that has used so far is counted."""
        await self.inner.close()
        self._learn()
        self.fail(error)

    async def close(self) -> None:
        await self.inner.close()  # first, because it knows what was used
        if not self.ended:
            self._learn()
        await super().close()

    def _learn(self) -> None:
        self.usage, self.finish_reason = self.inner.usage, self.inner.finish_reason


async def read_whole(answer: Answer) -> Chunk:
    """The one chunk of an answer that is not streamed. Closes the answer. Raises PorticoError."""
    try:
        chunks = await answer.next()
        while not answer.ended:
            chunks = chunks + await answer.next()
        await answer.settled()
    finally:
        await answer.close()
    if answer.error is not None:
        raise answer.error
    return chunks[0]
