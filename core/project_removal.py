"""Removal of a deleted project's records and contents from one service.

Auth keeps the list of deleted projects; `core.rpc.removal_feed` brings it to every service, which turns each into a
durable job here. What a service removes is its own to say. The job closes the project first, so that a call that is
still under way leaves nothing behind, and goes over it twice: the second pass finds what such a call had written
meanwhile.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from core import logs
from core.audit import changes as audit
from core.audit.records import Actor
from core.errors import Conflict
from core.jobs.audit import JobAudit
from core.jobs.jobs import Jobs
from core.jobs.run import JobRun, Postponed
from core.storage.closed_projects import close_project
from core.storage.ports import DocumentStore
from core.tenancy import Project

log = logs.get(__name__)

Remove = Callable[[Project, bool], Awaitable[bool]]
"""Removes all that the service keeps of a project, and says whether it is all gone. The flag says that this is the last
attempt: what a provider still refuses to remove is left there and logged, and its record and credentials go. Must be
idempotent, and must not raise for one provider's refusal what would keep it from the others."""

PATIENCE_SECONDS = 24 * 3600.0
"""Time for which a provider that refuses is tried again."""

_AGAIN_SECONDS = 60.0
_LONGEST_SECONDS = 1800.0
_NEVER = 1_000_000_000
"""Failed attempts of the job: it ends by itself."""


class Removals:
    """`again_seconds` before the second pass, for calls that are under way; doubles with every further one."""

    def __init__(
        self,
        service: str,
        store: DocumentStore,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        again_seconds: float = _AGAIN_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._kind = f"{service}.project.removal"
        self._store = store
        self.patience_seconds = patience_seconds
        self.again_seconds = again_seconds
        self._clock = clock
        self._jobs: Jobs | None = None
        self._remove: Remove | None = None

    @property
    def ready(self) -> bool:
        """True once the service has said how it removes a project."""
        return self._remove is not None

    def handle(self, jobs: Jobs, remove: Remove) -> None:
        """Set the function that removes a project, before the jobs are started."""
        self._jobs, self._remove = jobs, remove
        jobs.handle(self._kind, self._run, JobAudit("project.removal", "project"))

    async def remove_now(self, project: Project, *, force: bool) -> bool:
        """Remove all of a project of a suspended tenant at once. True if it is all gone; with `force`, what a provider
        refuses to remove is left there. Auth keeps nothing of a project outside the document store."""
        return self._remove is None or await self._remove(project, force)

    async def begin(self, project: Project, actor: Actor) -> None:
        """Start the removal of a project, durable on return. Safe to repeat. `actor`: who deleted it."""
        assert self._jobs is not None
        audit.act_for(actor)
        with suppress(Conflict):  # it is under way
            await self._jobs.submit(project, self._kind, {}, unique_key=self._kind, max_attempts=_NEVER)

    async def _run(self, run: JobRun) -> None:
        assert self._jobs is not None
        assert self._remove is not None
        run.change.resource_id = run.scope.id
        passes = int((run.state or {"passes": 0})["passes"])
        await close_project(self._store, run.scope)
        others = await self._jobs.forget(run.scope, but=run.id)
        last = self._clock() - run.job.created_at > self.patience_seconds
        gone = await self._remove(run.scope, last)
        await self._store.scrub(run.scope.tenant)
        await run.checkpoint(passes + 1, passes + 2, {"passes": passes + 1})
        if passes == 0 or others or not (gone or last):
            raise Postponed(min(self.again_seconds * 2.0**passes, _LONGEST_SECONDS))
        log.info("project removed", tenant=run.scope.tenant.slug, project=run.scope.id, passes=passes + 1)
