"""The run of a job: what its handler works with."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto
from typing import Any

from core.audit.changes import Change
from core.errors import DeadlineExceeded, InsufficientStorage, RateLimited, Unavailable, UpstreamFailed
from core.jobs.records import Job
from core.jobs.store import JobStore
from core.tenancy import Project

MAY_PASS = (RateLimited, Unavailable, DeadlineExceeded, UpstreamFailed, InsufficientStorage)
"""Errors of a handler after which the job is tried again; any other PorticoError fails it for good."""


class Stop(Enum):
    """The reason for stopping a handler."""

    CANCELLED = auto()
    """Cancellation was requested."""
    DRAINED = auto()
    """The service ends, or the tenant is suspended; another run will go on."""
    LEASE_LOST = auto()
    """The lease is lost: another worker may be working on the job."""


class Postponed(Exception):
    """Raised by a handler that can do no more now: the job is begun again after `seconds`. That is no failure."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"to be gone on with in {seconds} seconds")
        self.seconds = seconds


class JobRun:
    """One run of a job, as its handler sees it. It may be stopped at any `await`: then it sees asyncio.CancelledError.

    A handler begins where `state` says, and what it does after the last checkpoint it may have to do again: that has
    to be idempotent.
    """

    def __init__(self, job_store: JobStore, scope: Project, job: Job, lease_seconds: float) -> None:
        self.scope = scope
        self.id = job.id
        self.payload = job.payload
        self.state = job.state
        """State saved by the last checkpoint; None: there was none."""
        self.done = job.done
        self.total = job.total
        self.attempt = job.attempts
        self.draining = False
        """The service ends: the next checkpoint will be the last."""
        self.stopped: Stop | None = None
        self.job = job
        self.change = Change()
        """The run's change, for the audit log."""
        self._job_store = job_store
        self._lease_seconds = lease_seconds
        self._work: asyncio.Task[None] | None = None

    async def checkpoint(self, done: float, total: float | None = None, state: Mapping[str, Any] | None = None) -> None:
        """Save progress and `state` (JSON; None: as before) together, durably. The handler ends here when it is to."""
        total = self.total if total is None else total
        changes: dict[str, Any] = {"done": done, "total": total, "updated_at": self._job_store.clock()}
        if state is not None:
            changes["state"] = dict(state)
        if done > self.job.furthest:
            changes |= {"furthest": done, "failures": 0}
        await self._save(changes)
        self.done, self.total = done, total
        self.state = self.state if state is None else state
        if self.draining:
            self.stop(Stop.DRAINED)
        if self.stopped is not None:
            raise asyncio.CancelledError

    async def extend(self) -> None:
        """Extend the lease."""
        await self._save({})

    def begin(self, handler: "Handler") -> "asyncio.Task[None]":
        async def work() -> None:
            await handler(self)

        self._work = asyncio.create_task(work(), name=f"{self.job.kind} {self.id}")
        return self._work

    def stop(self, why: Stop) -> None:
        """End the handler at its next `await`, unless it has ended. A checkpoint that finds out raises by itself."""
        if self.stopped is None:
            self.stopped = why
            if self._work is not None and self._work is not asyncio.current_task():
                self._work.cancel()

    async def _save(self, changes: Mapping[str, Any]) -> None:
        job = await self._job_store.save(self.scope, self.job, changes, self._lease_seconds)
        if job is None:
            self.stop(Stop.LEASE_LOST)
            return
        self.job = job
        if job.cancel_requested:
            self.stop(Stop.CANCELLED)


Handler = Callable[[JobRun], Awaitable[None]]
