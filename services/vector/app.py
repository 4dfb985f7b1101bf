"""Wires the vector service."""

import asyncio
from collections.abc import Sequence

from core import private_files
from core.app import Platform
from core.jobs.audit import JobAudit
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.lifecycle import Phase
from core.providers.runtimes import RuntimeKey
from core.rpc.server import ServiceRegistration
from core.runtime_pool import RuntimePool
from core.tenancy import Project
from portico.vector.v1 import (
    index_service_pb2_grpc,
    migration_service_pb2_grpc,
    point_service_pb2_grpc,
    provider_service_pb2_grpc,
)
from services.vector.adapters.drivers import Reach, drivers
from services.vector.adapters.embedded.engine import EmbeddedEngine
from services.vector.adapters.outbound import AddressCheck
from services.vector.domain.engines import Engines
from services.vector.domain.indexes import DROP, Indexes
from services.vector.domain.migrations import KIND, Migrations
from services.vector.domain.providers import Providers
from services.vector.domain.queries import FLUSH_SECONDS, QueryLog
from services.vector.domain.removal import ProjectRemoval
from services.vector.domain.targets import Targets
from services.vector.domain.vectors import Vectors
from services.vector.ports import VectorEngine
from services.vector.servicers.index import IndexServicer
from services.vector.servicers.migration import MigrationServicer
from services.vector.servicers.point import PointServicer
from services.vector.servicers.provider import ProviderServicer
from services.vector.servicers.rest import PointRestServicer
from services.vector.settings import Settings

_FLUSH_LIMIT = 10.0
_SWEEP_SECONDS = 30.0
_MIB = 1024 * 1024


async def build(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    registrations = await assemble(platform, settings)
    platform.follow_auth()
    return registrations


async def assemble(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    """The service without its ties to auth."""
    store, tasks, lifecycle = platform.store, platform.tasks, platform.lifecycle
    folder = platform.settings.store.data_dir / "vectors"
    await asyncio.to_thread(private_files.mend, folder)
    embedded = EmbeddedEngine(
        folder,
        hosts=settings.hosts,
        open_indexes=settings.open_indexes,
        large_indexes=settings.large_indexes,
    )
    pool: RuntimePool[RuntimeKey, VectorEngine] = RuntimePool(
        settings.engines, settings.engine_idle_seconds, lambda engine: engine.close()
    )
    lease = settings.job_lease_seconds
    limits = JobLimits(
        running=settings.jobs, running_per_tenant=max(1, settings.jobs // 2), lease=lease, heartbeat=lease / 6
    )

    def changed(project: Project) -> None:
        engines.forget(project)
        targets.forget(project)

    def changed_indexes(project: Project) -> None:
        targets.forget(project)

    jobs = Jobs(store, tasks, lifecycle, audit_log=platform.audit, tokens=platform.service_tokens, limits=limits)
    guard = settings.outbound.guard()
    known = drivers(embedded, Reach(guard, settings.max_answer_mb * _MIB))
    providers = Providers(store, settings.sealing.sealer(), known, AddressCheck(guard), changed)
    engines = Engines(providers, embedded, pool)
    indexes = Indexes(store, providers, engines, jobs, changed_indexes)
    targets = Targets(indexes, jobs, seconds=settings.lookup_seconds)
    log = QueryLog(store, tasks, capacity=settings.query_log_buffer, keep_days=settings.query_log_days)
    vectors = Vectors(targets, engines, log)
    migrations = Migrations(jobs, indexes, engines, changed_indexes, settle_seconds=settings.lookup_seconds)

    jobs.handle(KIND, migrations.run, JobAudit("migration.run", "migration"))
    jobs.handle(DROP, indexes.finish_drop, JobAudit("index.drop", "index"))
    platform.removals.handle(jobs, ProjectRemoval(store, providers, indexes, embedded.clear).remove)
    await jobs.start()
    tasks.every("close idle engines", _SWEEP_SECONDS, pool.sweep)
    tasks.every("write query log", FLUSH_SECONDS, log.flush)
    lifecycle.on_stop(Phase.FLUSH, "query log", log.flush, _FLUSH_LIMIT)
    lifecycle.on_stop(Phase.POOLS, "engines", pool.close, 10.0)
    lifecycle.on_stop(Phase.POOLS, "embedded engine", embedded.close, 30.0)
    platform.health.add("vectors", embedded.check)
    return _registrations(
        ProviderServicer(providers, indexes),
        IndexServicer(providers, indexes, vectors, log),
        PointServicer(vectors),
        PointRestServicer(vectors),
        MigrationServicer(migrations),
    )


def _registrations(
    providers: ProviderServicer,
    indexes: IndexServicer,
    points: PointServicer,
    rest: PointRestServicer,
    migrations: MigrationServicer,
) -> Sequence[ServiceRegistration]:
    package = "portico.vector.v1"
    return [
        ServiceRegistration(
            f"{package}.ProviderService", provider_service_pb2_grpc.add_ProviderServiceServicer_to_server, providers
        ),
        ServiceRegistration(
            f"{package}.IndexService", index_service_pb2_grpc.add_IndexServiceServicer_to_server, indexes
        ),
        ServiceRegistration(
            f"{package}.PointService", point_service_pb2_grpc.add_PointServiceServicer_to_server, points
        ),
        ServiceRegistration(
            f"{package}.PointRestService", point_service_pb2_grpc.add_PointRestServiceServicer_to_server, rest
        ),
        ServiceRegistration(
            f"{package}.MigrationService", migration_service_pb2_grpc.add_MigrationServiceServicer_to_server, migrations
        ),
    ]
