"""Wires the tracing service's inference monitoring and alerts."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.app import Platform
from core.jobs.jobs import Jobs
from core.rpc.server import ServiceRegistration
from core.tenancy import Project
from portico.tracing.v1 import monitoring_service_pb2_grpc
from services.tracing.adapters.http import MetricsOverHttp
from services.tracing.domain.monitoring.poller import Poller, polling
from services.tracing.domain.monitoring.servers import InferenceServers
from services.tracing.servicers.monitoring import MonitoringServicer
from services.tracing.settings import Settings

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Monitoring:
    """The parts of monitoring and alerts, assembled."""

    servers: InferenceServers
    poller: Poller

    async def remove_all(self, project: Project) -> None:
        """Remove what there is of a deleted project."""
        await self.servers.remove_all(project)

    def registrations(self) -> Sequence[ServiceRegistration]:
        return [
            ServiceRegistration(
                "portico.tracing.v1.MonitoringService",
                monitoring_service_pb2_grpc.add_MonitoringServiceServicer_to_server,
                MonitoringServicer(self.servers, self.poller),
            ),
        ]


def monitoring_of(platform: Platform, settings: Settings, jobs: Jobs) -> Monitoring:
    """The parts on the platform's store, their kinds of jobs registered. Nothing works in the background yet."""
    options, guard = settings.monitoring, settings.outbound.guard()
    servers = InferenceServers(
        platform.store,
        settings.sealing.sealer(),
        guard,
        polling(jobs),
        min_interval_seconds=options.min_poll_seconds,
    )
    poller = Poller(
        jobs,
        servers,
        MetricsOverHttp(guard, seconds=options.poll_timeout_seconds),
        platform.rate_limits,
        retention_seconds=options.retention_days * _DAY,
    )
    return Monitoring(servers, poller)
