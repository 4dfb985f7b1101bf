"""Wires the tracing service."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.app import Platform
from core.jobs.jobs import Jobs
from core.rpc.server import ServiceRegistration
from portico.tracing.v1 import session_service_pb2_grpc
from services.tracing.domain.project_removal import ProjectRemoval
from services.tracing.servicers.session import SessionServicer
from services.tracing.settings import Settings


@dataclass(frozen=True, slots=True)
class Domain:
    """The parts of the domain, assembled."""

    jobs: Jobs


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
        platform.store, platform.tasks, platform.lifecycle, audit_log=platform.audit, tokens=platform.service_tokens
    )
    platform.removals.handle(jobs, ProjectRemoval().remove)
    return Domain(jobs)


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
    ]
