"""Entries of jobs in the audit log."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core import context
from core.audit.changes import Change
from core.audit.log import AuditLog
from core.audit.records import AuditEntry
from core.context import Identity, Kind, RequestContext
from core.errors import InvalidInput, PorticoError, Unavailable
from core.jobs.audit import JobAudit, JobRecorder
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.jobs.records import JOBS, Job, Status
from core.jobs.run import JobRun
from core.lifecycle import Lifecycle
from core.tasks import Tasks
from core.tenancy import Project, Tenant
from tests.support.platforms import tidy
from tests.support.stores import MemoryStore

ACME = Project(Tenant("acme"), "p1")
CALLER = Identity(ACME, "u1", Kind.API, frozenset({"*"}), "t1", 0.0, None)
LIMITS = JobLimits(heartbeat=0.05, poll=0.02, first_retry=0.001, drain=0.2, max_attempts=2)


class Harness:
    def __init__(self) -> None:
        self.store, self.tasks, self.lifecycle = MemoryStore(), Tasks(), Lifecycle()
        self.log = AuditLog(self.store, self.tasks)
        self.jobs = Jobs(self.store, self.tasks, self.lifecycle, audit_log=self.log, limits=LIMITS)

    async def ended(self, job: Job) -> list[AuditEntry]:
        async with asyncio.timeout(5):
            while not (await self.jobs.get(ACME, job.id)).status.ended:
                await asyncio.sleep(0.005)
        return await self.entries()

    async def entries(self) -> list[AuditEntry]:
        await self.log.flush()
        found, _ = await self.log.page(ACME.tenant, {}, page_size=100, page_token="")
        return found


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    made = Harness()
    yield made
    await tidy(made)


async def submitted(harness: Harness, handler: Any, audit: JobAudit | None) -> Job:
    harness.jobs.handle("copy", handler, audit)
    await harness.jobs.start()
    context.bind(RequestContext("req-1", CALLER, peer_address="192.0.2.7"))
    return await harness.jobs.submit(ACME, "copy", {"secret": "planted"})


COPY = JobAudit("copy.run", "copy")


@pytest.mark.parametrize("audit", [COPY, JobAudit("copy.run", "copy", batched=True)], ids=["durable", "batched"])
async def test_a_job_leaves_an_entry_of_whoever_asked_for_it(harness: Harness, audit: JobAudit) -> None:
    async def copy(run: JobRun) -> None:
        run.change.metadata["records"] = "3"

    job = await submitted(harness, copy, audit)
    (entry,) = await harness.ended(job)
    assert (entry.action, entry.resource_type, entry.resource_id) == ("copy.run", "copy", job.id)
    assert (entry.outcome, entry.metadata) == ("success", {"records": "3"})
    assert (entry.actor_kind, entry.actor_id, entry.token_id, entry.project_id) == ("api", "u1", "t1", "p1")
    assert (entry.request_id, entry.ip_address) == ("req-1", "192.0.2.7")


@pytest.mark.parametrize(
    ("error", "reason"),
    [(InvalidInput("no"), "INVALID_INPUT"), (Unavailable("away"), "UNAVAILABLE"), (OSError(), "INTERNAL")],
)
async def test_a_job_that_fails_leaves_one_entry_however_often_it_was_tried(
    harness: Harness, error: Exception, reason: str
) -> None:
    async def copy(run: JobRun) -> None:
        raise error

    (entry,) = await harness.ended(await submitted(harness, copy, COPY))
    assert (entry.outcome, entry.reason) == ("failure", reason)


async def test_a_job_whose_process_was_killed_too_often_leaves_an_entry(harness: Harness) -> None:
    async def copy(run: JobRun) -> None:
        raise AssertionError("it is not begun again")

    harness.jobs.handle("copy", copy, JobAudit("copy.run", "copy", resource="path"))
    context.bind(RequestContext("req-1", CALLER))
    job = await harness.jobs.submit(ACME, "copy", {"path": "a/b"})
    killed = {"status": "running", "leaseOwner": "dead", "leaseUntil": 1.0, "failures": 1}
    await harness.store.update(ACME, JOBS, job.id, killed)
    await harness.jobs.start()
    (entry,) = await harness.ended(job)
    assert (entry.outcome, entry.reason, entry.actor_id) == ("failure", "INTERRUPTED", "u1")
    assert entry.resource_id == "a/b"
    assert (await harness.jobs.get(ACME, job.id)).status is Status.FAILED


async def test_a_job_that_had_nothing_to_do_leaves_nothing(harness: Harness) -> None:
    async def copy(run: JobRun) -> None:
        run.change.recorded = False

    assert await harness.ended(await submitted(harness, copy, COPY)) == []


async def test_jobs_of_jobs_are_done_for_whoever_asked_for_the_first(harness: Harness) -> None:
    async def copy(run: JobRun) -> None:
        if not run.payload.get("second"):
            await harness.jobs.submit(ACME, "copy", {"second": True}, unique_key="second")

    await harness.ended(await submitted(harness, copy, COPY))
    async with asyncio.timeout(5):
        while len(found := await harness.entries()) < 2:
            await asyncio.sleep(0.005)
    assert {(each.actor_id, each.request_id) for each in found} == {("u1", "req-1")}


async def test_a_job_whose_end_was_not_written_leaves_one_entry(harness: Harness) -> None:
    """Its process was killed between the entry and the job's end, and another one did it again."""
    recorder = JobRecorder(harness.log)
    job = Job("job_1", "copy", {}, Status.RUNNING, 0.0, 0.0, 5)
    for _ in range(2):
        await recorder.record(ACME, job, COPY, Change(), "")
    assert len(await harness.entries()) == 1


async def test_a_log_that_takes_nothing_holds_up_no_job(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> None:
        raise PorticoError("away")

    async def copy(run: JobRun) -> None:
        pass

    monkeypatch.setattr(harness.log, "write", away)
    (entry,) = await harness.ended(await submitted(harness, copy, COPY))
    assert entry.outcome == "success"
