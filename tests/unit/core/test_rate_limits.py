import asyncio
import time
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from core.errors import RateLimited
from core.rate_limits.memory import MemoryRateLimits
from core.tenancy import Project, Scope, Tenant

ACME = Project(Tenant("acme"), "red")
MINUTE = 60.0


class Clock:
    """Stands at the beginning of a window of every length in use, until it is moved."""

    def __init__(self) -> None:
        self.now = 86_400.0 * 20_000

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def limits(clock: Clock) -> MemoryRateLimits:
    return MemoryRateLimits()


async def passes(limits: MemoryRateLimits, limit: str, cost: int = 1, bucket: str = "b", scope: Scope = ACME) -> bool:
    try:
        await limits.hit(scope, bucket, limit, cost)
    except RateLimited:
        return False
    return True


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.floats(0.0, 200.0), st.integers(1, 12)), min_size=1, max_size=40),
)
def test_it_decides_as_the_sliding_windows_of_the_library_do(amount: int, hits: list[tuple[float, int]]) -> None:
    clock, limit = Clock(), f"{amount}/minute"

    async def compare() -> None:
        ours, theirs = MemoryRateLimits(), SlidingWindowCounterRateLimiter(MemoryStorage())
        for seconds, cost in hits:
            clock.now += seconds
            assert await passes(ours, limit, cost) == await theirs.hit(parse(limit), "b", cost=cost)

    with patch("time.time", clock):
        asyncio.run(compare())


async def test_a_flood_of_buckets_goes_away_when_its_time_is_over(limits: MemoryRateLimits, clock: Clock) -> None:
    for i in range(10_000):
        await limits.hit(ACME, f"login:{i}", "10/minute")
    assert len(limits) == 10_000
    clock.now += 2 * MINUTE
    await limits.hit(ACME, "login:new", "10/minute")
    assert len(limits) == 1
    assert len(limits._counters._queue) == 1


async def test_a_bucket_that_is_in_use_outlives_its_first_windows(limits: MemoryRateLimits, clock: Clock) -> None:
    await limits.hit(ACME, "b", "10/minute", 4)
    clock.now += 1.9 * MINUTE
    await limits.hit(ACME, "b", "10/minute", 9)
    clock.now += 0.2 * MINUTE  # when the first window would have ended
    await limits.hit(ACME, "another", "10/minute")
    assert len(limits) == 2
    assert not await passes(limits, "10/minute", cost=3)


async def test_a_flood_is_bounded_before_its_time_is_over(clock: Clock) -> None:
    limits = MemoryRateLimits(max_counters=1000)
    await limits.hit(ACME, "watched", "1/hour")
    for i in range(5000):
        await limits.hit(ACME, f"login:{i}", "10/minute")
    assert len(limits) == 1000
    assert not await passes(limits, "1/hour", bucket="watched")
