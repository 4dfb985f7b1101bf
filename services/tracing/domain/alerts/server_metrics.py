"""The metrics of inference servers as alert rules look at them.

Without a server in the scope, the worst of the project's active servers counts: the highest value, and 0 where any is
down.
"""

from collections.abc import Callable, Mapping, Sequence

from core.errors import NotFound
from core.tenancy import Project
from services.tracing.domain.alerts.metrics import SERVER
from services.tracing.domain.monitoring.readings import Readings
from services.tracing.domain.monitoring.records import ACTIVE, UNKNOWN, UP, InferenceServer
from services.tracing.domain.monitoring.servers import InferenceServers

_SILENT_INTERVALS = 3
"""Intervals after which a server that was not polled tells nothing any more."""

_READINGS: Mapping[str, Callable[[Readings], float | None]] = {
    "gpu_cache_usage": lambda readings: readings.gpu_cache_usage_percent,
    "request_queue_depth": lambda readings: readings.num_requests_waiting,
    "time_to_first_token_ms": lambda readings: (
        None if (seconds := readings.time_to_first_token_seconds) is None else 1000.0 * seconds
    ),
}


class ServerMetrics:
    """The MetricSource of the module `inference`."""

    def __init__(self, servers: InferenceServers) -> None:
        self._servers = servers

    async def measure(
        self, project: Project, metric: str, scope: Mapping[str, str], start: float, end: float
    ) -> float | None:
        servers = await self._in_scope(project, scope)
        if metric == "server_up":
            states = [state for server in servers if (state := _up(server, start, end)) is not None]
            return min(states, default=None)
        means = [await self._mean(project, server, metric, start, end) for server in servers]
        return max((mean for mean in means if mean is not None), default=None)

    async def _in_scope(self, project: Project, scope: Mapping[str, str]) -> Sequence[InferenceServer]:
        if key := scope.get(SERVER):
            try:
                return [await self._servers.get(project, key)]
            except NotFound:
                return []  # which is silence: the rule says what that means
        return [server for server in await self._servers.all(project) if server.status == ACTIVE]

    async def _mean(
        self, project: Project, server: InferenceServer, metric: str, start: float, end: float
    ) -> float | None:
        """Mean of a reading over the polls of the time."""
        rows = await self._servers.window(project, server.id, start, end)
        values = [value for row in rows if row.readings and (value := _READINGS[metric](row.readings)) is not None]
        return sum(values) / len(values) if values else None


def _up(server: InferenceServer, start: float, end: float) -> float | None:
    """1 where the last poll found the server up, else 0; None where that was before the time, and too long ago."""
    if server.health == UNKNOWN or server.last_polled_at is None:
        return None
    oldest = min(start, end - _SILENT_INTERVALS * server.poll_interval_seconds)
    return None if server.last_polled_at < oldest else float(server.health == UP)
