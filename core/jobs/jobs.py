"""Durable background jobs, as services use them.

    jobs = Jobs(platform.store, platform.tasks, platform.lifecycle, audit_log=platform.audit)
    jobs.handle("vector.migration", migrate, JobAudit("migration.run", "migration"))  # async def migrate(job: JobRun)
    await jobs.start()
    job = await jobs.submit(project, "vector.migration", {"source": ...}, unique_key="...")

Several processes may share the work, and each runs only the kinds that it has handlers for. A job runs at least once;
between two checkpoints it may run again after a crash, and two never work on it at a time. A kind may have an end hook
(`core.jobs.ends`) and an identity to call other services with (`core.jobs.identity`).
"""

import time
from collections.abc import Collection, Mapping
from typing import Any

from core.audit.log import AuditLog
from core.fanout.none import NoFanout
from core.fanout.ports import Fanout
from core.jobs.audit import JobAudit, JobRecorder
from core.jobs.ends import EndHook
from core.jobs.identity import ServiceTokens
from core.jobs.kinds import JobKind
from core.jobs.limits import JobLimits
from core.jobs.records import Job
from core.jobs.run import Handler
from core.jobs.store import Clock, JobStore
from core.jobs.worker import Worker
from core.lifecycle import Lifecycle, Phase
from core.permissions import EVERYTHING
from core.storage.ports import DocumentStore
from core.tasks import Tasks
from core.tenancy import Project, Scope

DUE, CANCELLED = "jobs-due", "jobs-cancelled"
"""Topics of messages to other replicas: the kind of a job that is due, the id of one that is to stop."""
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
        tokens: ServiceTokens | None = None,
        limits: JobLimits = JobLimits(),
        fanout: Fanout | None = None,
        clock: Clock = time.time,
    ) -> None:
        """`fanout` tells the other replicas of jobs that are due or cancelled; without it they notice them later."""
        self._kinds = {kind: JobKind(handler) for kind, handler in (handlers or {}).items()}
        self._job_store = JobStore(store, clock, self._has_hook)
        self._worker = Worker(self._job_store, tasks, self._kinds, JobRecorder(audit_log), limits, tokens)
        self._lifecycle = lifecycle
        self._limits = limits
        self._tokens = tokens
        self._fanout = fanout or NoFanout()
        self._fanout.subscribe(DUE, self._heard_due, self._worker.wake)
        self._fanout.subscribe(CANCELLED, lambda scope, id: self._worker.look_at(id), self._worker.wake)

    def handle(
        self,
        kind: str,
        handler: Handler,
        audit: JobAudit | None,
        *,
        on_end: EndHook | None = None,
        scopes: Collection[str] = (),
        recurring: bool = False,
    ) -> None:
        """Register the handler of a kind, before `start` and before any job of the kind is submitted. `audit` None:
        these jobs change nothing that an audit asks for. `scopes`: what these jobs may do at other services,
        "area:level" each. `recurring`: these jobs are postponed again and again, and their runs are not worth a line in
        the log.

        Raises ValueError for the scope of everything, or where there is nobody to get tokens from.
        """
        if EVERYTHING in scopes:
            raise ValueError(f"the jobs {kind} must name the scopes that they need, not all")
        if scopes and self._tokens is None:
            raise ValueError(f"the jobs {kind} name scopes, and there is nobody to get a token from")
        self._kinds[kind] = JobKind(handler, audit, on_end, frozenset(scopes), recurring)

    def _wake(self, scope: Project, kind: str = "") -> None:
        """Let the workers look for due jobs, here and in other replicas: those that handle the kind, or without one
        all."""
        self._worker.wake()
        self._fanout.publish(DUE, scope.tenant, kind)

    def _heard_due(self, scope: Scope, kind: str) -> None:
        if not kind or kind in self._kinds:
            self._worker.wake()

    def _has_hook(self, kind: str) -> bool:
        return kind in self._kinds and self._kinds[kind].on_end is not None

    async def start(self) -> None:
        """Start the worker, first on jobs that a crash has interrupted. Registers the drain."""
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
        delay: float = 0.0,
    ) -> Job:
        """Submit a job, which is durable on return and due after `delay` seconds. Raises Conflict where a job with this
        `unique_key` has not ended in the project.

        A change of a record that needs a job: submit the job with a delay, change the record, then `hasten` the job. If
        the process is killed in between, the job begins after the delay, and finishes or takes back what was begun.
        """
        attempts = max_attempts or self._limits.max_attempts
        job = await self._job_store.submit(scope, kind, payload, unique_key, attempts, delay)
        if not delay:
            self._wake(scope, kind)
        return job

    async def hasten(self, scope: Project, id: str) -> None:
        """Make a job due now that was submitted with a delay; nothing where it has begun."""
        await self._job_store.hasten(scope, id)
        self._wake(scope)

    async def get(self, scope: Project, id: str, kind: str = "") -> Job:
        """The job of this id. Raises NotFound, also for a job of another kind where one is given."""
        return await self._job_store.get(scope, id, kind)

    async def find(self, scope: Project, unique_key: str) -> Job | None:
        """The job with this key that has not ended, its end hook included."""
        return await self._job_store.find(scope, unique_key)

    async def list(self, scope: Project, kind: str, *, size: int = 50, token: str = "") -> tuple[list[Job], str]:
        """One page, newest first, and the token of the next."""
        return await self._job_store.page(scope, kind, size, token)

    async def cancel(self, scope: Project, id: str) -> Job:
        """Cancel a job. A queued job never begins; a running one is stopped, in another process at its next heartbeat
        or as soon as it is told.
        Raises NotFound, FailedPrecondition for one that has ended."""
        job = await self._job_store.cancel(scope, id)
        if job.status.ended:
            self._wake(scope, job.kind)  # for its end hook
            return job
        self._fanout.publish(CANCELLED, scope, id)
        await self._worker.stop_job(id, _CANCEL_SECONDS)
        return await self._job_store.get(scope, id)

    async def forget(self, scope: Project, *, but: str) -> int:
        """Cancel the project's jobs of the kinds that are handled here and remove those that have ended, all but one.
        How many are left, because another process has yet to notice, or their end hook has yet to return."""
        return await self._job_store.forget(scope, self._kinds, but=but)
