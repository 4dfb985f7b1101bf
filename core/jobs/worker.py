"""The worker, which claims due jobs and runs their handlers: bounded in all and per tenant, the tenants in turn."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from core import context, logs
from core.audit import changes as audit
from core.bounded import BoundedDict
from core.context import JobContext, RequestContext
from core.errors import PorticoError, Unavailable
from core.jobs.audit import JobRecorder
from core.jobs.ends import call_end_hook
from core.jobs.identity import ServiceTokens, acting
from core.jobs.kinds import JobKind
from core.jobs.limits import JobLimits
from core.jobs.records import JobIndexEntry, Status
from core.jobs.run import MAY_PASS, JobRun, Postponed, Stop
from core.jobs.store import JobStore
from core.tasks import Tasks
from core.tenancy import Tenant

log = logs.get(__name__)

_CANCEL_SECONDS = 1.5
"""Time that a stopped handler gets to clean up."""
_PRUNE_SECONDS = 3600.0
_INTERRUPTED = "The service was interrupted while it worked on this, too often to try again."
_OUR_FAULT = "Something went wrong on our side. Quote the job's id when you report it."


class Worker:
    def __init__(
        self,
        job_store: JobStore,
        tasks: Tasks,
        kinds: Mapping[str, JobKind],
        recorder: JobRecorder,
        limits: JobLimits,
        tokens: ServiceTokens | None = None,
    ) -> None:
        self._job_store = job_store
        self._tasks = tasks
        self._kinds = kinds
        self._recorder = recorder
        self._tokens = tokens
        self._limits = limits
        self._wake = asyncio.Event()
        self._stopping = False
        self._running: dict[str, asyncio.Task[None]] = {}
        self._runs: dict[str, JobRun] = {}
        self._per_tenant: Counter[str] = Counter()
        self._served: dict[str, float] = {}
        """Time of the last turn of each tenant with work, on the monotonic clock."""
        self._pruned: BoundedDict[Tenant, float] = BoundedDict(10_000)

    def start(self) -> None:
        if self._kinds:
            self._tasks.spawn("jobs", self._work())

    def wake(self) -> None:
        """Look for due jobs: there may be work, or room for it."""
        self._wake.set()

    def look_at(self, id: str) -> None:
        """See whether a job that runs here is to be stopped."""
        if (run := self._runs.get(id)) is not None:
            with suppress(Unavailable):  # too much other work: its heartbeat will see
                self._tasks.spawn(f"look at {id}", run.extend())

    async def stop_job(self, id: str, timeout: float) -> None:  # noqa: ASYNC109  # what is late is left, not cancelled
        """Stop the handler of a job that was cancelled, if it runs here, and wait for its end."""
        if (run := self._runs.get(id)) is not None:
            run.stop(Stop.CANCELLED)
        if (task := self._running.get(id)) is not None:
            await asyncio.wait({task}, timeout=timeout)

    async def drain(self) -> None:
        """Take no more jobs, let handlers reach a checkpoint, stop the others, and requeue all."""
        self._stopping = True
        self._wake.set()
        for run in self._runs.values():
            run.draining = True
        if running := set(self._running.values()):
            await asyncio.wait(running, timeout=self._limits.drain)
        for run in list(self._runs.values()):
            run.stop(Stop.DRAINED)
        if running := set(self._running.values()):
            await asyncio.wait(running, timeout=_CANCEL_SECONDS)

    async def _work(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                await self._fill()
            except Exception:  # mostly the store's; the next round may succeed, and nobody else would go on
                log.exception("looking for jobs failed")
            try:
                async with asyncio.timeout(self._limits.poll):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _fill(self) -> None:
        """Begin due jobs while there is room: one per tenant and turn, whoever waited longest first."""
        tenants = await self._job_store.due_tenants(self._kinds)
        self._served = {tenant: self._served.get(tenant, 0.0) for tenant in tenants}
        while tenants and self._room and not self._stopping:
            tenants.sort(key=lambda tenant: (self._per_tenant[tenant], self._served[tenant]))
            tenants = [tenant for tenant in tenants if await self._turn_of(tenant)]

    @property
    def _room(self) -> bool:
        return len(self._running) < self._limits.running

    async def _turn_of(self, tenant: str) -> bool:
        """Begin a due job of the tenant. True if there was one, so that another turn may find one more."""
        running = self._per_tenant[tenant]
        if not self._room or running >= self._limits.running_per_tenant or self._stopping:
            return False
        entries = await self._job_store.due(tenant, self._kinds, running + 1)
        entry = next((each for each in entries if each.id not in self._running), None)
        if entry is None:
            return False
        try:
            task = self._tasks.spawn(f"job {entry.id}", self._take(entry))
        except Unavailable:  # too much other work: the next round tries again
            return False
        self._served[tenant] = time.monotonic()
        self._per_tenant[tenant] += 1
        self._running[entry.id] = task
        task.add_done_callback(lambda _: self._ended(entry))
        return True

    def _ended(self, entry: JobIndexEntry) -> None:
        del self._running[entry.id]
        self._per_tenant -= Counter([entry.scope.tenant.slug])
        self._wake.set()

    async def _take(self, entry: JobIndexEntry) -> None:
        job = await self._job_store.claim(entry, self._limits.lease)
        if job is None:
            return
        kind = self._kinds[job.kind]
        context.bind(RequestContext(request_id=job.id, job=JobContext(job.id, job.kind, entry.scope)))
        audit.act_for(job.actor)
        if job.status.ended:
            await call_end_hook(self._job_store, kind.on_end, entry.scope, job, self._limits)
            return
        run = JobRun(self._job_store, entry.scope, job, self._limits.lease)
        audit.bind(run.change)
        if job.failures >= job.max_attempts:
            await self._finish(run, Status.FAILED, _INTERRUPTED, reason="INTERRUPTED")
            return
        run.draining = self._stopping
        self._runs[job.id] = run
        (log.debug if kind.recurring else log.info)("job begun", attempt=job.attempts)
        work = run.begin(lambda run: self._handle(kind, run))
        beat = asyncio.create_task(self._hold(run), name=f"heartbeat of {job.id}")
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError:
            run.stop(Stop.DRAINED)
            await asyncio.wait({work}, timeout=_CANCEL_SECONDS)
            raise
        finally:
            beat.cancel()
            del self._runs[job.id]
            await self._settle(run, work)

    async def _handle(self, kind: JobKind, run: JobRun) -> None:
        if self._tokens is None or not kind.scopes:
            await kind.handler(run)
            return
        async with acting(self._tokens, kind.scopes):
            await kind.handler(run)

    async def _hold(self, run: JobRun) -> None:
        """Extend the lease by heartbeats. Stops the handler before the lease runs out where the store takes none."""
        while run.stopped is None:
            await asyncio.sleep(self._limits.heartbeat)
            left = run.job.held_until - self._job_store.clock() - self._limits.heartbeat
            try:
                async with asyncio.timeout(left):
                    await run.extend()
            except TimeoutError:
                run.stop(Stop.LEASE_LOST)
            except Exception as error:  # the store's, whatever its driver calls it: there is time for another beat
                log.warning("heartbeat failed", job=run.id, error=type(error).__name__)

    async def _settle(self, run: JobRun, work: "asyncio.Task[None]") -> None:
        if not work.done():
            log.error("job does not stop; its lease runs out", job=run.id)
        elif not work.cancelled() and work.exception() is None:
            await self._finish(run, Status.SUCCEEDED)
        elif run.stopped is Stop.LEASE_LOST:
            log.warning("job lost its lease", job=run.id)
        elif run.stopped is Stop.CANCELLED:
            await self._finish(run, Status.CANCELLED, reason="CANCELLED")
        elif run.stopped is Stop.DRAINED:
            await self._job_store.requeue(run.scope, run.job)
            log.info("job put back", job=run.id, done=run.done, total=run.total)
        elif not work.cancelled() and isinstance(error := work.exception(), Postponed):
            await self._job_store.requeue(run.scope, run.job, delay=error.seconds)
        else:
            await self._failed(run, None if work.cancelled() else work.exception())

    async def _failed(self, run: JobRun, error: BaseException | None) -> None:
        """`error` None: something that the handler awaited was cancelled."""
        failures = run.job.failures + 1
        ours = not isinstance(error, PorticoError)
        if failures < run.job.max_attempts and (ours or isinstance(error, MAY_PASS)):
            delay = self._limits.retry_delay(failures)
            if isinstance(error, PorticoError):
                delay = max(delay, error.retry_after or 0.0)
            log.warning("job failed, to be tried again", job=run.id, seconds=round(delay, 1), exc_info=error)
            await self._job_store.requeue(run.scope, run.job, delay=delay, failures=failures)
            return
        if ours:
            log.error("job failed", job=run.id, exc_info=error)
        known = error if isinstance(error, PorticoError) else PorticoError(_OUR_FAULT)
        await self._finish(run, Status.FAILED, known.message, reason=known.reason)

    async def _finish(self, run: JobRun, status: Status, error: str = "", *, reason: str = "") -> None:
        await self._recorder.record(run.scope, run.job, self._kinds[run.job.kind].audit, run.change, reason)
        ended = await self._job_store.finish(
            run.scope, run.job, status, error, reason=reason, lease_seconds=self._limits.lease
        )
        log.info("job ended", status=status.value if ended else "lost", done=run.done)
        if ended is not None and ended.end_pending:
            await call_end_hook(self._job_store, self._kinds[ended.kind].on_end, run.scope, ended, self._limits)
        await self._prune(run.scope.tenant)

    async def _prune(self, tenant: Tenant) -> None:
        now = time.monotonic()
        if now - self._pruned.get(tenant, -math.inf) > _PRUNE_SECONDS:
            self._pruned[tenant] = now
            await self._job_store.prune(tenant, self._limits.keep_days * 86_400.0)
