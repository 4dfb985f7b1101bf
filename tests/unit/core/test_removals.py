"""A service's part in deleting a project, on a store in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from core.audit.log import AuditLog
from core.audit.records import Actor, AuditEntry
from core.errors import NotFound, Unavailable
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.jobs.records import JOBS, Job
from core.jobs.run import JobRun, Postponed
from core.lifecycle import Lifecycle
from core.project_removal import Removals
from core.storage.closed_projects import check_project_open
from core.tasks import Tasks
from core.tenancy import Project, Tenant
from tests.support.platforms import tidy
from tests.support.stores import MemoryStore

GONE, KEPT = Project(Tenant("acme"), "gone"), Project(Tenant("acme"), "kept")
ADMIN = Actor("session", "u1", "t1", "home", "req-1")
LIMITS = JobLimits(heartbeat=0.05, poll=0.01, first_retry=0.001, drain=0.2)


class Harness:
    """One process of one service. `remove` does what a test says."""

    def __init__(self, store: MemoryStore | None = None, *, patience: float = 1000.0, again: float = 0.01) -> None:
        self.store = store or MemoryStore()
        self.tasks, self.lifecycle = Tasks(), Lifecycle()
        self.log = AuditLog(self.store, self.tasks)
        self.jobs = Jobs(self.store, self.tasks, self.lifecycle, audit_log=self.log, limits=LIMITS)
        self.removals = Removals("stub", self.store, patience_seconds=patience, again_seconds=again)
        self.passes: list[bool] = []
        """Of every pass, whether it was to be the last."""
        self.do: Callable[[], Any] = lambda: True
        self.removals.handle(self.jobs, self.remove)

    async def remove(self, project: Project, last: bool) -> bool:
        assert project == GONE
        self.passes.append(last)
        return bool(self.do())

    async def ended(self) -> Job:
        async with asyncio.timeout(10):
            while True:
                jobs, _ = await self.jobs.list(GONE, "stub.project.removal")
                if jobs and jobs[0].status.ended:
                    return jobs[0]
                await asyncio.sleep(0.002)

    async def entries(self) -> list[AuditEntry]:
        await self.log.flush()
        found, _ = await self.log.page(GONE.tenant, {}, page_size=100, page_token="")
        return found


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    made = Harness()
    yield made
    await tidy(made)


async def test_a_project_is_gone_over_twice_and_recorded_once(harness: Harness) -> None:
    await harness.jobs.start()
    await harness.removals.begin(GONE, ADMIN)
    job = await harness.ended()
    assert harness.passes == [False, False]
    assert job.status.value == "succeeded"
    (entry,) = await harness.entries()
    assert (entry.action, entry.resource_type, entry.resource_id) == ("project.removal", "project", "gone")
    assert (entry.outcome, entry.actor_id, entry.request_id) == ("success", "u1", "req-1")


async def test_nothing_new_begins_in_the_project_before_anything_is_removed(harness: Harness) -> None:
    closed: list[bool] = []

    async def remove(project: Project, last: bool) -> bool:
        try:
            await check_project_open(harness.store, project)
        except NotFound:
            closed.append(True)
        await check_project_open(harness.store, KEPT)
        return True

    harness.removals._remove = remove
    await harness.jobs.start()
    await harness.removals.begin(GONE, ADMIN)
    await harness.ended()
    assert closed == [True, True]


async def test_beginning_twice_is_one_removal_and_later_another_that_finds_nothing(harness: Harness) -> None:
    for _ in range(3):
        await harness.removals.begin(GONE, ADMIN)
    await harness.jobs.start()
    await harness.ended()
    assert len(harness.passes) == 2
    await harness.removals.begin(GONE, ADMIN)
    async with asyncio.timeout(10):
        while len(harness.passes) < 4:
            await asyncio.sleep(0.002)


async def test_what_is_left_is_tried_again_until_it_is_gone(harness: Harness) -> None:
    answers = iter([False, False, False, True])
    harness.do = lambda: next(answers)
    await harness.jobs.start()
    await harness.removals.begin(GONE, ADMIN)
    await harness.ended()
    assert harness.passes == [False] * 4


async def test_a_provider_that_goes_on_refusing_is_given_up_in_the_end() -> None:
    harness = Harness(patience=0.05)
    harness.do = lambda: False
    await harness.jobs.start()
    await harness.removals.begin(GONE, ADMIN)
    assert (await harness.ended()).status.value == "succeeded"
    assert harness.passes[-1] is True
    assert not any(harness.passes[:-1])
    await harness.lifecycle.stop()


async def test_failures_of_its_own_are_tried_again_without_end(harness: Harness) -> None:
    failures = iter(range(8))  # more than a job has attempts

    def do() -> bool:
        if next(failures, None) is not None:
            raise Unavailable("away", retry_after=0.001)
        return True

    harness.do = do
    harness.jobs._worker._limits = JobLimits(poll=0.005, first_retry=0.001, longest_retry=0.002)
    await harness.jobs.start()
    await harness.removals.begin(GONE, ADMIN)
    assert (await harness.ended()).status.value == "succeeded"


async def test_a_removal_that_was_cut_off_is_finished_by_another_process() -> None:
    first = Harness()
    await first.removals.begin(GONE, ADMIN)  # and its process is killed before it began
    second = Harness(first.store)
    await second.jobs.start()
    await second.ended()
    assert second.passes == [False, False]
    await second.lifecycle.stop()


async def test_jobs_of_the_project_are_cancelled_and_forgotten(harness: Harness) -> None:
    began = asyncio.Event()

    async def copy(run: JobRun) -> None:
        began.set()
        await asyncio.Event().wait()

    async def quick(run: JobRun) -> None:
        pass

    harness.jobs.handle("copy", copy, None)
    harness.jobs.handle("quick", quick, None)
    await harness.jobs.start()
    await harness.jobs.submit(GONE, "copy", {"name": "of the project"})
    await harness.jobs.submit(GONE, "quick", {"name": "of the project"})
    kept = await harness.jobs.submit(KEPT, "quick", {})
    await began.wait()
    await harness.removals.begin(GONE, ADMIN)
    await harness.ended()
    assert [each["kind"] for each in (await harness.store.find(GONE, JOBS)).items] == ["stub.project.removal"]
    assert (await harness.jobs.get(KEPT, kept.id)).id == kept.id


async def test_a_postponed_job_has_not_failed(harness: Harness) -> None:
    attempts: list[int] = []

    async def later(run: JobRun) -> None:
        attempts.append(run.job.failures)
        if len(attempts) < 10:
            raise Postponed(0.001)

    harness.jobs.handle("later", later, None)
    await harness.jobs.start()
    job = await harness.jobs.submit(GONE, "later", {}, max_attempts=1)
    async with asyncio.timeout(10):
        while not (now := await harness.jobs.get(GONE, job.id)).status.ended:
            await asyncio.sleep(0.002)
    assert now.status.value == "succeeded"
    assert attempts == [0] * 10
