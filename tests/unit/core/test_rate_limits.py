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
from core.tenancy import MAIN, Project, Scope, Tenant

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


async def test_as_many_as_the_limit_says(limits: MemoryRateLimits) -> None:
    assert [await passes(limits, "3/minute") for _ in range(5)] == [True, True, True, False, False]


async def test_at_once(limits: MemoryRateLimits) -> None:
    assert sum(await asyncio.gather(*(passes(limits, "10/15 minutes") for _ in range(50)))) == 10


async def test_scopes_and_buckets_count_apart(limits: MemoryRateLimits) -> None:
    assert await passes(limits, "1/minute")
    assert not await passes(limits, "1/minute")
    assert await passes(limits, "1/minute", bucket="other")
    others: list[Scope] = [MAIN, Tenant("acme"), Project(Tenant("acme"), "blue"), Project(Tenant("globex"), "red")]
    for scope in others:
        assert await passes(limits, "1/minute", scope=scope)


async def test_a_cost(limits: MemoryRateLimits) -> None:
    assert await passes(limits, "1000/minute", cost=600)
    assert not await passes(limits, "1000/minute", cost=500)
    assert await passes(limits, "1000/minute", cost=400)


async def test_what_is_refused_is_not_counted(limits: MemoryRateLimits, clock: Clock) -> None:
    assert await passes(limits, "10/minute", cost=5)
    for _ in range(100):
        assert not await passes(limits, "10/minute", cost=6)
    assert await passes(limits, "10/minute", cost=5)


async def test_no_double_burst_at_the_border_of_a_window(limits: MemoryRateLimits, clock: Clock) -> None:
    clock.now += MINUTE - 1
    assert await passes(limits, "100/minute", cost=100)
    clock.now += 2
    assert not await passes(limits, "100/minute", cost=3)


@pytest.mark.parametrize(
    ("before", "now", "at", "cost"), [(10, 0, 5, 4), (10, 5, 20, 1), (0, 10, 0, 1), (7, 10, 50, 9)]
)
async def test_retry_after_is_when_it_passes(
    limits: MemoryRateLimits, clock: Clock, before: int, now: int, at: float, cost: int
) -> None:
    if before:
        await limits.hit(ACME, "b", "10/minute", before)
    clock.now += MINUTE
    if now:
        clock.now += at
        while not await passes(limits, "10/minute"):
            clock.now += 0.5
        while await passes(limits, "10/minute"):
            pass
    else:
        clock.now += at
    with pytest.raises(RateLimited) as caught:
        await limits.hit(ACME, "b", "10/minute", cost)
    wait = caught.value.retry_after
    assert wait is not None
    assert 0 < wait <= 2 * MINUTE
    clock.now += wait - 0.01
    assert not await passes(limits, "10/minute", cost)
    clock.now += 0.02
    assert await passes(limits, "10/minute", cost)


async def test_a_cost_above_the_limit_never_passes(limits: MemoryRateLimits) -> None:
    with pytest.raises(RateLimited) as caught:
        await limits.hit(ACME, "b", "10/minute", 11)
    assert caught.value.retry_after is None


async def test_several_limits_all_hold_and_none_counts_a_refusal(limits: MemoryRateLimits, clock: Clock) -> None:
    both = "5/minute; 8/hour"
    assert [await passes(limits, both) for _ in range(6)] == [True] * 5 + [False]
    clock.now += 2 * MINUTE
    assert [await passes(limits, both) for _ in range(4)] == [True] * 3 + [False]
    with pytest.raises(RateLimited) as caught:
        await limits.hit(ACME, "b", both)
    assert (caught.value.retry_after or 0) > 50 * MINUTE


async def test_what_was_counted_counts_for_less_as_its_window_slides(limits: MemoryRateLimits, clock: Clock) -> None:
    await limits.hit(ACME, "b", "10/minute", 4)
    clock.now += 1.5 * MINUTE
    assert not await passes(limits, "10/minute", cost=9)
    assert await passes(limits, "10/minute", cost=8)


async def test_a_clock_that_is_put_back_lets_nothing_through(limits: MemoryRateLimits, clock: Clock) -> None:
    assert await passes(limits, "1/minute")
    clock.now -= 10 * MINUTE
    assert not await passes(limits, "1/minute")


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


@pytest.mark.parametrize("limit", ["", "many", "0/minute", "10", "10/fortnight", "-1/minute"])
async def test_what_is_no_limit(limits: MemoryRateLimits, limit: str) -> None:
    with pytest.raises(ValueError):
        await limits.hit(ACME, "b", limit)


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


@pytest.mark.parametrize("bucket", ["x" * 1_000_000, "\ud800" * 200, "a/b:c d", "ключ", ""])
async def test_hostile_buckets(limits: MemoryRateLimits, bucket: str) -> None:
    assert await passes(limits, "1/minute", bucket=bucket)
    assert not await passes(limits, "1/minute", bucket=bucket)
    assert await passes(limits, "1/minute", bucket=bucket + "x")
    assert all(len(key) < 300 for key in limits._counters._counters)


async def test_what_is_given_back_can_be_taken_again(limits: MemoryRateLimits, clock: Clock) -> None:
    for _ in range(10):
        assert await passes(limits, "3/minute; 5/hour")
        await limits.give_back(ACME, "b", "3/minute; 5/hour")
    assert [await passes(limits, "3/minute; 5/hour") for _ in range(4)] == [True, True, True, False]
    await limits.give_back(ACME, "b", "3/minute; 5/hour", cost=2)
    assert not await passes(limits, "3/minute; 5/hour", cost=3)
    assert await passes(limits, "3/minute; 5/hour", cost=2)


async def test_nothing_is_given_back_that_was_not_taken(limits: MemoryRateLimits, clock: Clock) -> None:
    await limits.give_back(ACME, "b", "3/minute")
    assert await passes(limits, "3/minute")
    await limits.give_back(ACME, "b", "3/minute", cost=5)
    clock.now += 2 * MINUTE
    await limits.give_back(ACME, "b", "3/minute")
    assert [await passes(limits, "3/minute") for _ in range(4)] == [True, True, True, False]
