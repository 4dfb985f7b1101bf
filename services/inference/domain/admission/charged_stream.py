"""Streams whose reservation grows as they flow, and which end where it cannot."""

from core.errors import PorticoError, RateLimited
from core.quotas.admission import Reservation
from services.inference.domain.catalogue.prices import Pricing
from services.inference.domain.pipeline.answer import Answer, Chunk, WrappedAnswer
from services.inference.domain.usage import tokens
from services.inference.domain.usage.metering import amounts_of
from services.inference.domain.usage.tokens import TokenUsage

STEP_TOKENS = 256
"""Tokens of an answer that are reserved ahead of what was written."""


class ChargedStream(WrappedAnswer):
    """A stream. What has come when there is no more room goes out, for the provider has written it; then the stream
    ends with the error that says which limit it was."""

    def __init__(self, inner: Answer, reservation: Reservation, pricing: Pricing, read: int) -> None:
        super().__init__(inner)
        self._reservation = reservation
        self._pricing = pricing
        self._read = read
        """Input tokens."""
        self._paid = STEP_TOKENS * tokens.CHARACTERS_PER_TOKEN
        """Characters that the reservation lasts for."""

    async def next(self) -> list[Chunk]:
        inner = self.inner
        found = await inner.next()
        self.characters = inner.characters
        if inner.ended:
            self._learn()
            self.error = inner.error
            self._end(inner.status)
        elif inner.characters > self._paid:
            await self._pay(inner.characters)
        return found

    async def _pay(self, characters: int) -> None:
        written = tokens.estimate(characters)
        try:
            try:
                await self._extend(written + STEP_TOKENS)
            except RateLimited:  # the little that is left is used up to the last
                await self._extend(written)
                self._paid = characters
        except PorticoError as error:
            await self.break_off(error)

    async def _extend(self, written: int) -> None:
        await self._reservation.extend(amounts_of(TokenUsage(self._read, written), self._pricing))
        self._paid = written * tokens.CHARACTERS_PER_TOKEN
