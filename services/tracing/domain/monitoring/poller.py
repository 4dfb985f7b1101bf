"""Polls of inference servers: a recurring job for each server, which one replica holds at a time.

A poll that fails is a row as well: that a server is down is a metric. The counters that the next poll is compared with
are written with the poll, so rates go on after a restart and on another replica.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from core import logs
from core.errors import Conflict, PorticoError, RateLimited
from core.jobs.jobs import Jobs
from core.jobs.run import JobRun, Postponed
from core.offload import offload
from core.rate_limits.ports import RateLimits
from core.tenancy import Project
from services.tracing.domain.monitoring import exposition
from services.tracing.domain.monitoring.engines import ENGINES
from services.tracing.domain.monitoring.readings import START_TIME, Counters, Poll, Readings, counters
from services.tracing.domain.monitoring.records import ACTIVE, DOWN, UP, InferenceServer, MetricRow
from services.tracing.domain.monitoring.servers import InferenceServers, StartPolling
from services.tracing.ports import FetchMetrics

log = logs.get(__name__)

KIND = "tracing.poll"
NEVER = 1_000_000_000
"""Failed attempts of a recurring job: it ends by itself."""
_BUSY_SECONDS = 1.0
_LOOK_SECONDS = 60.0
"""Longest pause between two looks at a server's record, whose interval may have been shortened."""
_POLLS = "60/minute"
"""Polls on demand of one project."""
_LONGEST_ERROR = 300


def polling(jobs: Jobs) -> StartPolling:
    """The start of a server's polls, which go on until it is deleted."""

    async def start(project: Project, server: InferenceServer) -> None:
        with suppress(Conflict):  # it is polled already
            await jobs.submit(
                project, KIND, {"server": server.id}, unique_key=f"{KIND} {server.id}", max_attempts=NEVER
            )

    return start


class Poller:
    """`retention_seconds`: how long a row is kept. `polled` is called after every poll that was written."""

    def __init__(
        self,
        jobs: Jobs,
        servers: InferenceServers,
        fetch: FetchMetrics,
        rate_limits: RateLimits,
        *,
        retention_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._servers = servers
        self._fetch = fetch
        self._rate_limits = rate_limits
        self._retention_seconds = retention_seconds
        self._clock = clock
        jobs.handle(KIND, self._run, None, recurring=True)

    async def poll_now(self, project: Project, key: str) -> MetricRow:
        """Poll a server on demand. Raises NotFound, RateLimited."""
        server = await self._servers.get(project, key)
        await self._rate_limits.hit(project, "inference poll", _POLLS)
        row = await self._poll(project, server)
        if row is None:
            raise RateLimited("The server is being polled at this very moment. Try again.", retry_after=_BUSY_SECONDS)
        return row

    async def _run(self, run: JobRun) -> None:
        server = await self._servers.table.get(run.scope, str(run.payload["server"]))
        if server is None:
            return
        due = (server.last_polled_at or 0.0) + server.poll_interval_seconds
        if server.status != ACTIVE:
            due = self._clock() + _LOOK_SECONDS
        elif due <= self._clock():
            await self._poll(run.scope, server)
            due = self._clock() + server.poll_interval_seconds
        await run.checkpoint(run.done + 1)  # which says that it gets on: earlier failures do not count
        raise Postponed(min(_LOOK_SECONDS, max(0.0, due - self._clock())))

    async def _poll(self, project: Project, server: InferenceServer) -> MetricRow | None:
        """Poll and write. None: somebody else did so at the same time, or the server was changed or deleted."""
        row, seen = await self._read(project, server)
        changes = {
            "health": UP if row.up else DOWN,
            "last_polled_at": row.at,
            "last_error": row.error,
            "counters": seen or server.counters,
        }
        same = {"lastPolledAt": server.last_polled_at, "updatedAt": server.updated_at}
        if await self._servers.table.update(project, server.id, where=same, **changes) is None:
            return None
        await self._servers.metrics.insert(project, row)
        if server.health != changes["health"]:
            log.info("inference server changed", server=server.key, before=server.health, now=changes["health"])
        return row

    def _now(self) -> float:
        """The time to the microsecond, which is what answers tell and spans of the history are compared with."""
        return round(self._clock(), 6)

    async def _read(self, project: Project, server: InferenceServer) -> tuple[MetricRow, Counters | None]:
        """The row of a poll, and its counters where it succeeded."""
        readings: Readings | None = None
        seen, error, interval = None, "", 0.0
        try:
            body = await self._fetch(project, server.base_url, self._servers.api_key(project, server))
            at = self._now()
            poll, seen = await offload(lambda: _parsed(server, body, at), len(body))
            readings = ENGINES[server.type].read(poll)
            interval = poll.seconds if poll.before else 0.0
            if not poll.samples.by_name.keys() - {START_TIME}:
                error, seen, readings = f"The answer holds no metrics of {server.type}.", None, None
        except PorticoError as failure:
            at, error = self._now(), failure.message[:_LONGEST_ERROR]
        row = MetricRow(
            id=uuid4().hex,
            server_id=server.id,
            at=at,
            up=not error,
            expires_at=at + self._retention_seconds,
            readings=readings,
            error=error,
            interval_seconds=interval,
        )
        return row, seen


def _parsed(server: InferenceServer, body: bytes, at: float) -> tuple[Poll, Counters]:
    engine = ENGINES[server.type]
    samples = exposition.parse(body.decode("utf-8", "replace"), engine.wanted)
    return Poll(samples, at, server.counters), counters(samples, at, engine.counters)
