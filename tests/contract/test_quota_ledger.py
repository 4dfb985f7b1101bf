"""The contract of the ledger of quotas, in memory and in Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from core.config import Secret
from core.quotas.memory import MemoryLedger
from core.quotas.ports import LARGEST, Claim, Counter, Granted, LeaseLost, Ledger, Report, Totals
from core.quotas.redis import RedisLedger
from core.quotas.rules import ALWAYS, Span
from core.redis.client import RedisClient
from core.redis.settings import RedisSettings
from core.tenancy import Tenant
from tests.support.redis_server import RedisServer

ACME, GLOBEX = Tenant("acme"), Tenant("globex")
FUTURE = 4_000_000_000
WINDOW = Span(FUTURE - 60, FUTURE)
CALLS, TOKENS = Counter("calls", WINDOW), Counter("tokens", WINDOW)
A, B = "replica-a", "replica-b"
SHORT = 0.05


def claim(counter: Counter, amount: int, limit: int = 10, *, most: int = 0) -> Claim:
    return Claim(counter, limit, amount, most or amount)


@pytest.fixture(params=["memory", "redis"])
async def make_ledger(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[float], Ledger]]:
    """Makes ledgers by the length of their leases, in seconds."""
    if request.param == "memory":
        yield lambda seconds: MemoryLedger(lease_seconds=seconds)
        return
    server: RedisServer = request.getfixturevalue("redis")
    client = RedisClient(replace(RedisSettings(), url=Secret(server.url)))
    await client.execute("FLUSHALL")
    yield lambda seconds: RedisLedger(client, lease_seconds=seconds)
    await client.close()


@pytest.fixture
def ledger(make_ledger: Callable[[float], Ledger]) -> Ledger:
    return make_ledger(30.0)


async def lapsed(ledger: Ledger, holder: str) -> None:
    """Wait until a holder's lease has ended."""

    async def ended() -> bool:
        try:
            await ledger.report(GLOBEX, holder, [])
        except LeaseLost:
            return True
        return False

    while not await ended():
        await asyncio.sleep(ledger.lease_seconds * 1.2)


async def test_a_claim_is_granted_as_long_as_there_is_room(ledger: Ledger) -> None:
    assert await ledger.take(ACME, A, [claim(CALLS, 4)], known=False) == [Granted(4, 4)]
    assert await ledger.take(ACME, B, [claim(CALLS, 6)], known=False) == [Granted(6, 10)]
    assert await ledger.take(ACME, B, [replace(claim(CALLS, 1), held=6)]) == [Granted(0, 10)]


async def test_holders_together_never_get_more_than_the_limit(ledger: Ledger) -> None:
    holders = [f"replica-{number}" for number in range(5)]
    taken = await asyncio.gather(*(ledger.take(ACME, each, [claim(CALLS, 3)], known=False) for each in holders))
    assert sum(granted.granted for [granted] in taken) == 9
    assert await ledger.totals(ACME, [CALLS]) == [Totals(0, 9)]


async def test_all_claims_of_a_call_are_granted_or_none(ledger: Ledger) -> None:
    await ledger.take(ACME, A, [claim(TOKENS, 8)], known=False)
    refused = await ledger.take(ACME, B, [claim(CALLS, 1), claim(TOKENS, 3)], known=False)
    assert [each.granted for each in refused] == [0, 0]
    assert [each.total for each in refused] == [0, 8]
    assert await ledger.totals(ACME, [CALLS, TOKENS]) == [Totals(0, 0), Totals(0, 8)]


async def test_more_is_granted_in_advance_where_there_is_plenty_of_room(ledger: Ledger) -> None:
    [granted] = await ledger.take(ACME, A, [claim(CALLS, 1, 161, most=1000)], known=False)
    assert granted.granted == 11
    [granted] = await ledger.take(ACME, B, [claim(TOKENS, 1, 16, most=1000)], known=False)
    assert granted.granted == 1


async def test_reports_are_absolute_and_may_be_repeated(ledger: Ledger) -> None:
    await ledger.take(ACME, A, [claim(CALLS, 5)], known=False)
    for _ in range(3):
        await ledger.report(ACME, A, [Report(CALLS, 3, 1)])
    assert await ledger.totals(ACME, [CALLS]) == [Totals(3, 1)]


async def test_a_holder_that_does_not_report_loses_what_it_holds_and_not_what_it_charged(
    make_ledger: Callable[[float], Ledger],
) -> None:
    ledger = make_ledger(SHORT)
    await ledger.take(GLOBEX, A, [claim(CALLS, 1)], known=False)
    await ledger.take(ACME, A, [claim(CALLS, 10)], known=False)
    await ledger.report(ACME, A, [Report(CALLS, 2, 8)])
    await lapsed(ledger, A)
    with pytest.raises(LeaseLost):
        await ledger.report(ACME, A, [Report(CALLS, 9, 0)])
    assert await ledger.totals(ACME, [CALLS]) == [Totals(2, 0)]
    assert await ledger.take(ACME, B, [claim(CALLS, 8)], known=False) == [Granted(8, 10)]
    with pytest.raises(LeaseLost):
        await ledger.take(ACME, A, [claim(CALLS, 1)])


async def test_a_holder_that_leaves_gives_back_at_once(ledger: Ledger) -> None:
    await ledger.take(ACME, A, [claim(CALLS, 10)], known=False)
    await ledger.report(ACME, A, [Report(CALLS, 4, 6)])
    await ledger.leave(ACME, A)
    assert await ledger.take(ACME, B, [claim(CALLS, 6)], known=False) == [Granted(6, 10)]


async def test_a_counter_that_must_be_seeded_grants_nothing_before(ledger: Ledger) -> None:
    wanted = replace(claim(CALLS, 1), seeded=True)
    assert await ledger.take(ACME, A, [wanted], known=False) == [Granted(0, 0, seeded=False)]
    await ledger.raise_to(ACME, CALLS, 9)
    assert await ledger.take(ACME, A, [wanted]) == [Granted(1, 10)]


async def test_charges_are_raised_and_never_lowered_to_what_is_recorded(ledger: Ledger) -> None:
    await ledger.take(ACME, A, [claim(CALLS, 5)], known=False)
    await ledger.report(ACME, A, [Report(CALLS, 5, 0)])
    for recorded, expected in ((3, 5), (7, 7), (7, 7)):
        await ledger.raise_to(ACME, CALLS, recorded)
        assert await ledger.totals(ACME, [CALLS]) == [Totals(expected, 0)]
    await ledger.report(ACME, A, [Report(CALLS, 6, 0)])
    assert await ledger.totals(ACME, [CALLS]) == [Totals(8, 0)]


async def test_tenants_and_windows_have_counters_of_their_own(ledger: Ledger) -> None:
    later = Counter("calls", Span(FUTURE, FUTURE + 60))
    assert await ledger.take(ACME, A, [claim(CALLS, 10), claim(later, 10)], known=False)
    assert await ledger.take(GLOBEX, A, [claim(CALLS, 10)], known=False) == [Granted(10, 10)]
    assert await ledger.totals(ACME, [Counter("calls", ALWAYS)]) == [Totals(0, 0)]


async def test_large_amounts_are_exact(ledger: Ledger) -> None:
    half = LARGEST // 2
    await ledger.take(ACME, A, [claim(CALLS, half, LARGEST)], known=False)
    await ledger.report(ACME, A, [Report(CALLS, half, 0)])
    assert await ledger.take(ACME, B, [claim(CALLS, half + 1, LARGEST)], known=False) == [Granted(half + 1, LARGEST)]
    await ledger.leave(ACME, A)
    assert await ledger.totals(ACME, [CALLS]) == [Totals(half, half + 1)]
