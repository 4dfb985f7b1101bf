"""Counts of repeated entries, so that nobody can fill the audit log or keep others out of it."""

from dataclasses import dataclass
from itertools import count

import pytest

from core.audit.records import DENIED, Actor, AuditEntry, new_entry
from core.audit.tally import OTHERS, Tally, TallyLimits
from core.tenancy import Tenant

ACME, GLOBEX = Tenant("acme"), Tenant("globex")


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def refusal(clock: Clock, *, token: str = "t1", action: str = "model.create", resource: str = "m") -> AuditEntry:
    actor = Actor("api", "u1", token, "p1")
    return new_entry(actor, action, DENIED, "model", resource, at=clock.now)


def test_repeats_are_counted_to_the_first_one(clock: Clock) -> None:
    tally = Tally(TallyLimits(), clock)
    first = refusal(clock)
    assert tally.add(ACME, first) is first
    for _ in range(3):
        clock.now += 1
        assert tally.add(ACME, refusal(clock)) is None
    assert tally.due() == []  # the store heard of it a moment ago
    (counted,) = tally.due(all=True)
    assert (counted.tenant, counted.id, counted.count, counted.last_at) == (ACME, first.id, 4, clock.now)
    tally.told(counted, 4)
    assert tally.due(all=True) == []


def test_counts_are_told_after_a_while_and_at_the_end_of_their_window(clock: Clock) -> None:
    tally = Tally(TallyLimits(window_seconds=100, refresh_seconds=30), clock)
    tally.add(ACME, refusal(clock))
    tally.add(ACME, refusal(clock))
    clock.now += 30
    (counted,) = tally.due()
    tally.told(counted, 2)
    clock.now += 60
    tally.add(ACME, refusal(clock))
    clock.now += 10  # the window is over
    assert [each.count for each in tally.due()] == [3]
    fresh = refusal(clock)
    assert tally.add(ACME, fresh) is fresh


def test_what_is_counted_while_the_store_is_told_is_told_the_next_time(clock: Clock) -> None:
    tally = Tally(TallyLimits(), clock)
    tally.add(ACME, refusal(clock))
    tally.add(ACME, refusal(clock))
    (counted,) = tally.due(all=True)
    tally.add(ACME, refusal(clock))
    tally.told(counted, 2)
    assert [each.count for each in tally.due(all=True)] == [3]


def test_one_caller_has_so_many_entries_and_the_others_keep_theirs(clock: Clock) -> None:
    tally = Tally(TallyLimits(of_tenant=10, of_caller=3), clock)
    written = [tally.add(ACME, refusal(clock, resource=f"m{at}")) for at in range(1000)]
    kept = [each for each in written if each is not None]
    assert [each.resource_id for each in kept] == ["m0", "m1", "m2", ""]
    assert (kept[-1].action, kept[-1].token_id) == (OTHERS, "t1")
    assert [each.count for each in tally.due(all=True)] == [997]
    other = refusal(clock, token="t2")
    assert tally.add(ACME, other) is other


def test_a_tenant_has_so_many_entries_whoever_its_callers_are(clock: Clock) -> None:
    tally = Tally(TallyLimits(of_tenant=10, of_caller=3), clock)
    ids = count()
    written = [tally.add(ACME, refusal(clock, token=f"t{next(ids)}")) for _ in range(1000)]
    kept = [each for each in written if each is not None]
    assert len(kept) == 11
    assert (kept[-1].action, kept[-1].token_id, kept[-1].actor_id) == (OTHERS, "", "")
    assert tally.add(GLOBEX, refusal(clock)) is not None


def test_a_new_window_has_room_again(clock: Clock) -> None:
    tally = Tally(TallyLimits(window_seconds=100, of_tenant=2, of_caller=2), clock)
    for at in range(10):
        tally.add(ACME, refusal(clock, resource=f"m{at}"))
    clock.now += 101
    for counted in tally.due():
        tally.told(counted, counted.count)
    fresh = refusal(clock, resource="m9")
    assert tally.add(ACME, fresh) is fresh


def test_memory_is_bounded_and_no_count_is_lost_for_it(clock: Clock) -> None:
    tally = Tally(TallyLimits(entries=5), clock)
    tally.add(ACME, refusal(clock, resource="first"))
    tally.add(ACME, refusal(clock, resource="first"))
    for at in range(100):
        assert tally.add(ACME, refusal(clock, resource=f"m{at}")) is not None
    assert [each.count for each in tally.due(all=True)] == [2]
    again = refusal(clock, resource="first")
    assert tally.add(ACME, again) is again
