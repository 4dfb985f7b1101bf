"""Wires the vector service."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core import secret_files
from core.app import Platform
from core.http.guard import OutboundGuard
from core.jobs.audit import JobAudit
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.lifecycle import Phase
from core.providers.runtimes import RuntimeKey
from core.rpc.metrics import MetricsServicer
from core.rpc.server import ServiceRegistration
from core.runtime_pool import RuntimePool
from portico.vector.v1 import (
    index_service_pb2_grpc,
    metrics_service_pb2_grpc,
    migration_service_pb2_grpc,
    point_service_pb2_grpc,
    provider_service_pb2_grpc,
)
from services.vector.adapters.drivers import RemoteAccess
from services.vector.adapters.drivers import drivers as all_drivers
from services.vector.adapters.embedded.engine import EmbeddedEngine
from services.vector.domain.engines import Engines
from services.vector.domain.index_migrations import KIND, IndexMigrations
from services.vector.domain.index_resolver import IndexResolver
from services.vector.domain.indexes import DROP, Indexes
from services.vector.domain.metrics import VectorMetrics
from services.vector.domain.project_removal import ProjectRemoval
from services.vector.domain.providers import EMBEDDED, VectorProviders
from services.vector.domain.query_log import FLUSH_SECONDS, QueryLog
from services.vector.domain.quotas import VectorQuotas
from services.vector.domain.tenant_data import StoredVectors
from services.vector.domain.vectors import Vectors
from services.vector.ports import LocalVectorEngine, VectorDriver, VectorEngine
from services.vector.servicers.index import IndexServicer
from services.vector.servicers.migration import MigrationServicer
from services.vector.servicers.point import PointServicer
from services.vector.servicers.provider import ProviderServicer
from services.vector.servicers.rest import PointRestServicer
from services.vector.settings import Settings

_FLUSH_LIMIT = 10.0
_SWEEP_SECONDS = 30.0
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Domain:
    """The parts of the domain, assembled."""

    embedded: LocalVectorEngine
    pool: RuntimePool[RuntimeKey, VectorEngine]
    jobs: Jobs
    providers: VectorProviders
    engines: Engines
    indexes: Indexes
    resolver: IndexResolver
    queries: QueryLog
    vectors: Vectors
    migrations: IndexMigrations
    quotas: VectorQuotas


async def build(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    registrations = await serve(platform, settings)
    platform.follow_auth()
    return registrations


async def serve(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    """The service without its ties to auth."""
    domain = await assemble(platform, settings)
    await _start(platform, domain)
    return [*_registrations(domain), _metrics(platform)]


async def assemble(
    platform: Platform,
    settings: Settings,
    *,
    guard: OutboundGuard | None = None,
    embedded: LocalVectorEngine | None = None,
    drivers: Mapping[str, VectorDriver] | None = None,
    job_limits: JobLimits | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Domain:
    """The domain on the platform's store. Nothing works in the background yet. A part that is given takes the place of
    the one that the settings ask for."""
    store = platform.store
    guard = guard or settings.outbound.guard()
    embedded = embedded or await _embedded_engine(platform, settings)
    drivers = drivers or all_drivers(embedded, RemoteAccess(guard, settings.max_answer_mb * _MIB))
    if not settings.embedded:
        drivers = {id: driver for id, driver in drivers.items() if id != EMBEDDED}
    pool: RuntimePool[RuntimeKey, VectorEngine] = RuntimePool(
        settings.engines, settings.engine_idle_seconds, lambda engine: engine.close()
    )
    jobs = Jobs(
        store,
        platform.tasks,
        platform.lifecycle,
        audit_log=platform.audit,
        paused=platform.revocations.is_suspended,
        tokens=platform.service_tokens,
        limits=job_limits or _job_limits(settings),
        fanout=platform.shared.fanout,
    )
    providers = VectorProviders(store, settings.sealing.sealer(), drivers, guard)
    engines = Engines(providers, embedded, pool)
    quotas = VectorQuotas(store, providers, engines, platform.call_quotas, platform.totals)
    indexes = Indexes(store, providers, engines, jobs, quotas.room_for_index)
    providers.changes.share(platform.shared.fanout, "vector-providers")
    indexes.changes.share(platform.shared.fanout, "indexes")
    resolver = IndexResolver(indexes, jobs, seconds=settings.lookup_seconds, clock=clock)
    queries = QueryLog(store, platform.tasks, capacity=settings.query_log_buffer, keep_days=settings.query_log_days)
    vectors = Vectors(resolver, engines, queries, quotas)
    migrations = IndexMigrations(jobs, indexes, engines, settle_seconds=settings.lookup_seconds)

    jobs.handle(KIND, migrations.run, JobAudit("migration.run", "migration"))
    jobs.handle(DROP, indexes.finish_drop, JobAudit("index.drop", "index"))
    platform.removals.handle(jobs, ProjectRemoval(store, providers, indexes, embedded.clear).remove)
    platform.tenant_data.keep(StoredVectors(store, providers, engines, embedded))
    platform.tenant_data.settle_by(queries.flush)
    return Domain(embedded, pool, jobs, providers, engines, indexes, resolver, queries, vectors, migrations, quotas)


async def _embedded_engine(platform: Platform, settings: Settings) -> EmbeddedEngine:
    folder = platform.settings.store.data_dir / "vectors"
    await asyncio.to_thread(secret_files.restrict, folder)
    return EmbeddedEngine(
        folder,
        workers=settings.workers,
        open_indexes=settings.open_indexes,
        large_indexes=settings.large_indexes,
    )


def _job_limits(settings: Settings) -> JobLimits:
    """A tenant that migrates much leaves half of the workers to the others."""
    lease = settings.job_lease_seconds
    return JobLimits(
        running=settings.jobs, running_per_tenant=max(1, settings.jobs // 2), lease=lease, heartbeat=lease / 6
    )


async def _start(platform: Platform, domain: Domain) -> None:
    tasks, lifecycle = platform.tasks, platform.lifecycle
    await domain.jobs.start()
    tasks.every("close idle engines", _SWEEP_SECONDS, domain.pool.sweep)
    tasks.every("write query log", FLUSH_SECONDS, domain.queries.flush)
    lifecycle.on_stop(Phase.FLUSH, "query log", domain.queries.flush, _FLUSH_LIMIT)
    lifecycle.on_stop(Phase.POOLS, "engines", domain.pool.close, 10.0)
    lifecycle.on_stop(Phase.POOLS, "embedded engine", domain.embedded.close, 30.0)
    platform.health.add("vectors", domain.embedded.check)


def _metrics(platform: Platform) -> ServiceRegistration:
    return ServiceRegistration(
        "portico.vector.v1.MetricsService",
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server,
        MetricsServicer(VectorMetrics(platform.store).collect),
    )


def _registrations(domain: Domain) -> Sequence[ServiceRegistration]:
    package = "portico.vector.v1"
    return [
        ServiceRegistration(
            f"{package}.ProviderService",
            provider_service_pb2_grpc.add_ProviderServiceServicer_to_server,
            ProviderServicer(domain.providers, domain.indexes),
        ),
        ServiceRegistration(
            f"{package}.IndexService",
            index_service_pb2_grpc.add_IndexServiceServicer_to_server,
            IndexServicer(domain.providers, domain.indexes, domain.vectors, domain.queries, domain.quotas),
        ),
        ServiceRegistration(
            f"{package}.PointService",
            point_service_pb2_grpc.add_PointServiceServicer_to_server,
            PointServicer(domain.vectors),
        ),
        ServiceRegistration(
            f"{package}.PointRestService",
            point_service_pb2_grpc.add_PointRestServiceServicer_to_server,
            PointRestServicer(domain.vectors),
        ),
        ServiceRegistration(
            f"{package}.MigrationService",
            migration_service_pb2_grpc.add_MigrationServiceServicer_to_server,
            MigrationServicer(domain.migrations),
        ),
    ]
