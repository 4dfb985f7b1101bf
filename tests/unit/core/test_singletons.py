"""Periodic work that one replica does for all."""

import asyncio

import pytest

from core.errors import Unavailable
from core.locks.memory import MemoryLocks
from core.locks.ports import Lease, Locks
from core.locks.singletons import Singletons
from core.tasks import Tasks
from core.tenancy import Scope


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Away:
    """Locks whose server is away."""

    async def acquire(self, scope: Scope, name: str, seconds: float) -> Lease | None:
        raise Unavailable("away")

    async def renew(self, lease: Lease, seconds: float) -> bool:
        raise Unavailable("away")

    async def release(self, lease: Lease) -> bool:
        raise Unavailable("away")


class Work:
    def __init__(self) -> None:
        self.done = 0

    async def __call__(self) -> None:
        self.done += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def locks(clock: Clock) -> Locks:
    return MemoryLocks(clock)


def replica(locks: Locks) -> Singletons:
    return Singletons("auth", locks, Tasks())


async def test_one_replica_works_and_goes_on_working(locks: Locks, clock: Clock) -> None:
    one, other, work = replica(locks), replica(locks), Work()
    for _ in range(5):
        assert await one.run("prune", 60, work)
        clock.now += 30
        assert not await other.run("prune", 60, work)
        clock.now += 30
    assert work.done == 5
    assert await other.run("compact", 60, work), "another kind of work has a lock of its own"


async def test_services_do_not_wait_for_each_other(locks: Locks) -> None:
    work = Work()
    assert await replica(locks).run("prune", 60, work)
    assert await Singletons("rag", locks, Tasks()).run("prune", 60, work)


async def test_another_goes_on_when_a_replica_stops_or_is_killed(locks: Locks, clock: Clock) -> None:
    one, other, third, work = replica(locks), replica(locks), replica(locks), Work()
    assert await one.run("prune", 60, work)
    await one.close()
    assert await other.run("prune", 60, work)
    clock.now += 96  # and nobody has heard of it since
    assert await third.run("prune", 60, work)
    assert not await other.run("prune", 60, work)


async def test_while_locks_are_away_each_replica_works(locks: Locks) -> None:
    work = Work()
    assert await replica(Away()).run("prune", 60, work)
    assert await replica(Away()).run("prune", 60, work)
    assert work.done == 2


async def test_work_that_fails_keeps_its_lock(locks: Locks) -> None:
    one, work = replica(locks), Work()

    async def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await one.run("prune", 60, fail)
    assert not await replica(locks).run("prune", 60, work)
    assert await one.run("prune", 60, work)


async def test_long_work_keeps_its_lock_and_ends_where_it_is_lost(locks: Locks, clock: Clock) -> None:
    one, begun = replica(locks), asyncio.Event()

    async def long() -> None:
        begun.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(one.run("prune", -3.3, long))  # a lease of 0.05 s
    await begun.wait()
    clock.now += 1000  # its replica hung
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(30):
            await running
