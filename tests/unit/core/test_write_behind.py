"""Records written in batches, off the path of what they are about."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.errors import FailedPrecondition, InvalidInput, Unavailable
from core.storage.ports import TIME, Collection, Document, Level
from core.storage.write_behind import BATCH, WriteBehind
from core.tasks import Tasks
from core.tenancy import Project, Scope, Tenant
from tests.support.stores import MemoryStore, sqlite_store

PROJECT = Project(Tenant("acme"), "p1")
EVENTS = Collection("events", Level.PROJECT, {"createdAt": TIME}, indexes=(("createdAt",),))


class Store(MemoryStore):
    """Fails as told."""

    def __init__(self) -> None:
        super().__init__(EVENTS)
        self.failures: list[Exception] = []
        self.batches: list[int] = []
        self.blocked: asyncio.Event | None = None
        """Set by a write, which then never ends."""

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        if self.failures:
            raise self.failures.pop()
        if self.blocked is not None:
            self.blocked.set()
            await asyncio.Event().wait()
        self.batches.append(len(documents))
        return await super().insert_many(scope, collection, documents)


@pytest.fixture
async def store() -> Store:
    return Store()


def writer(store: Any, tasks: Tasks | None = None, capacity: int = 10_000, **options: Any) -> WriteBehind[float]:
    return WriteBehind(
        store, EVENTS, tasks or Tasks(), "evt", lambda at: {"createdAt": at}, capacity=capacity, **options
    )


async def written(store: Store, project: Project = PROJECT) -> int:
    return await store.count(project, EVENTS)


async def test_records_are_written_in_batches_under_ids_of_their_own(store: Store) -> None:
    first, second = writer(store), writer(store)
    for _ in range(BATCH + 10):
        first.add(PROJECT, 1.0)
    second.add(PROJECT, 1.0)
    await first.flush()
    await first.flush()
    await second.flush()
    assert store.batches == [BATCH, 10, 1]
    assert await written(store) == BATCH + 11


async def test_a_full_batch_does_not_wait_for_the_clock(store: Store) -> None:
    tasks = Tasks()
    events = writer(store, tasks)
    for _ in range(BATCH):
        events.add(PROJECT, 1.0)
    assert tasks.count == 1
    await tasks.drain(5)
    assert await written(store) == BATCH


@pytest.mark.parametrize("failure", [Unavailable("away"), RuntimeError("driver")])
async def test_what_the_store_refuses_is_written_once_it_can(store: Store, failure: Exception) -> None:
    events = writer(store)
    events.add(PROJECT, 1.0)
    store.failures = [failure]
    await events.flush()
    assert await written(store) == 0
    events.add(PROJECT, 2.0)
    await events.flush()
    assert await written(store) == 2
    assert events.lost == 0


async def test_a_store_that_stays_away_costs_bounded_memory(store: Store) -> None:
    events = writer(store, capacity=5)
    store.failures = [Unavailable("away") for _ in range(3)]
    for _ in range(3):
        for _ in range(4):
            events.add(PROJECT, 1.0)
        await events.flush()
    assert events.lost == 7
    await events.flush()
    assert await written(store) == 5
    events.add(PROJECT, 1.0)
    await events.flush()
    assert await written(store) == 6


async def test_the_log_tells_once_of_what_is_lost_between_two_flushes(store: Store) -> None:
    """It told only of what was lost while a flush went on, which is hardly ever."""
    events = writer(store, capacity=5)
    with capture_logs() as told:
        for _ in range(7):
            events.add(PROJECT, 1.0)
        await events.flush()
        await events.flush()
    assert [each["lost"] for each in told if each["log_level"] == "error"] == [2]


async def test_a_removed_tenant_does_not_hold_up_the_others(store: Store) -> None:
    other = Project(Tenant("globex"), "p1")
    events = writer(store)
    events.add(PROJECT, 1.0)
    events.add(other, 1.0)
    store.failures = [FailedPrecondition("unknown tenant")]
    await events.flush()
    await events.flush()
    assert await written(store) + await written(store, other) == 1


async def test_a_removed_tenant_does_not_come_back(tmp_path: Any) -> None:
    """The log of queries prepared its collection when it was written, which made the tenant's database anew."""
    store = sqlite_store(tmp_path, EVENTS)
    try:
        await store.create_tenant(PROJECT.tenant)
        events = writer(store, capacity=1)
        events.add(PROJECT, 1.0)
        await store.drop_tenant(PROJECT.tenant)
        await events.flush()
        assert not list(tmp_path.glob("tenant_acme*"))
        await store.create_tenant(PROJECT.tenant)
        events.add(PROJECT, 2.0)
        await events.flush()
        assert events.lost == 0
        assert await store.count(PROJECT, EVENTS) == 1
    finally:
        await store.close()


async def test_two_flushes_at_once_write_nothing_twice(store: Store) -> None:
    events = writer(store)
    for _ in range(10):
        events.add(PROJECT, 1.0)
    await asyncio.gather(events.flush(), events.flush())
    assert await written(store) == 10


async def test_old_records_go_once_an_hour(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("core.storage.write_behind.time.time", lambda: now)
    events = writer(store, keep_seconds=100.0)
    for age, left in ((50, 1), (150, 2), (150, 3)):
        events.add(PROJECT, now - age)
        await events.flush()
        assert await written(store) == left
    now += 3601
    events.add(PROJECT, now)
    await events.flush()
    assert await written(store) == 1


async def test_a_record_that_can_never_be_written_does_not_block_the_others(store: Store) -> None:
    """theopenco/llmgateway#3759: one record that the store refuses was tried again and again, and all later ones of the
    project waited behind it."""
    events = writer(store)
    times = [float(number) for number in range(20)]
    times[7] = times[13] = float("nan")
    with capture_logs() as told:
        for at in times:
            events.add(PROJECT, at)
        await events.flush()
    assert await written(store) == 18
    assert (events.unwritable, events.lost) == (2, 0)
    assert [each["event"] for each in told] == ["record dropped: it can never be written"] * 2
    events.add(PROJECT, 20.0)
    await events.flush()
    assert await written(store) == 19


async def test_an_entry_of_which_no_record_can_be_made_is_dropped(store: Store) -> None:
    events: WriteBehind[str] = WriteBehind(
        store, EVENTS, Tasks(), "evt", lambda text: {"createdAt": float(text)}, capacity=10
    )
    for text in ("1", "nonsense", "2"):
        events.add(PROJECT, text)
    await events.flush()
    assert await written(store) == 2
    assert events.unwritable == 1


async def test_a_record_that_cannot_be_written_now_is_kept_though_its_batch_was_halved(store: Store) -> None:
    events = writer(store)
    for at in (1.0, float("nan"), 2.0, 3.0):
        events.add(PROJECT, at)
    store.failures = [Unavailable("away"), InvalidInput("one of them is not finite")]
    await events.flush()
    assert await written(store) == 0
    await events.flush()
    assert await written(store) == 3
    assert (events.unwritable, events.lost) == (1, 0)


async def test_a_project_without_room_takes_none_from_another(store: Store) -> None:
    """Records that one project could not write counted against the capacity of all."""
    other = Project(Tenant("globex"), "p1")
    events = writer(store, capacity=10)
    for _ in range(30):
        events.add(PROJECT, 1.0)
    for _ in range(4):
        events.add(other, 1.0)
    assert events.lost == 24
    await events.flush()
    assert await written(store, other) == 4
    assert await written(store) == 6


async def test_room_is_given_back_when_a_cancelled_flush_puts_its_batch_back(store: Store) -> None:
    events = writer(store, capacity=3)
    for at in (1.0, 2.0, 3.0):
        events.add(PROJECT, at)
    store.blocked = asyncio.Event()
    flush = asyncio.create_task(events.flush())
    await store.blocked.wait()
    events.add(PROJECT, 4.0)
    assert events.lost == 1
    flush.cancel()
    await asyncio.gather(flush, return_exceptions=True)
    store.blocked = None
    await events.flush()
    assert await written(store) == 3


async def test_what_comes_during_a_write_waits_for_the_next(store: Store) -> None:
    """A busy service wrote batches of a few records without end, each with a transaction of its own."""
    events = writer(store)

    class Busy(Store):
        async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
            events.add(PROJECT, 1.0)
            return await super().insert_many(scope, collection, documents)

    store.__class__ = Busy
    for _ in range(BATCH + 1):
        events.add(PROJECT, 0.0)
    await events.flush()
    assert store.batches == [BATCH, 1]
    await events.flush()
    assert store.batches == [BATCH, 1, 2]
