"""A document store that is away for a while, or gone before its answer has come: what its callers may count on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from core.audit.log import AuditLog
from core.audit.records import AUDIT_LOG, SUCCESS, Actor, new_entry
from core.errors import Conflict, PorticoError, Unavailable
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.jobs.records import JOBS, Job
from core.jobs.run import JobRun
from core.lifecycle import Lifecycle
from core.storage.migrations import Migration, Migrations
from core.storage.ports import DocumentStore
from core.storage.references import referring
from core.storage.scan import scan
from core.storage.schema import Schema
from core.storage.write_behind import WriteBehind
from core.tasks import Tasks
from core.tenancy import Main, Tenant
from tests.contract.conftest import BACKENDS, Backend
from tests.contract.documents import ACME, CALLS, COUNTS, NOTES, RED, SCHEMA, put
from tests.contract.test_document_store import READS, WRITES
from tests.support.stores import whole_schema
from tests.support.unreliable_store import UnreliableStore, unreliable

SEEDS = range(4)


@pytest.fixture(params=list(BACKENDS))
def inner(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
async def both(inner: Backend) -> AsyncIterator[tuple[DocumentStore, UnreliableStore]]:
    """A store of all that there is, and what turns it off."""
    store = inner.open(whole_schema(NOTES, CALLS, COUNTS))
    await store.create_tenant(ACME)
    yield unreliable(store)
    await store.close()


@pytest.mark.parametrize("method", [*READS, *WRITES])
async def test_a_call_that_fails_changes_nothing_and_the_next_one_works(
    both: tuple[DocumentStore, UnreliableStore], method: str
) -> None:
    store, switch = both
    await put(store, {"id": "n1", "secret": "s"})
    switch.away = True
    with pytest.raises(Unavailable):
        await (READS | WRITES)[method](store, RED, NOTES)
    switch.away = False
    assert await store.get(RED, NOTES, "n1") == {"id": "n1", "secret": "s", "project": "red"}
    assert await store.count(RED, NOTES) == 1
    await (READS | WRITES)[method](store, RED, NOTES)


async def test_what_is_repeated_because_its_answer_was_lost(both: tuple[DocumentStore, UnreliableStore]) -> None:
    """A batch is completed, an insert conflicts with itself, and of a compare-and-set one is made."""
    store, switch = both
    batch = [{"id": f"n{at}", "key": f"k{at}"} for at in range(10)]
    switch.lost = 1.0
    for call in (
        store.insert_many(RED, NOTES, batch[:5]),
        store.insert(RED, NOTES, {"id": "one", "n": 1}),
        store.update(RED, NOTES, "one", {"n": 2}, where={"n": 1}),
        store.delete(RED, NOTES, "n0"),
    ):
        with pytest.raises(Unavailable):
            await call
    switch.lost = 0.0
    assert await store.insert_many(RED, NOTES, batch) == 6
    with pytest.raises(Conflict):
        await store.insert(RED, NOTES, {"id": "one", "n": 1})
    assert await store.update(RED, NOTES, "one", {"n": 2}, where={"n": 1}) is None
    assert await store.count(RED, NOTES, {"n": 2}) == 1


async def test_a_migration_in_which_the_store_fails_is_taken_up_by_the_next_call(inner: Backend) -> None:
    old = inner.open(SCHEMA)
    await old.create_tenant(ACME)
    await put(old, *({"id": f"n{at}"} for at in range(5)))
    await old.close()
    failing = True

    async def mark(store: DocumentStore, scope: Main | Tenant) -> None:
        for at in range(5):
            if failing and at == 3:
                raise Unavailable("away")
            await store.update(RED, NOTES, f"n{at}", {"kind": "marked"})

    store = inner.open(Schema([NOTES], Migrations("notes", tenant=(Migration(1, "marks", mark),))))
    done = await asyncio.gather(*(store.count(RED, NOTES) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(each, Unavailable) for each in done)
    failing = False
    assert await store.count(RED, NOTES, {"kind": "marked"}) == 5
    await store.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_records_written_behind_are_all_there_once(inner: Backend, seed: int) -> None:
    whole = inner.open(whole_schema(NOTES))
    await whole.create_tenant(ACME)
    store, switch = unreliable(whole, refused=0.3, lost=0.3, seed=seed)
    records: WriteBehind[int] = WriteBehind(store, NOTES, Tasks(), "n", lambda n: {"n": n}, capacity=10_000)
    for at in range(2000):
        records.add(RED, at)
        if at % 300 == 0:
            await records.flush()
    for _ in range(20):
        await records.flush()
    assert switch.failures
    assert records.lost == 0
    assert sorted([each["n"] async for each in scan(whole, RED, NOTES)]) == list(range(2000))
    await whole.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_audit_entries_are_all_there_once(inner: Backend, seed: int) -> None:
    whole = inner.open(whole_schema())
    await whole.create_tenant(ACME)
    store, switch = unreliable(whole, refused=0.3, lost=0.3, seed=seed)
    log = AuditLog(store, Tasks())
    begun = []
    for at in range(30):
        entry = new_entry(Actor("api", "u1"), "model.create", SUCCESS, "model", f"m{at}", at=1000.0 + at)
        with suppress(Unavailable):
            await log.begin(ACME, entry)
            begun.append(entry)
            await log.settle(ACME, entry)
        log.add_once(ACME, new_entry(Actor("api", "u1"), "file.create", SUCCESS, "file", f"f{at}", at=1000.0))
    for _ in range(20):
        await log.flush()
    await log.close()
    assert switch.failures
    kept = [each async for each in scan(whole, ACME, AUDIT_LOG)]
    settled = {each["resourceId"] for each in kept if each["action"] == "model.create" and each["outcome"] == SUCCESS}
    assert settled == {entry.resource_id for entry in begun}
    files = [each["resourceId"] for each in kept if each["action"] == "file.create"]
    assert sorted(files) == sorted(f"f{at}" for at in range(30))
    await whole.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_job_gets_to_its_end(inner: Backend, seed: int) -> None:
    whole = inner.open(whole_schema())
    await whole.create_tenant(ACME)
    store, switch = unreliable(whole, refused=0.1, lost=0.1, seed=seed)
    tasks, lifecycle = Tasks(), Lifecycle()
    limits = JobLimits(lease=0.2, heartbeat=0.02, poll=0.01, first_retry=0.001, longest_retry=0.01, max_attempts=1000)

    async def count(run: JobRun) -> None:
        for at in range(int((run.state or {"next": 0})["next"]), 20):
            await run.checkpoint(at + 1, 20, {"next": at + 1})

    jobs = Jobs(store, tasks, lifecycle, {"count": count}, limits=limits)
    await jobs.start()
    job = await _submitted(jobs, whole)
    async with asyncio.timeout(60):
        while not (document := await whole.get(RED, JOBS, job) or {}).get("endedAt"):
            await asyncio.sleep(0.01)
    assert (document["status"], document["done"]) == ("succeeded", 20)
    assert switch.failures
    switch.refused = switch.lost = 0.0
    await lifecycle.stop()
    await tasks.drain(1.0)
    await whole.close()


async def _submitted(jobs: Jobs, whole: DocumentStore) -> str:
    """The id of a job of this key, asked for until there is one, as a client does that repeats its call."""
    while True:
        try:
            made: Job = await jobs.submit(RED, "count", {}, unique_key="k")
        except PorticoError:
            found = await whole.find_one(RED, JOBS, {"uniqueKey": "k"})
            if found is not None:
                return str(found["id"])
        else:
            return made.id


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_reference_stays_to_what_is_gone(inner: Backend, seed: int) -> None:
    """Whatever fails, a call that was told of success leaves both records, and any other none that was checked."""
    whole = inner.open(SCHEMA)
    await whole.create_tenant(ACME)
    store, switch = unreliable(whole, refused=0.2, seed=seed)
    outcomes: list[Any] = []
    for at in range(30):
        id = f"n{at}"

        async def check(_: None) -> None:
            await store.count(RED, NOTES)

        async def write(id: str = id) -> None:
            await store.insert(RED, NOTES, {"id": id})

        async def take_back(_: None, id: str = id) -> None:
            await whole.delete(RED, NOTES, id)

        try:
            await referring(write, check=check, undo=take_back)
        except Unavailable:
            outcomes.append((id, False))
        else:
            outcomes.append((id, True))
    assert switch.failures
    kept = {each["id"] async for each in scan(whole, RED, NOTES)}
    assert kept == {id for id, told in outcomes if told}
    await whole.close()
