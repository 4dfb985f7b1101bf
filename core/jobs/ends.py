"""End hooks: functions that run once a job of a kind has ended, however it ended.

    jobs.handle("file.conversion", convert, audit, on_end=ended)  # async def ended(end: JobEnd)

The end is written first, then the hook is called, at least once: where its process is killed, or the hook raises or
takes longer than a lease, it is called again, in any process that handles the kind. So it has to be idempotent. Until
it has returned, no other job with the same unique key is taken.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core import logs
from core.jobs.limits import JobLimits
from core.jobs.records import Job, Status
from core.jobs.store import JobStore
from core.tenancy import Project

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class JobEnd:
    """End of a job: succeeded, failed for good, or cancelled."""

    scope: Project
    id: str
    payload: Mapping[str, Any]
    state: Mapping[str, Any] | None
    """State saved by its last checkpoint; None: there was none."""
    status: Status
    error: str
    """Reason of the failure, written for the caller of the API; empty unless it failed."""
    reason: str
    """The same as UPPER_SNAKE, also of one that was cancelled. INTERRUPTED: its process was killed again and again.
    INTERNAL: the handler raised what is no PorticoError."""


EndHook = Callable[[JobEnd], Awaitable[None]]


async def call_end_hook(job_store: JobStore, hook: EndHook | None, scope: Project, job: Job, limits: JobLimits) -> None:
    """Call the end hook of a job whose end is pending and whose lease is ours; None: there is no hook any more.

    Never raises for the hook: one that fails is called again after a pause, at most `limits.end_attempts` times.
    """
    if hook is not None:
        end = JobEnd(scope, job.id, job.payload, job.state, job.status, job.error, job.reason)
        try:
            async with asyncio.timeout(limits.lease):
                await hook(end)
        except Exception as error:  # whatever it is, the job has ended, and nobody waits for its hook
            if job.end_attempts < limits.end_attempts:
                delay = limits.retry_delay(job.end_attempts)
                log.warning("end hook failed, to be called again", job=job.id, seconds=round(delay, 1), exc_info=error)
                await job_store.postpone_end(scope, job, delay)
                return
            log.error("end hook failed for good", job=job.id, exc_info=error)
    await job_store.settle(scope, job)
