"""Wires the rag service."""

import asyncio
from collections.abc import Sequence

from core import private_files
from core.app import Platform
from core.jobs.audit import JobAudit
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.lifecycle import Phase
from core.providers.records import Provider
from core.providers.runtimes import RuntimeKey
from core.rpc.server import ServiceRegistration
from core.runtime_pool import RuntimePool
from core.tenancy import Project
from portico.rag.v1 import (
    bucket_service_pb2_grpc,
    file_rest_service_pb2_grpc,
    file_service_pb2_grpc,
    provider_service_pb2_grpc,
)
from services.rag.adapters import local, s3
from services.rag.adapters.conversion.converter import ProcessConverter
from services.rag.adapters.conversion.limits import Limits
from services.rag.adapters.local import LocalStore
from services.rag.domain import records
from services.rag.domain.buckets import Buckets
from services.rag.domain.contents import Contents
from services.rag.domain.conversion import KIND, FileConversions
from services.rag.domain.files import Files
from services.rag.domain.leftovers import Leftovers
from services.rag.domain.markdown import MarkdownFiles
from services.rag.domain.openai_files import OpenAIFiles
from services.rag.domain.providers import Providers
from services.rag.domain.records import File, FileRecords
from services.rag.domain.removal import ProjectRemoval
from services.rag.domain.rules import Rules
from services.rag.domain.stores import Stores
from services.rag.domain.uploads import Parts
from services.rag.ports import FileStore
from services.rag.servicers.arrivals import Pace
from services.rag.servicers.bucket import BucketServicer
from services.rag.servicers.file import FileRestServicer, FileServicer
from services.rag.servicers.openai import OpenAIFileServicer
from services.rag.servicers.provider import FileProviderServicer
from services.rag.servicers.uploads import UploadReader
from services.rag.settings import ConversionSettings, Settings

_MIB = 1024 * 1024


async def build(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    registrations = await assemble(platform, settings)
    platform.follow_auth()
    return registrations


async def assemble(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    """The service without its ties to auth."""
    store, tasks, lifecycle = platform.store, platform.tasks, platform.lifecycle
    root = settings.folder or platform.settings.store.data_dir / "files"
    await asyncio.to_thread(private_files.mend, root, files=False)  # which have been private from the first version on
    folder = LocalStore(root)
    drivers = {each.id: each for each in (local.driver(folder), s3.driver(settings.outbound.guard()))}
    pool: RuntimePool[RuntimeKey, FileStore] = RuntimePool(
        settings.stores, settings.store_idle_seconds, lambda store: store.close()
    )

    async def begin_conversion(project: Project, file: File) -> None:
        """Of a file whose upload was cut off between its record and this."""
        if file.markdown.status == records.PENDING:
            await conversions.request(project, file)

    async def count_users(project: Project, provider: Provider) -> int:
        """Buckets, and notes: what they are about could not be removed without the provider."""
        return await buckets.count_in(project, provider) + await leftovers.count(project, provider.id)

    file_records = FileRecords(store)
    providers = Providers(store, settings.sealing.sealer(), drivers, lambda project: stores.forget(project))
    buckets = Buckets(store, providers)
    stores = Stores(providers, folder, pool)
    leftovers = Leftovers(store, file_records, providers, stores, grace=settings.grace_seconds, kept=begin_conversion)
    contents = Contents(buckets, providers, stores)
    jobs = _jobs(platform, settings.conversion)
    conversions = FileConversions(
        jobs,
        file_records,
        contents,
        MarkdownFiles(file_records, buckets, providers, stores, leftovers),
        _converter(platform, settings.conversion),
        max_bytes=settings.conversion.max_mb * _MIB,
    )
    rules = Rules(settings.max_mb * _MIB, settings.allowed_types)
    parts = Parts(file_records, buckets, stores, leftovers, conversions, rules, tasks)
    files = Files(parts, buckets, providers, contents)
    openai = OpenAIFiles(files, file_records, buckets)
    uploads = UploadReader(
        rules, platform.settings.store.data_dir / "uploads", Pace(settings.min_rate, settings.idle_seconds)
    )

    audit = JobAudit("file.conversion", "file", batched=True, resource="path")
    jobs.handle(KIND, conversions.run, audit, on_end=conversions.ended)
    platform.removals.handle(jobs, ProjectRemoval(store, providers, stores, leftovers).remove)
    await jobs.start()
    tasks.every("sweep leftovers", settings.sweep_seconds, leftovers.sweep)
    tasks.every("sweep file providers", settings.store_idle_seconds / 4, pool.sweep)
    lifecycle.on_stop(Phase.POOLS, "file providers", pool.close, 10.0)
    lifecycle.on_stop(Phase.POOLS, "files", folder.close, 5.0)
    platform.health.add("files", folder.check)
    return _registrations(
        FileProviderServicer(providers, count_users),
        BucketServicer(buckets, file_records),
        FileServicer(files, uploads),
        FileRestServicer(files),
        OpenAIFileServicer(openai, uploads),
    )


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
    )


def _converter(platform: Platform, settings: ConversionSettings) -> ProcessConverter:
    limits = Limits(settings.seconds, settings.memory_mb * _MIB, settings.max_output_mb * _MIB)
    return ProcessConverter(platform.settings.store.data_dir / "conversions", limits)


def _registrations(
    providers: FileProviderServicer,
    buckets: BucketServicer,
    files: FileServicer,
    records: FileRestServicer,
    openai: OpenAIFileServicer,
) -> Sequence[ServiceRegistration]:
    package = "portico.rag.v1"
    return [
        ServiceRegistration(
            f"{package}.FileProviderService",
            provider_service_pb2_grpc.add_FileProviderServiceServicer_to_server,
            providers,
        ),
        ServiceRegistration(
            f"{package}.BucketService", bucket_service_pb2_grpc.add_BucketServiceServicer_to_server, buckets
        ),
        ServiceRegistration(f"{package}.FileService", file_service_pb2_grpc.add_FileServiceServicer_to_server, files),
        ServiceRegistration(
            f"{package}.FileRestService", file_rest_service_pb2_grpc.add_FileRestServiceServicer_to_server, records
        ),
        ServiceRegistration(
            f"{package}.OpenAIFileService", file_service_pb2_grpc.add_OpenAIFileServiceServicer_to_server, openai
        ),
    ]
