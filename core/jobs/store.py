"""The store of jobs: services submit jobs to it, and workers claim them from it by compare-and-set.

Every change of a running job is made on the condition that its lease is still the same one, so whoever has lost it can
write nothing more, however late it notices.
"""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from core.audit import changes as audit
from core.errors import Conflict, FailedPrecondition, NotFound
from core.jobs.records import JOB_INDEX, JOBS, Job, JobIndexEntry, Status
from core.storage.ports import Cond, Document, DocumentStore, Op, Order
from core.storage.table import Table
from core.tenancy import MAIN, AllProjects, Project, Tenant

_ORPHAN_SECONDS = 60.0
"""An entry whose job has not appeared after this long was left by a crash."""
_MISSING_SECONDS = 0.5
"""Delay before an entry whose job has not appeared is looked at again; it keeps no others waiting."""

Clock = Callable[[], float]


class JobStore:
    """`has_hook` says which kinds of jobs have an end hook."""

    def __init__(
        self, store: DocumentStore, clock: Clock = time.time, has_hook: Callable[[str], bool] = lambda kind: False
    ) -> None:
        self._store = store
        self._jobs = Table(store, JOBS, Job)
        self._index = Table(store, JOB_INDEX, JobIndexEntry)
        self.clock = clock
        self._kind_has_hook = has_hook

    # -- for those who ask

    async def submit(
        self,
        scope: Project,
        kind: str,
        payload: Mapping[str, Any],
        unique_key: str,
        max_attempts: int,
        delay: float = 0.0,
    ) -> Job:
        """Insert a job, which is due after `delay` seconds. Raises Conflict where a job with this key has not ended,
        its end hook included."""
        now = self.clock()
        job = Job(
            id=f"job_{uuid4().hex}",
            kind=kind,
            payload=payload,
            status=Status.QUEUED,
            created_at=now,
            updated_at=now,
            max_attempts=max_attempts,
            due_at=now + delay,
            unique_key=unique_key or None,
            actor=audit.actor(),
            hooked=self._kind_has_hook(kind),
        )
        await self._index.insert(MAIN, JobIndexEntry(job.id, scope.tenant.slug, scope.id, kind, now, job.due_at))
        try:
            await self._jobs.insert(scope, job)
        except Conflict:
            await self._index.delete(MAIN, job.id)
            raise Conflict("The same work is under way already.", reason="JOB_EXISTS") from None
        return job

    async def hasten(self, scope: Project, id: str) -> None:
        """Make a queued job due now; nothing where it has begun."""
        now = self.clock()
        where = {"status": Status.QUEUED.value}
        if await self._jobs.update(scope, id, where=where, due_at=now, updated_at=now) is not None:
            await self.reschedule_entry(id, now)

    async def get(self, scope: Project, id: str, kind: str = "") -> Job:
        """The job of this id; an empty kind means any. Raises NotFound."""
        job = await self._jobs.get(scope, id)
        if job is None or kind not in ("", job.kind):
            raise NotFound("There is no such job in this project.", reason="JOB_NOT_FOUND", field="id")
        return job

    async def find(self, scope: Project, unique_key: str) -> Job | None:
        return await self._jobs.find_one(scope, {"uniqueKey": unique_key})

    async def page(self, scope: Project, kind: str, size: int, token: str) -> tuple[list[Job], str]:
        return await self._jobs.page(scope, {"kind": kind}, page_size=size, page_token=token)

    async def cancel(self, scope: Project, id: str) -> Job:
        """End a job that no worker holds, or ask its worker to stop it. Raises NotFound, FailedPrecondition."""
        while True:
            job = await self.get(scope, id)
            if job.status.ended:
                raise FailedPrecondition(f"This has ended already: {job.status}.", reason="JOB_ENDED", field="id")
            worked_on = job.status is Status.RUNNING and job.held_until > self.clock()
            changes = {"cancel_requested": True} if worked_on else self._ended(job, Status.CANCELLED)
            changed = await self._jobs.update(scope, id, where=_unchanged(job, lease_until=False), **changes)
            if changed is not None:  # or it was just taken, ended or put back: look again
                if not worked_on:
                    await self._leave_index(changed)
                return changed

    async def forget(self, scope: Project, kinds: Collection[str], *, but: str) -> int:
        """Cancel what has not ended of these kinds and remove what has, all but one job. How many are left, because
        somebody works on them and has yet to notice, or because their end hook has yet to return."""
        theirs = {"kind": Cond(Op.IN, sorted(kinds)), "id": Cond(Op.NE, but)}
        async for job in self._jobs.scan(scope, {**theirs, "endedAt": None}):
            with suppress(NotFound, FailedPrecondition):  # it has ended meanwhile
                await self.cancel(scope, job.id)
        await self._jobs.delete_where(scope, {**theirs, "endedAt": Cond(Op.GT, 0), "endPending": None})
        return await self._jobs.count(scope, theirs)

    # -- for workers

    async def due_tenants(self, kinds: Collection[str]) -> list[str]:
        """The tenants that have entries to look at, with these kinds of jobs."""
        rows = await self._store.totals(MAIN, JOB_INDEX, self._due(kinds), group_by=["tenant"], sums=[])
        return [row["tenant"] for row in rows]

    async def due(self, tenant: str, kinds: Collection[str], limit: int) -> list[JobIndexEntry]:
        """A tenant's entries to look at, the longest due first."""
        where = {**self._due(kinds), "tenant": tenant}
        order = Order("dueAt", descending=False)
        return (await self._index.page(MAIN, where, order=order, page_size=limit))[0]

    async def claim(self, entry: JobIndexEntry, lease_seconds: float) -> Job | None:
        """Claim the entry's job: the job with a lease that is ours; None where there is nothing to do now, or others
        were faster. With `max_attempts` failures, because whoever worked on it was killed, it is only to be finished;
        if it has ended, its end hook is to be called."""
        job = await self._find(entry)
        now = self.clock()
        if job is not None and job.end_pending:
            return await self._claim_end(entry, job, lease_seconds)
        if job is None or job.status.ended:
            if job is not None or entry.created_at + _ORPHAN_SECONDS < now:
                await self._index.delete(MAIN, entry.id)
            else:
                await self.reschedule_entry(entry.id, now + _MISSING_SECONDS)
            return None
        wait_until = job.due_at if job.status is Status.QUEUED else job.held_until
        if wait_until > now:
            await self.reschedule_entry(entry.id, wait_until)
            return None
        interrupted = job.status is Status.RUNNING  # its worker died, or lost touch with the store
        failures = job.failures + interrupted
        if job.cancel_requested:
            await self._end(entry.scope, job)
            return None
        changes = {
            "status": Status.RUNNING,
            "attempts": job.attempts + 1,
            "failures": failures,
            "lease_owner": uuid4().hex,
            "lease_until": now + lease_seconds,
            "updated_at": now,
        }
        claimed = await self._jobs.update(entry.scope, job.id, where=_unchanged(job), **changes)
        if claimed is None:
            return None
        await self.reschedule_entry(entry.id, now + lease_seconds)
        return claimed

    async def save(self, scope: Project, job: Job, changes: Mapping[str, Any], lease_seconds: float) -> Job | None:
        """Extend the lease and save progress with it. None: the lease is lost."""
        now = self.clock()
        whole = {**changes, "lease_until": now + lease_seconds}
        return await self._while_ours(scope, job, whole)

    async def finish(
        self, scope: Project, job: Job, status: Status, error: str = "", *, reason: str = "", lease_seconds: float = 0.0
    ) -> Job | None:
        """Write the job's end. None: the lease is lost, and the end is somebody else's to write. Where the kind has an
        end hook, the lease stays ours for as long as the hook may take, and `settle` or `postpone_end` comes next."""
        changes = self._ended(job, status, error, reason)
        if self._has_hook(job):
            changes |= {"lease_owner": job.lease_owner, "lease_until": self.clock() + lease_seconds, "end_attempts": 1}
        ended = await self._while_ours(scope, job, changes)
        if ended is not None and not ended.end_pending:
            await self._index.delete(MAIN, job.id)
        return ended

    async def settle(self, scope: Project, job: Job) -> None:
        """Remove an ended job from the index once its end hook has returned."""
        done = {"end_pending": None, "unique_key": None, "lease_owner": None, "lease_until": None}
        if await self._jobs.update(scope, job.id, where=_unchanged(job), **done) is not None:
            await self._index.delete(MAIN, job.id)

    async def postpone_end(self, scope: Project, job: Job, delay: float) -> None:
        """Let the end hook of the job be called again after `delay` seconds."""
        at = self.clock() + delay
        changes = {"lease_owner": None, "lease_until": at}
        if await self._jobs.update(scope, job.id, where=_unchanged(job), **changes) is not None:
            await self.reschedule_entry(job.id, at)

    async def requeue(self, scope: Project, job: Job, *, delay: float = 0.0, failures: int | None = None) -> bool:
        """Put the job back in the queue, to be claimed after `delay` seconds. False: the lease is lost."""
        now = self.clock()
        changes = {
            "status": Status.QUEUED,
            "lease_owner": None,
            "lease_until": None,
            "due_at": now + delay,
            "updated_at": now,
        }
        if failures is not None:
            changes["failures"] = failures
        queued = await self._while_ours(scope, job, changes)
        if queued is None:
            return False
        if queued.cancel_requested:
            await self._end(scope, queued)
        else:
            await self.reschedule_entry(job.id, now + delay)
        return True

    async def prune(self, tenant: Tenant, seconds: float) -> None:
        """Remove the tenant's jobs that ended longer ago."""
        await self._jobs.delete_where(AllProjects(tenant), {"endedAt": Cond(Op.LT, self.clock() - seconds)})

    async def reschedule_entry(self, id: str, at: float) -> None:
        await self._index.update(MAIN, id, due_at=at)

    async def _find(self, entry: JobIndexEntry) -> Job | None:
        try:
            return await self._jobs.get(entry.scope, entry.id)
        except FailedPrecondition:  # the tenant is gone
            return None

    async def _claim_end(self, entry: JobIndexEntry, job: Job, lease_seconds: float) -> Job | None:
        """Claim a job that has ended, in order to call its end hook."""
        now = self.clock()
        if job.held_until > now:
            await self.reschedule_entry(entry.id, job.held_until)
            return None
        changes = {
            "lease_owner": uuid4().hex,
            "lease_until": now + lease_seconds,
            "end_attempts": job.end_attempts + 1,
        }
        claimed = await self._jobs.update(entry.scope, job.id, where=_unchanged(job), **changes)
        if claimed is None:
            return None
        await self.reschedule_entry(entry.id, now + lease_seconds)
        return claimed

    async def _end(self, scope: Project, job: Job) -> None:
        """End a job as cancelled that nobody works on."""
        changes = self._ended(job, Status.CANCELLED)
        ended = await self._jobs.update(scope, job.id, where=_unchanged(job), **changes)
        if ended is not None:
            await self._leave_index(ended)

    async def _leave_index(self, ended: Job) -> None:
        """Remove the job's index entry, unless it has an end hook that a worker is to call."""
        if ended.end_pending:
            await self.reschedule_entry(ended.id, self.clock())
        else:
            await self._index.delete(MAIN, ended.id)

    async def _while_ours(self, scope: Project, job: Job, changes: Mapping[str, Any]) -> Job | None:
        where = {"status": Status.RUNNING.value, "leaseOwner": job.lease_owner}
        return await self._jobs.update(scope, job.id, where=where, **changes)

    def _ended(self, job: Job, status: Status, error: str = "", reason: str = "") -> Document:
        now = self.clock()
        ended: Document = {
            "status": status,
            "error": error or None,
            "reason": reason or ("CANCELLED" if status is Status.CANCELLED else None),
            "ended_at": now,
            "updated_at": now,
            "lease_owner": None,
            "lease_until": None,
        }
        return {**ended, "end_pending": True} if self._has_hook(job) else {**ended, "unique_key": None}

    def _has_hook(self, job: Job) -> bool:
        return job.hooked or self._kind_has_hook(job.kind)

    def _due(self, kinds: Collection[str]) -> dict[str, Any]:
        return {"kind": Cond(Op.IN, sorted(kinds)), "dueAt": Cond(Op.LTE, self.clock())}


def _unchanged(job: Job, *, lease_until: bool = True) -> dict[str, Any]:
    """A `where` that holds while nobody has taken, put back or ended the job; with `lease_until`, nor held on to it."""
    same = {"status": job.status.value, "attempts": job.attempts, "leaseOwner": job.lease_owner}
    return {**same, "leaseUntil": job.lease_until or None} if lease_until else same
