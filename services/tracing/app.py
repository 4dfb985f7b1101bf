"""Wires the tracing service."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from core.app import Platform
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.lifecycle import Phase
from core.rpc.metrics import MetricsServicer
from core.rpc.server import ServiceRegistration
from portico.tracing.v1 import metrics_service_pb2_grpc, session_service_pb2_grpc
from services.tracing.adapters.sqlite.store import SqliteTraceStore
from services.tracing.app_monitoring import Monitoring, monitoring_of
from services.tracing.domain.metrics import TracingMetrics
from services.tracing.domain.project_removal import ProjectRemoval
from services.tracing.domain.retention import SWEEP_SECONDS, Retention
from services.tracing.domain.sessions import Sessions
from services.tracing.domain.tables import SETTINGS
from services.tracing.ports import TraceStore
from services.tracing.servicers import spans
from services.tracing.servicers.session import SessionServicer
from services.tracing.servicers.spans import SpanReader, TraceServicer
from services.tracing.settings import Settings

_JOBS = 64
"""Jobs at a time: most wait for an inference server, a webhook or a mail server."""
_JOB_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Domain:
    """The parts of the domain, assembled."""

    jobs: Jobs
    traces: TraceStore
    sessions: Sessions
    retention: Retention
    monitoring: Monitoring


async def build(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    os.nice(settings.niceness)
    registrations = await serve(platform, settings)
    platform.follow_auth()
    return registrations


async def serve(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    """The service without its ties to auth."""
    domain = await assemble(platform, settings)
    await _start(platform, domain)
    return [*_registrations(domain, settings), _metrics(platform)]


async def assemble(platform: Platform, settings: Settings, *, traces: TraceStore | None = None) -> Domain:
    """The domain on the platform's store. Nothing works in the background yet. A part that is given takes the place of
    the one that the settings ask for."""
    traces = traces or _sqlite_traces(platform, settings)
    jobs = Jobs(
        platform.store,
        platform.tasks,
        platform.lifecycle,
        audit_log=platform.audit,
        tokens=platform.service_tokens,
        limits=JobLimits(running=_JOBS, running_per_tenant=_JOBS // 4, poll=_JOB_POLL_SECONDS),
        fanout=platform.shared.fanout,
    )
    retention = Retention(platform.store, traces, settings.retention_days)
    monitoring = monitoring_of(platform, settings, jobs)
    platform.removals.handle(jobs, ProjectRemoval([traces.clear, monitoring.remove_all]).remove)
    return Domain(jobs, traces, Sessions(traces), retention, monitoring)


def _sqlite_traces(platform: Platform, settings: Settings) -> SqliteTraceStore:
    """Traces lie in files whatever keeps the documents. Where that is no file, the tenant is looked up before one is
    made."""
    store = platform.settings.store
    elsewhere = store.provider != "sqlite"
    return SqliteTraceStore(
        store.data_dir,
        waiting_mb=settings.waiting_mb,
        max_open=store.max_open,
        check_tenant=partial(platform.store.count, collection=SETTINGS) if elsewhere else None,
    )


async def _start(platform: Platform, domain: Domain) -> None:
    await domain.jobs.start()
    platform.singletons.every("remove old traces", SWEEP_SECONDS, domain.retention.sweep)
    platform.lifecycle.on_stop(Phase.STORES, "traces", domain.traces.close, 10.0)
    platform.health.add("traces", domain.traces.check)


def _metrics(platform: Platform) -> ServiceRegistration:
    return ServiceRegistration(
        "portico.tracing.v1.MetricsService",
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server,
        MetricsServicer(TracingMetrics(platform.store).collect),
    )


def _registrations(domain: Domain, settings: Settings) -> Sequence[ServiceRegistration]:
    package = "portico.tracing.v1"
    reader = SpanReader(domain.sessions, settings.max_body_mb)
    return [
        ServiceRegistration(
            f"{package}.SessionService",
            session_service_pb2_grpc.add_SessionServiceServicer_to_server,
            SessionServicer(domain.sessions, domain.retention, reader, settings.max_body_mb),
        ),
        ServiceRegistration(
            spans.NAME,
            spans.add,
            TraceServicer(reader),
            [spans.policy(settings.max_body_mb)],
        ),
        *domain.monitoring.registrations(),
    ]
