"""Migrations between engines in memory: whole, resumed, refused, stopped. Crashes are tests/contract's."""

import asyncio
from typing import Any

import pytest

from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound, PorticoError, Unavailable
from core.jobs.records import Job, Status
from core.providers.records import NewProvider
from core.tenancy import Project, Tenant
from services.vector.domain.index_migrations import IndexMigration, NewIndexMigration
from services.vector.domain.index_resolver import IndexRef
from services.vector.domain.indexes import NewIndex
from services.vector.ports import IndexLocation, PointPage
from tests.unit.services.vector.conftest import ACME, Harness, point

POINTS = [point(f"p{at:02}", 1, at, n=at) for at in range(25)]


@pytest.fixture
async def docs(harness: Harness) -> Harness:
    await harness.providers.create(ACME, NewProvider("remote", "Far", "far", settings={"url": "https://x.example"}))
    await harness.index()
    await harness.upsert(*POINTS)
    await harness.jobs.start()
    return harness


def new(**changes: Any) -> NewIndexMigration:
    return NewIndexMigration("default", "docs", "far", **{"batch_size": 10, **changes})


async def ended(harness: Harness, migration: IndexMigration) -> IndexMigration:
    async with asyncio.timeout(5):
        while not (now := await harness.migrations.get(ACME, migration.job.id)).job.status.ended:
            await asyncio.sleep(0.005)
    return now


def copied(harness: Harness) -> dict[str, Any]:
    (points,) = harness.remote.points.values()
    return points


async def test_all_points_go_over_and_the_counts_are_compared(docs: Harness) -> None:
    begun = await docs.migrations.create(ACME, new())
    assert (begun.source, begun.destination) == (("default", "docs"), ("far", "docs"))
    done = await ended(docs, begun)
    assert (done.job.status, done.job.done, done.job.total, done.verified) == (Status.SUCCEEDED, 25, 25, True)
    assert copied(docs) == {each.id: each for each in POINTS}
    assert await docs.upsert(point("after")) == 1
    moved = IndexRef(ACME, "far", "docs")
    assert await docs.vectors.count(moved, None) == 25


async def test_a_source_that_does_not_end_is_left(docs: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of the tenant's own could fill our disk, and hold a worker for ever."""

    async def scroll(location: IndexLocation, after: str = "", limit: int = 256) -> PointPage:
        start = int(after or 0)
        return PointPage([point(f"{number}", 1, 1) for number in range(start, start + limit)], str(start + limit))

    monkeypatch.setattr(docs.embedded, "scroll", scroll)
    done = await ended(docs, await docs.migrations.create(ACME, new()))
    assert (done.job.status, done.job.done) == (Status.FAILED, 20)
    assert "25 vectors" in done.job.error
    assert len(copied(docs)) == 20


async def test_an_empty_index_goes_over_too(docs: Harness) -> None:
    await docs.vectors.delete(IndexRef(ACME, "default", "docs"), [each.id for each in POINTS], None)
    done = await ended(docs, await docs.migrations.create(ACME, new(destination_name="Copy")))
    assert (done.job.status, done.verified, done.destination) == (Status.SUCCEEDED, True, ("far", "copy"))


async def test_a_failure_on_the_way_goes_on_from_the_checkpoint(docs: Harness) -> None:
    scrolled: list[str] = []
    failed: list[str] = []

    async def fail_once(call: str, location: IndexLocation) -> None:
        if call == "upsert" and len(copied(docs)) == 10 and not failed:
            failed.append(call)
            raise Unavailable("The engine is away.")

    async def watch(call: str, location: IndexLocation) -> None:
        if call == "scroll":
            scrolled.append(call)

    docs.remote.before, docs.embedded.before = fail_once, watch
    done = await ended(docs, await docs.migrations.create(ACME, new()))
    assert (done.job.status, done.job.attempts, done.verified) == (Status.SUCCEEDED, 2, True)
    assert len(scrolled) == 4  # three batches, one of them twice
    assert len(copied(docs)) == 25


async def test_a_destination_with_other_points_is_told_at_the_end(docs: Harness) -> None:
    await docs.indexes.create(ACME, "far", NewIndex("docs", 2))
    await docs.vectors.upsert(IndexRef(ACME, "far", "docs"), lambda: [point("foreign")], 1)
    done = await ended(docs, await docs.migrations.create(ACME, new()))
    assert (done.job.status, done.verified) == (Status.FAILED, False)
    assert done.job.error == "The source has 25 vectors, the destination 26."


async def test_a_copy_that_was_broken_off_can_be_begun_again(docs: Harness) -> None:
    reached, hold = asyncio.Event(), asyncio.Event()

    async def wait(call: str, location: IndexLocation) -> None:
        if call == "upsert" and len(copied(docs)) == 10:
            reached.set()
            await hold.wait()

    docs.remote.before = wait
    begun = await docs.migrations.create(ACME, new())
    await reached.wait()
    cancelled = await docs.migrations.cancel(ACME, begun.job.id)
    assert (cancelled.job.status, cancelled.job.done) == (Status.CANCELLED, 10)
    assert len(copied(docs)) == 10
    with pytest.raises(FailedPrecondition):
        await docs.migrations.cancel(ACME, begun.job.id)
    docs.remote.before = None
    assert (await ended(docs, await docs.migrations.create(ACME, new()))).verified


async def test_one_migration_of_an_index_at_a_time(docs: Harness) -> None:
    hold = asyncio.Event()

    async def wait(call: str, location: IndexLocation) -> None:
        await hold.wait()

    docs.embedded.before = wait
    first = await docs.migrations.create(ACME, new())
    with pytest.raises(Conflict) as caught:
        await docs.migrations.create(ACME, new(destination_name="other"))
    assert caught.value.reason == "MIGRATING"
    hold.set()
    await ended(docs, first)
    await ended(docs, await docs.migrations.create(ACME, new(destination_name="other")))


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"source_provider": "x"}, NotFound, "sourceProviderKey"),
        ({"source_index": "x"}, NotFound, "sourceIndexId"),
        ({"destination_provider": ""}, NotFound, "destinationProviderKey"),
        ({"destination_provider": "x"}, NotFound, "destinationProviderKey"),
        ({"destination_provider": "default"}, InvalidInput, "destinationProviderKey"),
        ({"batch_size": 5001}, InvalidInput, "batchSize"),
        ({"batch_size": -1}, InvalidInput, "batchSize"),
        ({"destination_name": "taken"}, Conflict, "destinationName"),
    ],
)
async def test_what_cannot_be_migrated_is_refused(
    docs: Harness, changes: Any, error: type[PorticoError], field: str
) -> None:
    await docs.indexes.create(ACME, "far", NewIndex("taken", 3))
    whole = {"source_provider": "default", "source_index": "docs", "destination_provider": "far", **changes}
    with pytest.raises(error) as caught:
        await docs.migrations.create(ACME, NewIndexMigration(**whole))
    assert caught.value.field == field
    assert await docs.migrations.list(ACME, 0, "") == ([], "")


async def test_an_index_made_anew_is_not_taken_for_the_old_one(docs: Harness) -> None:
    """A destination deleted and made again while the job waits must not mix two indexes."""
    hold, reached = asyncio.Event(), asyncio.Event()

    async def wait(call: str, location: IndexLocation) -> None:
        if call == "count":
            reached.set()
            await hold.wait()
            raise Unavailable("Later.")

    docs.embedded.before = wait
    begun = await docs.migrations.create(ACME, new())
    await reached.wait()
    await docs.indexes.delete(ACME, "far", "docs")
    await docs.indexes.create(ACME, "far", NewIndex("docs", 2))
    hold.set()
    done = await ended(docs, begun)
    assert (done.job.status, copied(docs)) == (Status.FAILED, {})


async def test_the_batches_of_long_vectors_are_smaller(docs: Harness) -> None:
    await docs.indexes.create(ACME, "default", NewIndex("long", 65_536))
    begun = await docs.migrations.create(ACME, NewIndexMigration("default", "long", "far", batch_size=5000))
    assert begun.job.payload["batchSize"] == 128
    await ended(docs, begun)


async def test_migrations_of_others_are_not_there(docs: Harness) -> None:
    begun = await ended(docs, await docs.migrations.create(ACME, new()))
    foreign: Job = await docs.jobs.submit(ACME, "other.kind", {})
    with pytest.raises(NotFound):
        await docs.migrations.get(ACME, foreign.id)
    with pytest.raises(NotFound):
        await docs.migrations.cancel(ACME, foreign.id)
    for other in (Project(Tenant("acme"), "p2"), Project(Tenant("globex"), "p1")):
        with pytest.raises(NotFound):
            await docs.migrations.get(other, begun.job.id)
        with pytest.raises(NotFound):
            await docs.migrations.cancel(other, begun.job.id)
        assert await docs.migrations.list(other, 0, "") == ([], "")
    listed, _ = await docs.migrations.list(ACME, 0, "")
    assert [each.job.id for each in listed] == [begun.job.id]
