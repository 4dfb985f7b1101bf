"""The least rate of uploads, on a clock that the test turns."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from google.api.httpbody_pb2 import HttpBody

from core.errors import RequestTimeout
from portico.rag.v1.file_service_pb2 import UploadFileRequest
from services.rag.servicers.arrivals import Arrivals, Pace


class Line:
    """Brings `size` bytes every `seconds`, `count` times, and then nothing more."""

    def __init__(self, size: int, seconds: float, count: int) -> None:
        self.now = 0.0
        self._size = size
        self._seconds = seconds
        self._count = count

    async def messages(self) -> AsyncIterator[UploadFileRequest]:
        for _ in range(self._count):
            self.now += self._seconds
            yield UploadFileRequest(body=HttpBody(data=b"x" * self._size))
        await asyncio.Event().wait()

    def arrivals(self, pace: Pace) -> Arrivals:
        return Arrivals(self.messages(), pace, lambda: self.now)


async def received(arrivals: Arrivals, count: int) -> int:
    """Count the messages that come of so many."""
    for number in range(count):
        try:
            await arrivals.next()
        except RequestTimeout:
            return number
    return count


PACE = Pace(1024.0, 30.0)


@pytest.mark.parametrize(
    ("size", "seconds"),
    [(700, 0.1), (7_000, 1.0), (1_100, 1.0), (65_536, 9.0), (40_000, 25.0), (32_000, 29.0)],
    ids=["56k", "56k in seconds", "just enough", "large pieces", "with pauses", "with long pauses"],
)
async def test_a_slow_line_that_is_steady_goes_on_for_ever(size: int, seconds: float) -> None:
    assert await received(Line(size, seconds, 500).arrivals(PACE), 500) == 500


@pytest.mark.parametrize(
    ("size", "seconds", "comes"),
    [(1, 5.0, 6), (1, 29.0, 2), (500, 1.0, 59), (0, 1.0, 30)],
    ids=["a byte now and then", "a byte at the last moment", "half of what is enough", "nothing but messages"],
)
async def test_whoever_sends_too_slowly_is_refused(size: int, seconds: float, comes: int) -> None:
    """Forty-two uploads of a byte now and then kept all the places there were."""
    came = await received(Line(size, seconds, comes + 5).arrivals(PACE), comes + 5)
    assert came == pytest.approx(comes, abs=1)


async def test_a_fast_beginning_buys_no_longer_pause() -> None:
    line = Line(10_000_000, 1.0, 1)
    arrivals = line.arrivals(PACE)
    await arrivals.next()
    assert arrivals._left == PACE.seconds


async def test_without_a_rate_only_a_pause_counts() -> None:
    assert await received(Line(1, 29.0, 100).arrivals(Pace(0.0, 30.0)), 100) == 100


async def test_nothing_at_all_is_refused_after_the_grace() -> None:
    """The first message was waited for without end."""
    with pytest.raises(RequestTimeout) as caught:
        await Line(0, 0.0, 0).arrivals(Pace(1024.0, 0.01)).next()
    assert caught.value.reason == "UPLOAD_STALLED"


async def test_the_time_that_it_takes_to_store_does_not_count() -> None:
    line = Line(100, 0.01, 50)
    arrivals = line.arrivals(PACE)
    for _ in range(50):
        await arrivals.next()
        line.now += 1_000.0
