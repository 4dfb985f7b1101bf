"""Wires the rag service."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from core import secret_files
from core.app import Platform
from core.http.guard import OutboundGuard
from core.jobs.audit import JobAudit
from core.jobs.identity import ServiceTokens
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.lifecycle import Phase
from core.providers.records import Provider
from core.providers.runtimes import RuntimeKey
from core.rpc.metrics import MetricsServicer
from core.rpc.server import ServiceRegistration
from core.runtime_pool import RuntimePool
from core.tenancy import Project
from portico.rag.v1 import (
    bucket_service_pb2_grpc,
    file_rest_service_pb2_grpc,
    file_service_pb2_grpc,
    metrics_service_pb2_grpc,
    provider_service_pb2_grpc,
)
from services.rag import app_knowledge, app_memory, app_retrieval
from services.rag.adapters import local, s3
from services.rag.adapters.conversion.converter import ProcessConverter
from services.rag.adapters.conversion.sandbox import Limits
from services.rag.adapters.local import LocalStore
from services.rag.app_knowledge import FileParts, Knowledge, Services
from services.rag.app_memory import MemoryParts
from services.rag.app_retrieval import Retrieval
from services.rag.domain.files.buckets import Buckets
from services.rag.domain.files.contents import Contents
from services.rag.domain.files.conversion import KIND, FileConversions
from services.rag.domain.files.files import Files
from services.rag.domain.files.markdown import MarkdownFiles
from services.rag.domain.files.openai_files import OpenAIFiles
from services.rag.domain.files.orphans import OrphanCollector
from services.rag.domain.files.providers import FileProviders
from services.rag.domain.files.records import FileRecords
from services.rag.domain.files.rules import Rules
from services.rag.domain.files.stores import Stores
from services.rag.domain.files.uploads import UploadDeps
from services.rag.domain.metrics import RagMetrics
from services.rag.domain.project_removal import ProjectRemoval
from services.rag.ports import Converter, FileStore
from services.rag.servicers.arrivals import Pace
from services.rag.servicers.bucket import BucketServicer
from services.rag.servicers.file import FileRestServicer, FileServicer
from services.rag.servicers.openai import OpenAIFileServicer
from services.rag.servicers.provider import FileProviderServicer
from services.rag.servicers.uploads import UploadReader
from services.rag.settings import ConversionSettings, Settings

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Domain:
    """The parts of the domain, assembled."""

    folder: FileStore
    pool: RuntimePool[RuntimeKey, FileStore]
    jobs: Jobs
    providers: FileProviders
    records: FileRecords
    buckets: Buckets
    orphan_collector: OrphanCollector
    conversions: FileConversions
    files: Files
    openai: OpenAIFiles
    rules: Rules
    knowledge: Knowledge
    retrieval: Retrieval
    memory: MemoryParts

    async def count_users(self, project: Project, provider: Provider) -> int:
        """The buckets and upload intents of a provider: their objects could not be removed without it."""
        return await self.buckets.count_in(project, provider) + await self.orphan_collector.count(project, provider.id)


async def build(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    registrations = await serve(platform, settings)
    platform.follow_auth()
    return registrations


async def serve(
    platform: Platform,
    settings: Settings,
    *,
    services: Services | None = None,
    tokens: ServiceTokens | None = None,
    limits: JobLimits | None = None,
) -> Sequence[ServiceRegistration]:
    """The service without its ties to auth. What is given takes the place of Portico's other services, of auth's tokens
    for background jobs, and of the limits of the jobs of knowledge modules."""
    domain = await assemble(platform, settings, services=services, tokens=tokens, limits=limits)
    await _start(platform, settings, domain)
    pace = Pace(settings.min_rate, settings.idle_seconds)
    scratch = platform.settings.store.data_dir / "uploads"
    return [
        *_registrations(domain, UploadReader(domain.rules, scratch, pace)),
        app_knowledge.registration(domain.knowledge, domain.files, scratch, pace),
        *app_retrieval.registrations(domain.knowledge, domain.retrieval),
        app_memory.registration(domain.memory),
        _metrics(platform),
    ]


async def assemble(
    platform: Platform,
    settings: Settings,
    *,
    guard: OutboundGuard | None = None,
    folder: FileStore | None = None,
    jobs: Jobs | None = None,
    converter: Converter | None = None,
    max_converted_bytes: int | None = None,
    services: Services | None = None,
    tokens: ServiceTokens | None = None,
    limits: JobLimits | None = None,
) -> Domain:
    """The domain on the platform's store. Nothing works in the background yet. A part that is given takes the place of
    the one that the settings ask for."""
    store = platform.store
    guard = guard or settings.outbound.guard()
    folder = folder or await _folder(platform, settings)
    jobs = jobs or _jobs(platform, settings.conversion)
    services = services or app_knowledge.connect(platform, settings.services)
    pool: RuntimePool[RuntimeKey, FileStore] = RuntimePool(
        settings.stores, settings.store_idle_seconds, lambda store: store.close()
    )
    drivers = {each.id: each for each in (local.driver(folder), s3.driver(guard))}
    providers = FileProviders(store, settings.sealing.sealer(), drivers, guard)
    providers.changes.share(platform.shared.fanout, "file-providers")
    file_records = FileRecords(store)
    buckets = Buckets(store, providers)
    stores = Stores(providers, folder, pool)
    orphan_collector = OrphanCollector(store, file_records, providers, stores, grace=settings.grace_seconds)
    contents = Contents(buckets, providers, stores)
    conversions = FileConversions(
        jobs,
        file_records,
        contents,
        MarkdownFiles(file_records, buckets, providers, stores, orphan_collector),
        (converter := converter or _converter(platform, settings.conversion)),
        max_bytes=max_converted_bytes or settings.conversion.max_mb * _MIB,
    )
    rules = Rules(settings.max_mb * _MIB, settings.allowed_types)
    deps = UploadDeps(file_records, buckets, stores, orphan_collector, conversions, rules, platform.tasks)
    files = Files(deps, buckets, providers, contents)

    audit = JobAudit("file.conversion", "file", batched=True, resource="path")
    jobs.handle(KIND, conversions.run, audit, on_end=conversions.ended)
    orphan_collector.handle_kept(conversions.resume)
    knowledge = app_knowledge.assemble(
        platform,
        settings,
        services,
        FileParts(file_records, buckets, contents, files, converter),
        tokens=tokens,
        limits=limits,
    )
    openai = OpenAIFiles(files, file_records, buckets)
    retrieval = app_retrieval.assemble(platform, settings.retrieval, services, knowledge, openai)
    memory = app_memory.assemble(store, knowledge.jobs, services, settings.memory)

    async def remove_knowledge(project: Project) -> bool:
        return await knowledge.remove(platform, project)

    removal = ProjectRemoval(
        store, providers, stores, orphan_collector, [remove_knowledge, retrieval.remove, memory.remove]
    )
    platform.removals.handle(jobs, removal.remove)
    return Domain(
        folder=folder,
        pool=pool,
        jobs=jobs,
        providers=providers,
        records=file_records,
        buckets=buckets,
        orphan_collector=orphan_collector,
        conversions=conversions,
        files=files,
        openai=openai,
        rules=rules,
        knowledge=knowledge,
        retrieval=retrieval,
        memory=memory,
    )


async def _folder(platform: Platform, settings: Settings) -> LocalStore:
    root = settings.folder or platform.settings.store.data_dir / "files"
    await asyncio.to_thread(secret_files.restrict, root, files=False)  # files were private from the first version on
    return LocalStore(root)


def _jobs(platform: Platform, settings: ConversionSettings) -> Jobs:
    """A tenant that converts much leaves one worker to the others."""
    lease = settings.job_lease_seconds
    limits = JobLimits(
        running=settings.workers,
        running_per_tenant=max(1, settings.workers - 1),
        lease=lease,
        heartbeat=lease / 6,
        poll=min(1.0, lease / 3),
    )
    return Jobs(
        platform.store,
        platform.tasks,
        platform.lifecycle,
        audit_log=platform.audit,
        tokens=platform.service_tokens,
        limits=limits,
        fanout=platform.shared.fanout,
    )


def _converter(platform: Platform, settings: ConversionSettings) -> ProcessConverter:
    limits = Limits(settings.seconds, settings.memory_mb * _MIB, settings.max_output_mb * _MIB)
    return ProcessConverter(platform.settings.store.data_dir / "conversions", limits)


async def _start(platform: Platform, settings: Settings, domain: Domain) -> None:
    tasks, lifecycle = platform.tasks, platform.lifecycle
    await domain.jobs.start()
    await domain.knowledge.jobs.start()
    platform.singletons.every("collect orphans", settings.sweep_seconds, domain.orphan_collector.sweep)
    domain.retrieval.start(platform)
    app_memory.start(platform, settings.memory, domain.memory)
    tasks.every("sweep file providers", settings.store_idle_seconds / 4, domain.pool.sweep)
    lifecycle.on_stop(Phase.POOLS, "file providers", domain.pool.close, 10.0)
    lifecycle.on_stop(Phase.POOLS, "files", domain.folder.close, 5.0)
    platform.health.add("files", domain.folder.check)


def _metrics(platform: Platform) -> ServiceRegistration:
    return ServiceRegistration(
        "portico.rag.v1.MetricsService",
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server,
        MetricsServicer(RagMetrics(platform.store).collect),
    )


def _registrations(domain: Domain, uploads: UploadReader) -> Sequence[ServiceRegistration]:
    package = "portico.rag.v1"
    return [
        ServiceRegistration(
            f"{package}.FileProviderService",
            provider_service_pb2_grpc.add_FileProviderServiceServicer_to_server,
            FileProviderServicer(domain.providers, domain.count_users, domain.rules),
        ),
        ServiceRegistration(
            f"{package}.BucketService",
            bucket_service_pb2_grpc.add_BucketServiceServicer_to_server,
            BucketServicer(domain.buckets, domain.records),
        ),
        ServiceRegistration(
            f"{package}.FileService",
            file_service_pb2_grpc.add_FileServiceServicer_to_server,
            FileServicer(domain.files, uploads),
        ),
        ServiceRegistration(
            f"{package}.FileRestService",
            file_rest_service_pb2_grpc.add_FileRestServiceServicer_to_server,
            FileRestServicer(domain.files),
        ),
        ServiceRegistration(
            f"{package}.OpenAIFileService",
            file_service_pb2_grpc.add_OpenAIFileServiceServicer_to_server,
            OpenAIFileServicer(domain.openai, uploads),
        ),
    ]
