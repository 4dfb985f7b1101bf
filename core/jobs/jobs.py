"""Durable background jobs, as services use them.

    jobs = Jobs(platform.store, platform.tasks, platform.lifecycle, audit_log=platform.audit)
    jobs.handle("vector.migration", migrate, JobAudit("migration.run", "migration"))  # async def migrate(job: JobRun)
    await jobs.start()
    job = await jobs.submit(project, "vector.migration", {"source": ...}, unique_key="...")

Several processes may share the work, and each runs only the kinds that it has handlers for. A job runs at least once;
between two checkpoints it may run again after a crash, and two never work on it at a time.
"""

import time
from collections.abc import Mapping
from typing import Any

from core.audit.log import AuditLog
from core.jobs.audit import JobAudit, JobRecorder
from core.jobs.book import Clock, JobBook
from core.jobs.records import Job
from core.jobs.run import Handler
from core.jobs.worker import JobLimits, Worker
from core.lifecycle import Lifecycle, Phase
from core.storage.ports import DocumentStore
from core.tasks import Tasks
from core.tenancy import Project

_CANCEL_SECONDS = 2.0


class Jobs:
    def __init__(
        self,
        store: DocumentStore,
        tasks: Tasks,
        lifecycle: Lifecycle,
        handlers: Mapping[str, Handler] | None = None,
        *,
        audit_log: AuditLog | None = None,
        limits: JobLimits = JobLimits(),
        clock: Clock = time.time,
    ) -> None:
        self._book = JobBook(store, clock)
        self._handlers = dict(handlers or {})
        self._audits: dict[str, JobAudit] = {}
        self._worker = Worker(self._book, tasks, self._handlers, JobRecorder(audit_log, self._audits), limits)
        self._lifecycle = lifecycle
        self._limits = limits

    def handle(self, kind: str, handler: Handler, audit: JobAudit | None) -> None:
        """Before `start`. `audit` None: these jobs change nothing that an audit asks for."""
        self._handlers[kind] = handler
        if audit is not None:
            self._audits[kind] = audit

    async def start(self) -> None:
        """Begin to work, first on what a crash has left. Registers the drain."""
        await self._book.prepare()
        self._worker.start()
        self._lifecycle.on_stop(Phase.TASKS, "jobs", self._worker.drain, self._limits.drain + 5.0)

    async def submit(
        self,
        scope: Project,
        kind: str,
        payload: Mapping[str, Any],
        *,
        unique_key: str = "",
        max_attempts: int | None = None,
    ) -> Job:
        """Durable on return. Raises Conflict where a job with this `unique_key` has not ended in the project."""
        job = await self._book.submit(scope, kind, payload, unique_key, max_attempts or self._limits.max_attempts)
        self._worker.wake()
        return job

    async def get(self, scope: Project, id: str, kind: str = "") -> Job:
        """Raises NotFound, also for a job of another kind where one is given."""
        return await self._book.get(scope, id, kind)

    async def find(self, scope: Project, unique_key: str) -> Job | None:
        """The job with this key that has not ended."""
        return await self._book.find(scope, unique_key)

    async def list(self, scope: Project, kind: str, *, size: int = 50, token: str = "") -> tuple[list[Job], str]:
        """One page, newest first, and the token of the next."""
        return await self._book.page(scope, kind, size, token)

    async def cancel(self, scope: Project, id: str) -> Job:
        """A queued job never begins; a running one is stopped, in another process at its next heartbeat.
        Raises NotFound, FailedPrecondition for one that has ended."""
        job = await self._book.cancel(scope, id)
        if job.status.ended:
            return job
        await self._worker.stop_job(id, _CANCEL_SECONDS)
        return await self._book.get(scope, id)

    async def forget(self, scope: Project, *, but: str) -> int:
        """Cancels the project's jobs of the kinds that are handled here and removes those that have ended, all but one.
        How many go on, because another process has yet to notice."""
        return await self._book.forget(scope, self._handlers, but=but)
