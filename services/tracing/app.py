"""Wires the tracing service."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.app import Platform
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.rpc.server import ServiceRegistration
from portico.tracing.v1 import session_service_pb2_grpc
from services.tracing.app_monitoring import Monitoring, monitoring_of
from services.tracing.domain.project_removal import ProjectRemoval
from services.tracing.servicers.session import SessionServicer
from services.tracing.settings import Settings

_JOBS = 64
"""Jobs at a time: most wait for an inference server, a webhook or a mail server."""
_JOB_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Domain:
    """The parts of the domain, assembled."""

    jobs: Jobs
    monitoring: Monitoring


async def build(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    registrations = await serve(platform, settings)
    platform.follow_auth()
    return registrations


async def serve(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    """The service without its ties to auth."""
    domain = await assemble(platform, settings)
    await _start(platform, domain)
    return _registrations(domain)


async def assemble(platform: Platform, settings: Settings) -> Domain:
    """The domain on the platform's store. Nothing works in the background yet. A part that is given takes the place of
    the one that the settings ask for."""
    jobs = Jobs(
        platform.store,
        platform.tasks,
        platform.lifecycle,
        audit_log=platform.audit,
        tokens=platform.service_tokens,
        limits=JobLimits(running=_JOBS, running_per_tenant=_JOBS // 4, poll=_JOB_POLL_SECONDS),
    )
    monitoring = monitoring_of(platform, settings, jobs)
    platform.removals.handle(jobs, ProjectRemoval([monitoring.remove_all]).remove)
    return Domain(jobs, monitoring)


async def _start(platform: Platform, domain: Domain) -> None:
    await domain.jobs.start()


def _registrations(domain: Domain) -> Sequence[ServiceRegistration]:
    package = "portico.tracing.v1"
    return [
        ServiceRegistration(
            f"{package}.SessionService",
            session_service_pb2_grpc.add_SessionServiceServicer_to_server,
            SessionServicer(),
        ),
        *domain.monitoring.registrations(),
    ]
