"""Durable jobs on a store in memory. Crashes, rival processes and real files are tests/contract/test_jobs.py's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from core import context
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound, PorticoError, Unavailable
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.jobs.records import JOB_INDEX, JOBS, Job, JobIndexEntry, Status
from core.jobs.run import Handler, JobRun
from core.jobs.store import JobStore
from core.lifecycle import Lifecycle
from core.storage.table import to_document
from core.tasks import Tasks
from core.tenancy import MAIN, Project, Tenant
from tests.support.stores import MemoryStore

ACME = Project(Tenant("acme"), "p1")


def _entry(id: str, kind: str, at: float) -> JobIndexEntry:
    return JobIndexEntry(id, ACME.tenant.slug, ACME.id, kind, created_at=at, due_at=at)


GLOBEX = Project(Tenant("globex"), "p1")
LIMITS = JobLimits(heartbeat=0.05, poll=0.02, first_retry=0.001, drain=0.2)


class Harness:
    """One process's jobs, and what is needed to look at them."""

    def __init__(self, store: MemoryStore, limits: JobLimits = LIMITS, **handlers: Handler) -> None:
        self.store = store
        self.tasks = Tasks()
        self.lifecycle = Lifecycle()
        self.paused: set[str] = set()
        self.jobs = Jobs(
            store, self.tasks, self.lifecycle, handlers, limits=limits, paused=lambda tenant: tenant in self.paused
        )

    async def ended(self, job: Job, scope: Project = ACME) -> Job:
        async with asyncio.timeout(5):
            while not (now := await self.jobs.get(scope, job.id)).status.ended:
                await asyncio.sleep(0.005)
            while await self.store.get(MAIN, JOB_INDEX, job.id) is not None:
                await asyncio.sleep(0.005)
        return now


Make = Callable[..., Harness]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Harness] = []
    store = MemoryStore()

    def build(limits: JobLimits = LIMITS, **handlers: Handler) -> Harness:
        made.append(Harness(store, limits, **handlers))
        return made[-1]

    yield build
    for harness in made:
        await harness.lifecycle.stop()
        await harness.tasks.drain(0.1)


async def test_a_job_runs_with_its_payload_and_ends(make: Make) -> None:
    seen: list[Any] = []

    async def copy(run: JobRun) -> None:
        seen.append((run.scope, dict(run.payload), run.state))
        await run.checkpoint(1, 2, {"at": "a"})
        await run.checkpoint(2)

    harness = make(copy=copy)
    await harness.jobs.start()
    job = await harness.ended(await harness.jobs.submit(ACME, "copy", {"what": 1}))
    assert seen == [(ACME, {"what": 1}, None)]
    assert (job.status, job.done, job.total, job.attempts) == (Status.SUCCEEDED, 2, 2, 1)
    assert job.state == {"at": "a"}
    assert job.ended_at is not None
    assert await harness.store.get(MAIN, JOB_INDEX, job.id) is None


async def test_jobs_of_before_the_start_are_found(make: Make) -> None:
    async def nothing(run: JobRun) -> None:
        pass

    harness = make(nothing=nothing)
    job = await harness.jobs.submit(ACME, "nothing", {})
    assert job.status is Status.QUEUED
    await harness.jobs.start()
    assert (await harness.ended(job)).status is Status.SUCCEEDED


async def test_a_handler_has_no_identity_of_whoever_asked(make: Make) -> None:
    seen: list[Any] = []

    async def look(run: JobRun) -> None:
        seen.append(context.current())

    harness = make(look=look)
    await harness.jobs.start()
    context.bind(context.RequestContext("caller", token="ptc_secret"))
    job = await harness.ended(await harness.jobs.submit(ACME, "look", {}))
    assert (seen[0].request_id, seen[0].identity, seen[0].token) == (job.id, None, None)


async def test_a_failure_that_may_pass_is_tried_again_from_the_checkpoint(make: Make) -> None:
    states: list[Any] = []

    async def flaky(run: JobRun) -> None:
        states.append(run.state)
        if len(states) == 1:
            await run.checkpoint(5, 10, {"at": 5})
            raise Unavailable("The engine is away.")

    harness = make(flaky=flaky)
    await harness.jobs.start()
    job = await harness.ended(await harness.jobs.submit(ACME, "flaky", {}))
    assert states == [None, {"at": 5}]
    assert (job.status, job.attempts, job.error) == (Status.SUCCEEDED, 2, "")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Unavailable("The engine is away."), "The engine is away."),
        (RuntimeError("hunter2"), "Something went wrong on our side. Quote the job's id when you report it."),
    ],
)
async def test_failures_end_at_the_limit(make: Make, error: Exception, text: str) -> None:
    tries: list[int] = []

    async def fail(run: JobRun) -> None:
        tries.append(run.attempt)
        raise error

    harness = make(fail=fail)
    await harness.jobs.start()
    job = await harness.ended(await harness.jobs.submit(ACME, "fail", {}, max_attempts=3))
    assert tries == [1, 2, 3]
    assert (job.status, job.error) == (Status.FAILED, text)


async def test_progress_gives_new_attempts_but_going_in_circles_does_not(make: Make) -> None:
    async def forward(run: JobRun) -> None:
        await run.checkpoint(run.done + 1, 5)
        if run.done < 5:
            raise Unavailable("Away.")

    async def circle(run: JobRun) -> None:
        await run.checkpoint(1, 2)
        raise Unavailable("Away.")

    harness = make(forward=forward, circle=circle)
    await harness.jobs.start()
    on = await harness.jobs.submit(ACME, "forward", {}, max_attempts=2)
    around = await harness.jobs.submit(ACME, "circle", {}, max_attempts=2)
    assert ((await harness.ended(on)).status, (await harness.ended(on)).attempts) == (Status.SUCCEEDED, 5)
    assert ((await harness.ended(around)).status, (await harness.ended(around)).attempts) == (Status.FAILED, 2)


@pytest.mark.parametrize("error", [InvalidInput("Not so."), NotFound("Gone."), Conflict("There."), PorticoError("No.")])
async def test_a_callers_mistake_fails_at_once(make: Make, error: PorticoError) -> None:
    async def fail(run: JobRun) -> None:
        raise error

    harness = make(fail=fail)
    await harness.jobs.start()
    job = await harness.ended(await harness.jobs.submit(ACME, "fail", {}))
    assert (job.status, job.attempts, job.error) == (Status.FAILED, 1, error.message)


async def test_a_running_job_is_cancelled_at_once_and_a_queued_one_never_begins(make: Make) -> None:
    begun, cleaned = asyncio.Event(), asyncio.Event()
    ran: list[str] = []

    async def hang(run: JobRun) -> None:
        ran.append(run.id)
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # cleaning up may take awaits of its own
            cleaned.set()

    harness = make(JobLimits(running=1, poll=0.02), hang=hang)
    await harness.jobs.start()
    first = await harness.jobs.submit(ACME, "hang", {})
    await begun.wait()
    second = await harness.jobs.submit(ACME, "hang", {})
    assert (await harness.jobs.cancel(ACME, second.id)).status is Status.CANCELLED
    assert (await harness.jobs.cancel(ACME, first.id)).status is Status.CANCELLED
    assert cleaned.is_set()
    await harness.ended(first)
    assert ran == [first.id]
    with pytest.raises(FailedPrecondition):
        await harness.jobs.cancel(ACME, first.id)


async def test_a_cancellation_reaches_a_job_of_another_process_by_its_heartbeat(make: Make) -> None:
    begun = asyncio.Event()

    async def hang(run: JobRun) -> None:
        begun.set()
        await asyncio.Event().wait()

    harness, other = make(hang=hang), make()
    await harness.jobs.start()
    job = await harness.jobs.submit(ACME, "hang", {})
    await begun.wait()
    assert (await other.jobs.cancel(ACME, job.id)).status is Status.RUNNING
    assert (await harness.ended(job)).status is Status.CANCELLED


async def test_a_cancellation_stops_at_the_next_checkpoint_and_lets_the_handler_clean_up(make: Make) -> None:
    """The checkpoint once left a second cancellation behind, which broke the handler's own cleaning up."""
    begun, go = asyncio.Event(), asyncio.Event()
    cleaned: list[str] = []

    async def step(run: JobRun) -> None:
        begun.set()
        await go.wait()
        try:
            await run.checkpoint(1, 2)
        finally:
            await asyncio.sleep(0)
            cleaned.append(run.id)

    harness, other = make(JobLimits(heartbeat=5, lease=15, poll=0.02), step=step), make()
    await harness.jobs.start()
    job = await harness.jobs.submit(ACME, "step", {})
    await begun.wait()
    await other.jobs.cancel(ACME, job.id)
    go.set()
    assert (await harness.ended(job)).status is Status.CANCELLED
    assert cleaned == [job.id]


async def test_one_key_has_one_job_at_a_time(make: Make) -> None:
    hold = asyncio.Event()

    async def wait(run: JobRun) -> None:
        await hold.wait()

    harness = make(wait=wait)
    await harness.jobs.start()
    job = await harness.jobs.submit(ACME, "wait", {}, unique_key="k")
    with pytest.raises(Conflict):
        await harness.jobs.submit(ACME, "wait", {}, unique_key="k")
    await harness.jobs.submit(GLOBEX, "wait", {}, unique_key="k")
    found = await harness.jobs.find(ACME, "k")
    assert found is not None
    assert found.id == job.id
    hold.set()
    await harness.ended(job)
    assert await harness.jobs.find(ACME, "k") is None
    await harness.jobs.submit(ACME, "wait", {}, unique_key="k")


async def test_a_tenant_with_many_jobs_does_not_hold_up_another(make: Make) -> None:
    hold, order = asyncio.Event(), []

    async def wait(run: JobRun) -> None:
        order.append(run.scope.tenant.slug)
        await hold.wait()

    harness = make(JobLimits(running=3, running_per_tenant=2, poll=0.02), wait=wait)
    many = [await harness.jobs.submit(ACME, "wait", {}) for _ in range(20)]
    late = await harness.jobs.submit(GLOBEX, "wait", {})
    await harness.jobs.start()
    async with asyncio.timeout(5):
        while len(order) < 3:
            await asyncio.sleep(0.005)
    assert sorted(order) == ["acme", "acme", "globex"]
    hold.set()
    for job in many:
        await harness.ended(job)
    await harness.ended(late, GLOBEX)


async def test_jobs_of_others_are_not_there(make: Make) -> None:
    harness = make()
    job = await harness.jobs.submit(ACME, "x", {})
    for scope in (GLOBEX, Project(ACME.tenant, "p2")):
        with pytest.raises(NotFound):
            await harness.jobs.get(scope, job.id)
        with pytest.raises(NotFound):
            await harness.jobs.cancel(scope, job.id)
        assert await harness.jobs.list(scope, "x") == ([], "")
    jobs, _ = await harness.jobs.list(ACME, "x")
    assert [each.id for each in jobs] == [job.id]
    assert await harness.jobs.list(ACME, "y") == ([], "")


async def test_a_process_leaves_alone_what_it_has_no_handler_for(make: Make) -> None:
    async def nothing(run: JobRun) -> None:
        pass

    harness = make(nothing=nothing)
    await harness.jobs.start()
    foreign = await harness.jobs.submit(ACME, "foreign", {})
    await harness.ended(await harness.jobs.submit(ACME, "nothing", {}))
    assert (await harness.jobs.get(ACME, foreign.id)).status is Status.QUEUED


async def test_a_drain_stops_at_a_checkpoint_and_uses_up_no_attempt(make: Make) -> None:
    begun, hold = asyncio.Event(), asyncio.Event()

    async def steps(run: JobRun) -> None:
        for at in range(1, 100):
            begun.set()
            await hold.wait()
            await run.checkpoint(at, 100, {"at": at})

    harness = make(steps=steps)
    await harness.jobs.start()
    job = await harness.jobs.submit(ACME, "steps", {}, max_attempts=1)
    await begun.wait()
    stopping = asyncio.create_task(harness.lifecycle.stop())
    while not harness.jobs._worker._stopping:
        await asyncio.sleep(0)
    hold.set()
    await stopping
    left = await harness.jobs.get(ACME, job.id)
    assert (left.status, left.failures, left.state) == (Status.QUEUED, 0, {"at": 1})


async def test_a_drain_cuts_off_a_handler_that_reaches_no_checkpoint(make: Make) -> None:
    begun = asyncio.Event()

    async def hang(run: JobRun) -> None:
        begun.set()
        await asyncio.Event().wait()

    harness = make(JobLimits(drain=0.01, poll=0.02), hang=hang)
    await harness.jobs.start()
    job = await harness.jobs.submit(ACME, "hang", {})
    await begun.wait()
    await harness.lifecycle.stop()
    assert (await harness.jobs.get(ACME, job.id)).status is Status.QUEUED


async def test_a_worker_that_lost_its_lease_can_write_nothing() -> None:
    store, now = MemoryStore(), [1000.0]
    job_store = JobStore(store, lambda: now[0])
    job = await job_store.submit(ACME, "x", {}, "", 5)
    entry = _entry(job.id, "x", 1000.0)
    first = await job_store.claim(entry, 10)
    assert first is not None
    assert await job_store.claim(entry, 10) is None
    now[0] += 11
    second = await job_store.claim(entry, 10)
    assert second is not None
    assert (second.attempts, second.failures) == (2, 1)
    assert await job_store.save(ACME, first, {"done": 9.0}, 10) is None
    assert not await job_store.finish(ACME, first, Status.SUCCEEDED)
    assert not await job_store.requeue(ACME, first)
    assert await job_store.save(ACME, second, {"done": 1.0}, 10) is not None
    assert (await job_store.get(ACME, job.id)).done == 1.0


async def test_a_job_that_kills_its_process_every_time_fails_at_the_limit() -> None:
    store, now = MemoryStore(), [1000.0]
    job_store = JobStore(store, lambda: now[0])
    job = await job_store.submit(ACME, "x", {}, "", 2)
    entry = _entry(job.id, "x", 1000.0)
    for _ in range(2):
        assert await job_store.claim(entry, 10) is not None
        now[0] += 11
    last = await job_store.claim(entry, 10)
    assert last is not None
    assert last.failures == last.max_attempts  # to be finished, see test_job_audit


async def test_a_cancelled_job_whose_worker_died_ends_without_a_worker() -> None:
    store, now = MemoryStore(), [1000.0]
    job_store = JobStore(store, lambda: now[0])
    one, two = [await job_store.submit(ACME, "x", {}, "", 2) for _ in range(2)]
    for job in (one, two):
        assert await job_store.claim(_entry(job.id, "x", 1000.0), 10) is not None
    assert (await job_store.cancel(ACME, one.id)).status is Status.RUNNING
    now[0] += 11
    assert (await job_store.cancel(ACME, two.id)).status is Status.CANCELLED
    assert await job_store.claim(_entry(one.id, "x", 1000.0), 10) is None
    assert (await job_store.get(ACME, one.id)).status is Status.CANCELLED


async def test_an_entry_without_a_job_is_removed_in_time_and_not_before() -> None:
    """A crash between the two leaves one; so does, for a moment, every submission."""
    store, now = MemoryStore(), [1000.0]
    job_store = JobStore(store, lambda: now[0])
    entry = _entry("job_1", "x", 1000.0)
    await store.insert(MAIN, JOB_INDEX, to_document(entry))
    assert await job_store.claim(entry, 10) is None
    assert await store.get(MAIN, JOB_INDEX, "job_1") is not None
    now[0] += 61
    assert await job_store.claim(entry, 10) is None
    assert await store.get(MAIN, JOB_INDEX, "job_1") is None


async def test_an_entry_without_a_job_does_not_keep_others_waiting() -> None:
    """It was the first in its tenant's queue again and again, for a minute: no later job of the tenant was begun."""
    store, now = MemoryStore(), [1000.0]
    job_store = JobStore(store, lambda: now[0])
    await store.insert(MAIN, JOB_INDEX, to_document(_entry("job_1", "x", 999.0)))
    job = await job_store.submit(ACME, "x", {}, "", 2)
    (first,) = await job_store.due("acme", ["x"], 1)
    assert await job_store.claim(first, 10) is None
    (second,) = await job_store.due("acme", ["x"], 1)
    assert second.id == job.id
    assert await job_store.claim(second, 10) is not None
    now[0] += 1
    assert [each.id for each in await job_store.due("acme", ["x"], 5)] == ["job_1"]


async def test_a_job_is_never_without_an_entry() -> None:
    """So no crash can leave a job that nobody finds."""

    class Watching(MemoryStore):
        async def insert(self, scope: Any, collection: Any, document: Any) -> None:
            if collection is JOBS:
                assert await self.get(MAIN, JOB_INDEX, document["id"]) is not None
            await super().insert(scope, collection, document)

    job_store = JobStore(Watching())
    await job_store.submit(ACME, "x", {}, "", 2)


async def test_jobs_that_ended_long_ago_are_forgotten_and_others_are_not(make: Make) -> None:
    async def nothing(run: JobRun) -> None:
        pass

    harness = make(nothing=nothing)
    await harness.jobs.start()
    foreign = await harness.jobs.submit(ACME, "foreign", {})
    old = await harness.ended(await harness.jobs.submit(ACME, "nothing", {}))
    await harness.jobs._job_store.prune(ACME.tenant, 3600)
    assert (await harness.jobs.get(ACME, old.id)).status is Status.SUCCEEDED
    await harness.jobs._job_store.prune(ACME.tenant, -1)
    with pytest.raises(NotFound):
        await harness.jobs.get(ACME, old.id)
    assert (await harness.jobs.get(ACME, foreign.id)).status is Status.QUEUED


async def test_a_store_that_fails_for_a_while_does_not_end_the_looking(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()

    async def nothing(run: JobRun) -> None:
        pass

    async def away(kinds: Any) -> list[str]:
        failed.set()
        raise OSError("disk")

    harness = make(nothing=nothing)
    with monkeypatch.context() as broken:
        broken.setattr(harness.jobs._job_store, "due_tenants", away)
        await harness.jobs.start()
        job = await harness.jobs.submit(ACME, "nothing", {})
        await failed.wait()
    assert (await harness.ended(job)).status is Status.SUCCEEDED


async def test_a_handler_is_stopped_before_its_lease_ends_when_the_store_is_away(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def hang(run: JobRun) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def away(*arguments: Any) -> None:
        await asyncio.Event().wait()

    harness = make(JobLimits(lease=0.2, heartbeat=0.05, poll=5), hang=hang)
    await harness.jobs.start()
    job = await harness.jobs.submit(ACME, "hang", {})
    await begun.wait()
    with monkeypatch.context() as broken:
        broken.setattr(harness.jobs._job_store, "save", away)
        async with asyncio.timeout(5):
            await stopped.wait()
    assert (await harness.jobs.get(ACME, job.id)).status is Status.RUNNING


async def test_jobs_of_a_suspended_tenant_wait_and_go_on(make: Make) -> None:
    begun: list[str] = []
    hold = asyncio.Event()

    async def work(run: JobRun) -> None:
        begun.append(run.scope.tenant.slug)
        if run.attempt == 1 and run.scope == ACME:
            await hold.wait()

    harness = make(work=work)
    await harness.jobs.start()
    running = await harness.jobs.submit(ACME, "work", {})
    async with asyncio.timeout(5):
        while begun != ["acme"]:
            await asyncio.sleep(0.005)
    harness.paused.add("acme")
    async with asyncio.timeout(5):  # it is stopped, and put back
        while (await harness.jobs.get(ACME, running.id)).status is not Status.QUEUED:
            await asyncio.sleep(0.005)
    await harness.ended(await harness.jobs.submit(GLOBEX, "work", {}), GLOBEX)
    assert begun == ["acme", "globex"]
    harness.paused.clear()
    ended = await harness.ended(running)
    assert (ended.status, ended.failures) == (Status.SUCCEEDED, 0)


async def test_a_job_that_fails_because_its_tenant_is_suspended_is_not_lost(make: Make) -> None:
    """Other services refuse its token: the job failed for good."""
    harness: Harness

    async def work(run: JobRun) -> None:
        if run.attempt == 1:
            harness.paused.add("acme")
            raise FailedPrecondition("The tenant is suspended.")

    harness = make(work=work)
    await harness.jobs.start()
    job = await harness.jobs.submit(ACME, "work", {})
    async with asyncio.timeout(5):
        while not harness.paused or (await harness.jobs.get(ACME, job.id)).status is not Status.QUEUED:
            await asyncio.sleep(0.005)
    harness.paused.clear()
    assert (await harness.ended(job)).status is Status.SUCCEEDED
