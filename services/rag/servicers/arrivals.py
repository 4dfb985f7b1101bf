"""The messages of an upload, which must come at a least rate: one that hangs does not keep its place for ever."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from google.api.httpbody_pb2 import HttpBody

from core.errors import RequestTimeout


class Message(Protocol):
    """A message of an upload's stream."""

    @property
    def body(self) -> HttpBody: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """Bytes per second that an upload must bring, averaged over so many seconds. 0 bytes: it may only not pause for
    longer than that."""

    rate: float
    seconds: float


class Arrivals:
    """Waits for the messages of one upload. Only the time that is spent waiting for the sender counts, not what the
    service takes to store what has come.

    An upload begins with `pace.seconds` to wait, its grace, and gets more for each byte that comes, up to as many. So a
    slow line that is steady may go on for ever, and whoever sends a byte now and then may not.
    """

    def __init__(
        self, messages: AsyncIterator[Message], pace: Pace, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._messages = messages
        self._pace = pace
        self._clock = clock
        self._left = pace.seconds

    async def next(self) -> Message | None:
        """The next message; None: that was the last. Raises RequestTimeout."""
        began = self._clock()
        try:
            async with asyncio.timeout(self._left):
                message = await anext(self._messages, None)
        except TimeoutError:
            raise self._too_slow() from None
        if message is not None:
            self._left = self._remaining(self._clock() - began, len(message.body.data))
            if self._left <= 0:
                raise self._too_slow()
        return message

    async def chunks(self, first: Message) -> AsyncIterator[bytes]:
        """The body that begins with this message. Raises RequestTimeout."""
        message: Message | None = first
        while message is not None:
            yield message.body.data
            message = await self.next()

    async def skip(self, at_most: int, seconds: float) -> None:
        """Let a sender who is refused finish, within bounds: one who is cut off in the middle may not read why."""
        try:
            async with asyncio.timeout(seconds):
                async for message in self._messages:
                    at_most -= len(message.body.data)
                    if at_most < 0:
                        return
        except TimeoutError:
            return

    def _remaining(self, waited: float, size: int) -> float:
        pace = self._pace
        earned = size / pace.rate if pace.rate else pace.seconds
        return min(pace.seconds, self._left - waited + earned)

    def _too_slow(self) -> RequestTimeout:
        rate = f"{self._pace.rate:g} bytes a second" if self._pace.rate else "something"
        return RequestTimeout(
            f"The body comes too slowly: it must bring {rate} on the average of {self._pace.seconds:g} seconds. "
            "Send it again over a faster line.",
            reason="UPLOAD_STALLED",
        )
