"""End hooks of jobs, on a store in memory. A process that is killed over one is tests/contract/test_jobs.py's."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from core.audit import changes as audit
from core.audit.records import Actor
from core.errors import Conflict, InvalidInput, Unavailable
from core.jobs.ends import EndHook, JobEnd
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.jobs.records import JOB_INDEX, JOBS, Job, JobIndexEntry, Status
from core.jobs.run import Handler, JobRun
from core.jobs.store import JobStore
from core.lifecycle import Lifecycle
from core.tasks import Tasks
from core.tenancy import MAIN, Project, Tenant
from tests.support.stores import MemoryStore

ACME = Project(Tenant("acme"), "p1")


def _entry(id: str, kind: str, at: float) -> JobIndexEntry:
    return JobIndexEntry(id, ACME.tenant.slug, ACME.id, kind, created_at=at, due_at=at)


LIMITS = JobLimits(heartbeat=0.05, poll=0.02, first_retry=0.001, drain=0.2, max_attempts=2)


class Process:
    """One process's jobs of kind "work", on a store that several may share."""

    def __init__(self, store: MemoryStore) -> None:
        self.store, self.tasks, self.lifecycle = store, Tasks(), Lifecycle()
        self.jobs = Jobs(store, self.tasks, self.lifecycle, limits=LIMITS)
        self.ends: list[JobEnd] = []

    def handle(self, handler: Handler, on_end: EndHook | None = None, limits: JobLimits = LIMITS) -> None:
        async def keep(end: JobEnd) -> None:
            self.ends.append(end)

        self.jobs = Jobs(self.store, self.tasks, self.lifecycle, limits=limits)
        self.jobs.handle("work", handler, None, on_end=on_end or keep)

    async def start(self, handler: Handler, on_end: EndHook | None = None, limits: JobLimits = LIMITS) -> None:
        self.handle(handler, on_end, limits)
        await self.jobs.start()

    async def settled(self, job: Job) -> Job:
        """The job, once nothing is left to do for it."""
        async with asyncio.timeout(10):
            while await self.store.get(MAIN, JOB_INDEX, job.id) is not None:
                await asyncio.sleep(0.005)
        return await self.jobs.get(ACME, job.id)


@pytest.fixture
async def make() -> AsyncIterator[Callable[[], Process]]:
    store, made = MemoryStore(), list[Process]()

    def build() -> Process:
        made.append(Process(store))
        return made[-1]

    yield build
    for process in made:
        await process.lifecycle.stop()
        await process.tasks.drain(0.1)


@pytest.fixture
def process(make: Callable[[], Process]) -> Process:
    return make()


async def nothing(run: JobRun) -> None:
    pass


async def hang(run: JobRun) -> None:
    await asyncio.Event().wait()


def failing(error: Exception) -> Handler:
    async def fail(run: JobRun) -> None:
        await run.checkpoint(1, 2, {"at": 1})
        raise error

    return fail


@pytest.mark.parametrize(
    ("handler", "status", "error", "reason"),
    [
        (nothing, Status.SUCCEEDED, "", ""),
        (failing(InvalidInput("No.")), Status.FAILED, "No.", "INVALID_INPUT"),
        (failing(Unavailable("Away.")), Status.FAILED, "Away.", "UNAVAILABLE"),
        (
            failing(RuntimeError("secret")),
            Status.FAILED,
            "Something went wrong on our side. Quote the job's id when you report it.",
            "INTERNAL",
        ),
    ],
    ids=["succeeded", "refused", "tried in vain", "broken"],
)
async def test_the_hook_is_told_once_how_the_job_ended(
    process: Process, handler: Handler, status: Status, error: str, reason: str
) -> None:
    await process.start(handler)
    job = await process.settled(await process.jobs.submit(ACME, "work", {"what": 1}))
    state = None if status is Status.SUCCEEDED else {"at": 1}
    assert process.ends == [JobEnd(ACME, job.id, {"what": 1}, state, status, error, reason)]
    assert (job.status, job.end_pending, job.end_attempts, job.unique_key) == (status, None, 1, None)


async def test_a_running_job_that_is_cancelled_has_its_hook_called(process: Process) -> None:
    begun = asyncio.Event()

    async def wait(run: JobRun) -> None:
        begun.set()
        await asyncio.Event().wait()

    await process.start(wait)
    job = await process.jobs.submit(ACME, "work", {})
    await begun.wait()
    await process.jobs.cancel(ACME, job.id)
    await process.settled(job)
    assert [(end.status, end.error, end.reason) for end in process.ends] == [(Status.CANCELLED, "", "CANCELLED")]


async def test_a_queued_job_that_another_process_cancels_has_its_hook_called_here(make: Callable[[], Process]) -> None:
    """The process that cancels it has no handler, and so knows nothing of the hook."""
    here, other = make(), make()
    here.handle(nothing)
    job = await here.jobs.submit(ACME, "work", {}, unique_key="k")
    assert (await other.jobs.cancel(ACME, job.id)).status is Status.CANCELLED
    await here.jobs.start()
    await here.settled(job)
    assert [end.status for end in here.ends] == [Status.CANCELLED]


async def test_a_cancelled_job_whose_worker_died_has_its_hook_called(process: Process) -> None:
    process.handle(hang)
    job = await process.jobs.submit(ACME, "work", {})
    dead = {"status": "running", "leaseOwner": "dead", "leaseUntil": 1.0, "cancelRequested": True}
    await process.store.update(ACME, JOBS, job.id, dead)
    await process.jobs.start()
    await process.settled(job)
    assert [end.status for end in process.ends] == [Status.CANCELLED]


async def test_a_job_whose_process_was_killed_too_often_has_its_hook_called(process: Process) -> None:
    process.handle(hang)
    job = await process.jobs.submit(ACME, "work", {}, max_attempts=2)
    killed = {"status": "running", "leaseOwner": "dead", "leaseUntil": 1.0, "failures": 1}
    await process.store.update(ACME, JOBS, job.id, killed)
    await process.jobs.start()
    await process.settled(job)
    assert [(end.status, end.reason) for end in process.ends] == [(Status.FAILED, "INTERRUPTED")]


async def test_a_hook_acts_for_whoever_asked_for_the_job_in_another_process_too(process: Process) -> None:
    actors: list[str] = []

    async def look(end: JobEnd) -> None:
        actors.append(audit.actor().id)

    process.handle(nothing, look)
    audit.act_for(Actor(kind="session", id="u1"))
    left = await process.jobs.submit(ACME, "work", {})
    crashed = {"status": "failed", "endedAt": time.time(), "endPending": True, "leaseOwner": "dead", "leaseUntil": 1.0}
    await process.store.update(ACME, JOBS, left.id, crashed)
    job = await process.jobs.submit(ACME, "work", {})
    audit.act_for(Actor())
    await process.jobs.start()
    await process.settled(left)
    await process.settled(job)
    assert actors == ["u1", "u1"]


async def test_a_crash_between_the_end_and_the_hook_leaves_the_hook_to_another_process() -> None:
    store, now = MemoryStore(), [1000.0]
    job_store = JobStore(store, lambda: now[0], lambda kind: kind == "work")
    submitted = await job_store.submit(ACME, "work", {}, "k", 5)
    entry = _entry(submitted.id, "work", 1000.0)
    job = await job_store.claim(entry, 10)
    assert job is not None
    ended = await job_store.finish(ACME, job, Status.FAILED, "No.", reason="NO", lease_seconds=10)
    assert ended is not None
    assert ended.end_pending
    assert await job_store.claim(entry, 10) is None  # whoever ended it may still be at its hook
    now[0] += 11
    other = await job_store.claim(entry, 10)
    assert other is not None
    assert (other.status, other.error, other.reason, other.end_attempts) == (Status.FAILED, "No.", "NO", 2)
    await job_store.settle(ACME, ended)  # the first one comes back late
    assert await store.get(MAIN, JOB_INDEX, job.id) is not None
    await job_store.settle(ACME, other)
    assert await store.get(MAIN, JOB_INDEX, job.id) is None


async def test_a_key_is_free_when_the_hook_has_returned(process: Process) -> None:
    """Or the hook of the first job would overwrite what the second one has done."""
    called, go = asyncio.Event(), asyncio.Event()

    async def slow(end: JobEnd) -> None:
        called.set()
        await go.wait()

    await process.start(nothing, slow)
    job = await process.jobs.submit(ACME, "work", {}, unique_key="k")
    await called.wait()
    assert (await process.jobs.get(ACME, job.id)).status is Status.SUCCEEDED
    assert await process.jobs.find(ACME, "k") is not None
    with pytest.raises(Conflict):
        await process.jobs.submit(ACME, "work", {}, unique_key="k")
    go.set()
    await process.settled(job)
    assert await process.jobs.find(ACME, "k") is None
    await process.settled(await process.jobs.submit(ACME, "work", {}, unique_key="k"))


@pytest.mark.parametrize("last", [False, True], ids=["then it returns", "for good"])
async def test_a_hook_that_raises_is_called_again_and_given_up_in_the_end(process: Process, last: bool) -> None:
    calls: list[Status] = []

    async def broken(end: JobEnd) -> None:
        calls.append(end.status)
        if last or len(calls) < 3:
            raise OSError("disk")

    limits = JobLimits(poll=0.01, first_retry=0.001, longest_retry=0.002, end_attempts=3)
    await process.start(nothing, broken, limits)
    job = await process.settled(await process.jobs.submit(ACME, "work", {}, unique_key="k"))
    assert calls == [Status.SUCCEEDED] * 3
    assert (job.status, job.unique_key) == (Status.SUCCEEDED, None)


async def test_a_hook_that_does_not_return_is_called_again(process: Process) -> None:
    calls: list[JobEnd] = []

    async def stuck(end: JobEnd) -> None:
        calls.append(end)
        if len(calls) == 1:
            await asyncio.Event().wait()

    await process.start(nothing, stuck, JobLimits(lease=0.1, heartbeat=0.02, poll=0.01, first_retry=0.001))
    await process.settled(await process.jobs.submit(ACME, "work", {}))
    assert len(calls) == 2


async def test_jobs_of_a_removed_project_go_when_their_hooks_have_returned(process: Process) -> None:
    called, go = asyncio.Event(), asyncio.Event()

    async def slow(end: JobEnd) -> None:
        called.set()
        await go.wait()

    await process.start(nothing, slow)
    job = await process.jobs.submit(ACME, "work", {})
    await called.wait()
    assert await process.jobs.forget(ACME, but="another") == 1
    go.set()
    await process.settled(job)
    assert await process.jobs.forget(ACME, but="another") == 0
    assert await process.store.count(ACME, JOBS) == 0


async def test_a_kind_without_a_hook_ends_in_one_write(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[Any] = []
    update = process.store.update

    async def counted(scope: Any, collection: Any, id: str, changes: Any, **options: Any) -> Any:
        if collection is JOBS and (id, changes.get("status")) == (job.id, "succeeded"):
            ends.append(changes)
        return await update(scope, collection, id, changes, **options)

    monkeypatch.setattr(process.store, "update", counted)
    process.handle(nothing)
    process.jobs.handle("plain", nothing, None)
    job = await process.jobs.submit(ACME, "plain", {})
    await process.jobs.start()
    await process.settled(job)
    (end,) = ends
    assert "endPending" not in end
