"""Admission: reservations against a ledger that replicas share."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.audit.records import AuditEntry
from core.errors import BudgetExceeded, InvalidInput, RateLimited, Unavailable
from core.quotas.admission import Admission, Reservation
from core.quotas.memory import MemoryLedger
from core.quotas.ports import Counter, Granted, Totals
from core.quotas.rules import Dimension, Rule, Span, Window, span_of
from core.quotas.thresholds import Thresholds
from core.tasks import Tasks
from core.tenancy import Tenant
from tests.support.quotas import ACME, REQUESTS, SPEND, SUBJECT, TOKENS, FixedRules, Recorded, replica

ONE = {Dimension.REQUESTS: 1}


def tokens(count: int) -> dict[Dimension, int]:
    return {Dimension.TOKENS: count}


@dataclass
class CountingLedger(MemoryLedger):
    """Counts the round trips; `away` makes it fail."""

    trips: int = 0
    away: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    async def take(self, *arguments: object, **named: object) -> Sequence[Granted]:
        self.trips += 1
        if self.away:
            raise Unavailable("away")
        return await super().take(*arguments, **named)  # type: ignore[arg-type]


async def charged(ledger: MemoryLedger, rule: Rule, now: float) -> Totals:
    [totals] = await ledger.totals(ACME, [Counter(rule.key, span_of(rule.window, now))])
    return totals


async def test_a_call_without_rules_reserves_nothing() -> None:
    ledger = CountingLedger()
    reservation = await replica(ledger).admit(SUBJECT, ONE)
    assert not reservation
    assert reservation.headers() == ()
    assert ledger.trips == 0


async def test_most_calls_ask_nobody() -> None:
    ledger = CountingLedger()
    admission = replica(ledger, replace(REQUESTS, limit=1_000_000))
    for _ in range(256):
        (await admission.admit(SUBJECT, ONE)).settle()
    assert ledger.trips == 1


async def test_refused_calls_consume_nothing() -> None:
    """A call that one limit refuses used to count against the others."""
    ledger = MemoryLedger()
    admission = replica(ledger, replace(REQUESTS, limit=10), replace(TOKENS, limit=100))
    for _ in range(5):
        with pytest.raises(RateLimited):
            await admission.admit(SUBJECT, {**ONE, **tokens(101)})
    for _ in range(10):
        (await admission.admit(SUBJECT, {**ONE, **tokens(10)})).settle()
    with pytest.raises(RateLimited):
        await admission.admit(SUBJECT, ONE)


async def test_what_was_not_used_returns_and_what_was_is_charged() -> None:
    admission = replica(MemoryLedger(), replace(TOKENS, limit=100))
    reservation = await admission.admit(SUBJECT, tokens(90))
    with pytest.raises(RateLimited):
        await admission.admit(SUBJECT, tokens(20))
    reservation.settle(tokens(30))
    reservation.settle(tokens(90))
    reservation.release()
    (await admission.admit(SUBJECT, tokens(70))).release()
    with pytest.raises(RateLimited):
        await admission.admit(SUBJECT, tokens(71))


async def test_a_call_that_used_more_than_it_reserved_is_charged_in_full() -> None:
    admission = replica(MemoryLedger(), replace(TOKENS, limit=100))
    (await admission.admit(SUBJECT, tokens(10))).settle(tokens(95))
    with pytest.raises(RateLimited):
        await admission.admit(SUBJECT, tokens(6))
    (await admission.admit(SUBJECT, tokens(5))).settle()


async def test_a_reservation_grows_in_steps() -> None:
    admission = replica(MemoryLedger(), replace(TOKENS, limit=100))
    reservation = await admission.admit(SUBJECT, tokens(10))
    await reservation.extend(tokens(60))
    await reservation.extend(tokens(50))
    with pytest.raises(RateLimited):
        await reservation.extend(tokens(101))
    reservation.settle(tokens(60))
    (await admission.admit(SUBJECT, tokens(40))).settle()


async def test_concurrent_calls_are_counted_while_they_run() -> None:
    rule = replace(REQUESTS, window=Window.CONCURRENT, limit=2)
    ledger = MemoryLedger()
    here, there = replica(ledger, rule), replica(ledger, rule)
    first, second = await here.admit(SUBJECT, ONE), await there.admit(SUBJECT, ONE)
    with pytest.raises(RateLimited, match="Too many calls at once"):
        await there.admit(SUBJECT, ONE)
    first.settle()
    await here.report()
    third = await there.admit(SUBJECT, ONE)
    second.release()
    third.release()


async def test_a_call_may_be_too_large_by_itself() -> None:
    admission = replica(MemoryLedger(), replace(REQUESTS, dimension=Dimension.VECTORS, window=Window.REQUEST, limit=5))
    await admission.admit(SUBJECT, {Dimension.VECTORS: 5})
    with pytest.raises(InvalidInput) as raised:
        await admission.admit(SUBJECT, {Dimension.VECTORS: 6}, fields={Dimension.VECTORS: "points"})
    assert raised.value.field == "points"


async def test_totals_are_held_against_what_there_is() -> None:
    """Two calls at once must not both take the last place: neither is recorded when the other is checked."""
    there = Recorded(8)
    rule = replace(REQUESTS, dimension=Dimension.FILES, window=Window.TOTAL, limit=10)
    ledger = MemoryLedger()
    here, other = (replica(ledger, rule, seeds={Dimension.FILES: there}) for _ in range(2))
    first = await here.admit(SUBJECT, {Dimension.FILES: 1})
    second = await other.admit(SUBJECT, {Dimension.FILES: 1})
    with pytest.raises(BudgetExceeded):
        await here.admit(SUBJECT, {Dimension.FILES: 1})
    there.amount = 9
    first.settle()
    second.release()
    await here.report()
    await other.report()
    with await other.admit(SUBJECT, {Dimension.FILES: 1}):
        there.amount = 10
    await other.report()
    with pytest.raises(BudgetExceeded, match="10 files in all"):
        await here.admit(SUBJECT, {Dimension.FILES: 1})


async def test_a_budget_begins_with_what_is_recorded() -> None:
    """A ledger that has lost its data must not give the budget out once more."""
    recorded = Recorded(95)
    admission = replica(MemoryLedger(), SPEND, seeds={Dimension.SPEND: recorded})
    with pytest.raises(BudgetExceeded):
        await admission.admit(SUBJECT, {Dimension.SPEND: 6})
    (await admission.admit(SUBJECT, {Dimension.SPEND: 5})).settle()


async def test_a_budget_is_reconciled_with_what_is_recorded() -> None:
    """A replica that was killed has spent more than it had reported."""
    recorded = Recorded()
    admission = replica(MemoryLedger(), SPEND, seeds={Dimension.SPEND: recorded})
    (await admission.admit(SUBJECT, {Dimension.SPEND: 10})).settle()
    recorded.amount = 80
    for _ in range(2):
        await admission.report()
        (await admission.admit(SUBJECT, {Dimension.SPEND: 1})).settle()
        await admission.reconcile()
    with pytest.raises(BudgetExceeded):
        await admission.admit(SUBJECT, {Dimension.SPEND: 21})


async def test_a_budget_without_ledger_goes_by_the_records_and_without_these_it_is_closed() -> None:
    ledger, recorded = CountingLedger(away=True), Recorded(95)
    admission = replica(ledger, SPEND, seeds={Dimension.SPEND: recorded})
    with pytest.raises(BudgetExceeded):
        await admission.admit(SUBJECT, {Dimension.SPEND: 6})
    (await admission.admit(SUBJECT, {Dimension.SPEND: 5})).settle()
    recorded.error = Unavailable("no store")
    with pytest.raises(Unavailable):
        await replica(ledger, SPEND, seeds={Dimension.SPEND: recorded}).admit(SUBJECT, {Dimension.SPEND: 1})


async def test_rates_without_a_ledger_are_counted_by_each_replica() -> None:
    ledger = CountingLedger(away=True)
    admission = replica(ledger, replace(REQUESTS, limit=2))
    for _ in range(2):
        (await admission.admit(SUBJECT, ONE)).settle()
    with pytest.raises(RateLimited):
        await admission.admit(SUBJECT, ONE)
    ledger.away = False
    with pytest.raises(RateLimited):
        await admission.admit(SUBJECT, ONE)


async def test_what_a_killed_replica_held_returns_and_what_it_reported_stays() -> None:
    now = [1_000_000_000.0]
    ledger = MemoryLedger(clock=lambda: now[0])
    killed, other = replica(ledger, TOKENS), replica(ledger, TOKENS)
    (await killed.admit(SUBJECT, tokens(20))).settle()
    await killed.admit(SUBJECT, tokens(50))
    await killed.report()
    with pytest.raises(RateLimited):
        await other.admit(SUBJECT, tokens(40))
    now[0] += 31
    (await other.admit(SUBJECT, tokens(80))).settle()
    with pytest.raises(RateLimited):
        await other.admit(SUBJECT, tokens(1))


async def test_a_replica_that_was_paused_goes_on_under_another_name() -> None:
    now = [1_000_000_000.0]
    ledger = MemoryLedger(clock=lambda: now[0])
    paused = replica(ledger, TOKENS)
    running = await paused.admit(SUBJECT, tokens(50))
    (await paused.admit(SUBJECT, tokens(20))).settle()
    now[0] += 31
    (await paused.admit(SUBJECT, tokens(1))).settle()
    running.settle()
    for _ in range(2):
        await paused.report()
    assert await charged(ledger, TOKENS, time.time()) == Totals(71, 0)


async def test_refusals_say_which_limit_and_when_again() -> None:
    admission = replica(MemoryLedger(), replace(REQUESTS, window=Window.HOUR, limit=1), replace(TOKENS, limit=50))
    reservation = await admission.admit(SUBJECT, {**ONE, **tokens(10)})
    headers = dict(reservation.headers())
    assert headers["x-ratelimit-limit"] == headers["x-ratelimit-limit-requests"] == "1"
    assert headers["x-ratelimit-remaining"] == "0"
    assert headers["x-ratelimit-remaining-tokens"] == "40"
    assert 0 <= int(headers["x-ratelimit-reset"]) <= 3600
    with pytest.raises(RateLimited, match="limit of 1 requests per hour of the tenant") as raised:
        await admission.admit(SUBJECT, ONE)
    error = raised.value
    assert error.retry_after is not None
    assert 1 <= error.retry_after <= 3600
    assert dict(error.headers)["x-ratelimit-remaining"] == "0"
    assert error.metadata["window"] == "hour"


async def test_a_used_up_budget_says_so() -> None:
    spend = replace(SPEND, window=Window.DAY, limit=10_000_000)
    admission = replica(MemoryLedger(), spend, seeds={Dimension.SPEND: Recorded()})
    with pytest.raises(BudgetExceeded, match=r"daily budget of the tenant for llm has \$0.01 of \$0.01 left"):
        await admission.admit(SUBJECT, {Dimension.SPEND: 20_000_000})
    (await admission.admit(SUBJECT, {Dimension.SPEND: 10_000_000})).settle()
    with pytest.raises(BudgetExceeded, match="is used up") as raised:
        await admission.admit(SUBJECT, {Dimension.SPEND: 1})
    assert raised.value.reason == "INSUFFICIENT_QUOTA"
    assert raised.value.final


@pytest.mark.parametrize(
    ("now", "window", "start", "end"),
    [
        (1_798_761_599.5, Window.MONTH, 1_796_083_200, 1_798_761_600),  # December 2026
        (1_798_761_600.0, Window.MONTH, 1_798_761_600, 1_801_440_000),  # January 2027
        (86_399.9, Window.DAY, 0, 86_400),
        (61.0, Window.MINUTE, 60, 120),
        (61.0, Window.CONCURRENT, 0, 0),
    ],
)
def test_windows_begin_at_round_times(now: float, window: Window, start: int, end: int) -> None:
    assert span_of(window, now) == Span(start, end)


_STEPS = st.one_of(
    st.tuples(st.just("admit"), st.integers(0, 2), st.integers(0, 30), st.integers(0, 30)),
    st.tuples(st.sampled_from(["settle", "release"]), st.integers(0, 50), st.integers(0, 30), st.just(0)),
    st.tuples(st.sampled_from(["report", "restart", "kill", "pause"]), st.integers(0, 2), st.just(0), st.just(0)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_STEPS, max_size=60))
def test_the_sums_of_replicas_are_those_of_one_counter(steps: list[tuple[str, int, int, int]]) -> None:
    """Replicas that share a ledger, are restarted, killed and paused: what is charged and in use is never more than the
    limit, never negative, and in the end what was charged is what the ledger says."""
    asyncio.run(_run(steps))


@dataclass
class _Replica:
    ledger: MemoryLedger
    admission: Admission = field(init=False)
    running: list[tuple[Reservation, int]] = field(default_factory=list)
    charged: int = 0
    reported: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.admission = replica(self.ledger, TOKENS, REQUESTS)
        self.running, self.charged, self.reported = [], 0, 0


async def _run(steps: list[tuple[str, int, int, int]]) -> None:
    now = [1_000_000_000.0]
    ledger = MemoryLedger(clock=lambda: now[0])
    replicas = [_Replica(ledger) for _ in range(3)]
    gone = 0
    """Charged by replicas that have ended, as far as they had reported it."""
    for kind, number, amount, _ in steps:
        each = replicas[number % 3]
        if kind == "admit":
            with suppress(RateLimited):
                each.running.append((await each.admission.admit(SUBJECT, tokens(amount)), amount))
        elif kind in ("settle", "release") and each.running:
            reservation, reserved = each.running.pop(number // 3 % len(each.running))
            used = min(amount, reserved) if kind == "settle" else 0
            reservation.settle(tokens(used))
            each.charged += used
        elif kind == "report":
            await each.admission.report()
        elif kind == "restart":
            for reservation, _ in each.running:
                reservation.release()
            await each.admission.close()
            gone += each.charged
            each.start()
        elif kind == "kill":
            for one in replicas:  # so that no others lose their leases
                await one.admission.report()
            gone += each.charged
            each.start()
            for _ in range(2):
                now[0] += 20
                for one in replicas:
                    await one.admission.report()
        used = gone + sum(one.charged + sum(part for _, part in one.running) for one in replicas)
        assert 0 <= used <= TOKENS.limit
    for each in replicas:
        for reservation, _ in each.running:
            reservation.release()
        await each.admission.report()
        await each.admission.close()
    totals = await charged(ledger, TOKENS, time.time())
    assert totals == Totals(gone + sum(each.charged for each in replicas), 0)


async def test_a_threshold_is_recorded_once_in_a_window() -> None:
    """Thresholds used to be kept and never acted on."""
    ledger = MemoryLedger()
    seen: list[AuditEntry] = []
    rule = replace(SPEND, thresholds=(50, 80), policy="pol_1")
    here, there = (
        Admission(ledger, FixedRules((rule,)), {Dimension.SPEND: Recorded()}, Tasks(), Thresholds(audit).look)  # type: ignore[arg-type]  # all that it needs
        for audit in (Entries(seen), Entries(seen))
    )
    for amount, expected in ((49, []), (1, ["50"]), (10, ["50"]), (30, ["50", "80"])):
        (await here.admit(SUBJECT, {Dimension.SPEND: amount})).settle()
        await here.report()
        assert [each.metadata["threshold"] for each in seen] == expected
    (await there.admit(SUBJECT, {Dimension.SPEND: 1})).settle()
    await there.report()
    assert len({each.id for each in seen}) == 2


class Entries:
    """Takes audit entries."""

    def __init__(self, seen: list[AuditEntry]) -> None:
        self._seen = seen

    def add_once(self, tenant: Tenant, entry: AuditEntry) -> None:
        self._seen.append(entry)
