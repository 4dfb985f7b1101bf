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
    """A stream. Where there is no more room it ends, after the chunk that passed the limit, with the error that says
    which limit it was."""

    def __init__(self, inner: Answer, reservation: Reservation, pricing: Pricing, read: int) -> None:
        super().__init__(inner)
        self._reservation = reservation
        self._pricing = pricing
        self._read = read
        """Input tokens."""
        self._paid = STEP_TOKENS * tokens.CHARACTERS_PER_TOKEN
        """Characters that the reservation lasts for."""

    async def next(self) -> list[Chunk]:
        inner, before = self.inner, self.inner.characters
        found = await inner.next()
        self.characters = inner.characters
        if inner.ended:
            self._learn()
            self.error = inner.error
            self._end(inner.status)
        elif inner.characters > self._paid:
            return await self._paid_part(found, before)
        return found

    async def _paid_part(self, found: list[Chunk], written: int) -> list[Chunk]:
        """The chunks that there is room for, after so many characters, and the one that passes the limit."""
        try:
            await self._extend(self.inner.characters, ahead=STEP_TOKENS)
        except RateLimited:  # the little that is left is used up to the last
            pass
        except PorticoError as error:
            return await self._cut([], written, error)
        else:
            return found
        for number, chunk in enumerate(found, 1):
            written += tokens.chunk_characters(chunk)
            try:
                await self._extend(written)
            except PorticoError as error:
                return await self._cut(found[:number], written, error)
        return found

    async def _extend(self, characters: int, *, ahead: int = 0) -> None:
        if characters + ahead > self._paid:
            written = tokens.estimate(characters) + ahead
            await self._reservation.extend(amounts_of(TokenUsage(self._read, written), self._pricing))
            self._paid = written * tokens.CHARACTERS_PER_TOKEN

    async def _cut(self, given: list[Chunk], written: int, error: PorticoError) -> list[Chunk]:
        """End with the error. What was not given out is not charged either."""
        await self.inner.close()
        self._learn()
        self.usage = self.usage._replace(output=min(self.usage.output, tokens.estimate(written)))
        self.fail(error)
        return given
