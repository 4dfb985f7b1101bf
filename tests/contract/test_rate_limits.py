"""Contract of rate limits: in memory and on Redis."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RateLimited, Unavailable
from core.rate_limits.memory import MemoryRateLimits
from core.rate_limits.ports import RateLimits
from core.rate_limits.redis import RedisRateLimits
from core.tenancy import MAIN, Project, Scope, Tenant
from tests.support.redis_client import redis_client
from tests.support.redis_server import RedisServer

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


@pytest.fixture(params=["memory", "redis"])
async def limits(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[RateLimits]:
    if request.param == "memory":
        yield MemoryRateLimits()
        return
    server: RedisServer = request.getfixturevalue("redis")
    async with redis_client(server.url) as client:
        yield RedisRateLimits(client, MemoryRateLimits(), clock=clock)


async def passes(limits: RateLimits, limit: str, cost: int = 1, bucket: str = "b", scope: Scope = ACME) -> bool:
    try:
        await limits.hit(scope, bucket, limit, cost)
    except RateLimited:
        return False
    return True


async def test_as_many_as_the_limit_says(limits: RateLimits) -> None:
    assert [await passes(limits, "3/minute") for _ in range(5)] == [True, True, True, False, False]


async def test_at_once(limits: RateLimits) -> None:
    assert sum(await asyncio.gather(*(passes(limits, "10/15 minutes") for _ in range(50)))) == 10


async def test_scopes_and_buckets_count_apart(limits: RateLimits) -> None:
    assert await passes(limits, "1/minute")
    assert not await passes(limits, "1/minute")
    assert await passes(limits, "1/minute", bucket="other")
    others: list[Scope] = [MAIN, Tenant("acme"), Project(Tenant("acme"), "blue"), Project(Tenant("globex"), "red")]
    for scope in others:
        assert await passes(limits, "1/minute", scope=scope)


async def test_a_cost(limits: RateLimits) -> None:
    assert await passes(limits, "1000/minute", cost=600)
    assert not await passes(limits, "1000/minute", cost=500)
    assert await passes(limits, "1000/minute", cost=400)


async def test_what_is_refused_is_not_counted(limits: RateLimits, clock: Clock) -> None:
    assert await passes(limits, "10/minute", cost=5)
    for _ in range(100):
        assert not await passes(limits, "10/minute", cost=6)
    assert await passes(limits, "10/minute", cost=5)


async def test_no_double_burst_at_the_border_of_a_window(limits: RateLimits, clock: Clock) -> None:
    clock.now += MINUTE - 1
    assert await passes(limits, "100/minute", cost=100)
    clock.now += 2
    assert not await passes(limits, "100/minute", cost=3)


@pytest.mark.parametrize(
    ("before", "now", "at", "cost"), [(10, 0, 5, 4), (10, 5, 20, 1), (0, 10, 0, 1), (7, 10, 50, 9)]
)
async def test_retry_after_is_when_it_passes(
    limits: RateLimits, clock: Clock, before: int, now: int, at: float, cost: int
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


async def test_a_cost_above_the_limit_never_passes(limits: RateLimits) -> None:
    with pytest.raises(RateLimited) as caught:
        await limits.hit(ACME, "b", "10/minute", 11)
    assert caught.value.retry_after is None


async def test_several_limits_all_hold_and_none_counts_a_refusal(limits: RateLimits, clock: Clock) -> None:
    both = "5/minute; 8/hour"
    assert [await passes(limits, both) for _ in range(6)] == [True] * 5 + [False]
    clock.now += 2 * MINUTE
    assert [await passes(limits, both) for _ in range(4)] == [True] * 3 + [False]
    with pytest.raises(RateLimited) as caught:
        await limits.hit(ACME, "b", both)
    assert (caught.value.retry_after or 0) > 50 * MINUTE


async def test_what_was_counted_counts_for_less_as_its_window_slides(limits: RateLimits, clock: Clock) -> None:
    await limits.hit(ACME, "b", "10/minute", 4)
    clock.now += 1.5 * MINUTE
    assert not await passes(limits, "10/minute", cost=9)
    assert await passes(limits, "10/minute", cost=8)


async def test_a_clock_that_is_put_back_lets_nothing_through(limits: RateLimits, clock: Clock) -> None:
    assert await passes(limits, "1/minute")
    clock.now -= 10 * MINUTE
    assert not await passes(limits, "1/minute")


@pytest.mark.parametrize("limit", ["", "many", "0/minute", "10", "10/fortnight", "-1/minute"])
async def test_what_is_no_limit(limits: RateLimits, limit: str) -> None:
    with pytest.raises(ValueError):
        await limits.hit(ACME, "b", limit)


@pytest.mark.parametrize("bucket", ["x" * 1_000_000, "\ud800" * 200, "a/b:c d", "ключ", ""])
async def test_hostile_buckets(limits: RateLimits, bucket: str) -> None:
    assert await passes(limits, "1/minute", bucket=bucket)
    assert not await passes(limits, "1/minute", bucket=bucket)
    assert await passes(limits, "1/minute", bucket=bucket + "x")


async def test_what_is_given_back_can_be_taken_again(limits: RateLimits, clock: Clock) -> None:
    for _ in range(10):
        assert await passes(limits, "3/minute; 5/hour")
        await limits.give_back(ACME, "b", "3/minute; 5/hour")
    assert [await passes(limits, "3/minute; 5/hour") for _ in range(4)] == [True, True, True, False]
    await limits.give_back(ACME, "b", "3/minute; 5/hour", cost=2)
    assert not await passes(limits, "3/minute; 5/hour", cost=3)
    assert await passes(limits, "3/minute; 5/hour", cost=2)


async def test_nothing_is_given_back_that_was_not_taken(limits: RateLimits, clock: Clock) -> None:
    await limits.give_back(ACME, "b", "3/minute")
    assert await passes(limits, "3/minute")
    await limits.give_back(ACME, "b", "3/minute", cost=5)
    clock.now += 2 * MINUTE
    await limits.give_back(ACME, "b", "3/minute")
    assert [await passes(limits, "3/minute") for _ in range(4)] == [True, True, True, False]


async def test_replicas_count_together(redis: RedisServer) -> None:
    """Each has its own connections; together they let through as many as the limit says, and not one more."""
    async with redis_client(redis.url, "together") as one, redis_client(redis.url, "together") as other:
        replicas = [RedisRateLimits(client, MemoryRateLimits()) for client in (one, other)]
        hits = [passes(replicas[i % 2], "300/hour; 500/day", bucket="replicas") for i in range(600)]
        assert sum(await asyncio.gather(*hits)) == 300
        await one.erase(ACME.tenant)


async def test_a_counter_ends_when_it_says_nothing_any_more(redis: RedisServer) -> None:
    async with redis_client(redis.url) as client:
        await RedisRateLimits(client, MemoryRateLimits()).hit(ACME, "b", "10/minute")
        ttl = await client.execute("PTTL", client.keys.of(ACME, "rate", "b:10/60"))
        assert 60_000 <= ttl <= 120_000


async def test_without_redis_each_replica_counts_by_itself_but_for_strict_limits(clock: Clock) -> None:
    """Attempts at a password must not be multiplied by the number of replicas."""
    async with redis_client("redis://127.0.0.1:1") as client:
        limits = RedisRateLimits(client, MemoryRateLimits())
        assert [await passes(limits, "3/minute") for _ in range(5)] == [True] * 3 + [False] * 2
        with pytest.raises(Unavailable):
            await limits.hit(ACME, "login", "3/minute", strict=True)
        await limits.give_back(ACME, "login", "3/minute")


@given(st.integers(1, 20), st.lists(st.tuples(st.floats(0.0, 200.0), st.integers(1, 12)), min_size=1, max_size=25))
def test_redis_decides_as_memory_does(redis: RedisServer, amount: int, hits: list[tuple[float, int]]) -> None:
    limit = f"{amount}/minute; {3 * amount}/2 minutes"

    async def compare() -> None:
        clock = Clock()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(time, "time", clock)
            async with redis_client(redis.url) as client:
                theirs, ours = RedisRateLimits(client, MemoryRateLimits(), clock=clock), MemoryRateLimits()
                for seconds, cost in hits:
                    clock.now += seconds
                    waits = []
                    for limits in (ours, theirs):
                        try:
                            await limits.hit(ACME, "b", limit, cost)
                            waits.append(0.0)
                        except RateLimited as refused:
                            waits.append(refused.retry_after or -1.0)
                    assert waits[0] == pytest.approx(waits[1], abs=1e-3)

    asyncio.run(compare())
