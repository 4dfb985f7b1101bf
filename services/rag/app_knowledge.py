"""Wires knowledge modules: the part of the rag service that stands on files and on Portico's other services."""

from dataclasses import dataclass
from pathlib import Path

from core.app import Platform
from core.jobs.audit import JobAudit
from core.jobs.identity import ServiceTokens
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.lifecycle import Phase
from core.rpc.client import ServiceClient
from core.rpc.server import ServiceRegistration
from core.tenancy import Project
from portico.rag.v1 import knowledge_service_pb2_grpc
from services.rag.adapters.services.inference import InferenceClient
from services.rag.adapters.services.models import ModelClient
from services.rag.adapters.services.rerank import RerankClient
from services.rag.adapters.services.vector import VectorClient
from services.rag.domain.files.buckets import Buckets
from services.rag.domain.files.contents import Contents
from services.rag.domain.files.files import Files
from services.rag.domain.files.records import FileRecords
from services.rag.domain.files.rules import Rules
from services.rag.domain.knowledge import documents, modules, reindexing
from services.rag.domain.knowledge.chunks import Chunks
from services.rag.domain.knowledge.document_jobs import DocumentJobs, DocumentTexts
from services.rag.domain.knowledge.documents import Documents
from services.rag.domain.knowledge.headers import HeaderWriter
from services.rag.domain.knowledge.indexing import Indexer
from services.rag.domain.knowledge.modules import Modules
from services.rag.domain.knowledge.reindexing import Reindexes, ReindexJobs
from services.rag.domain.knowledge.removal import ModuleRemoval, remove_all
from services.rag.domain.knowledge.texts import Texts
from services.rag.ports import ChatModel, Converter, Embedder, Models, Reranker, Vectors
from services.rag.servicers.arrivals import Pace
from services.rag.servicers.ingestion import IngestionReader
from services.rag.servicers.knowledge import KnowledgeServicer
from services.rag.settings import KnowledgeSettings, ServiceSettings, Settings

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Services:
    """Portico's other services as rag uses them. Calls are made on behalf of the present request or job."""

    embedder: Embedder
    chat: ChatModel
    vectors: Vectors
    reranker: Reranker
    models: Models


@dataclass(frozen=True, slots=True)
class FileParts:
    """The parts of files that knowledge modules use."""

    records: FileRecords
    buckets: Buckets
    contents: Contents
    files: Files
    converter: Converter


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The parts of knowledge modules, assembled."""

    jobs: Jobs
    modules: Modules
    documents: Documents
    texts: Texts
    chunks: Chunks
    reindexes: Reindexes
    rules: Rules

    async def remove(self, platform: Platform, project: Project) -> bool:
        """Remove what a deleted project has; return whether all is gone."""
        return await remove_all(platform.store, self.jobs, project)


def connect(platform: Platform, settings: ServiceSettings) -> Services:
    inference = ServiceClient("inference", settings.inference_address)
    vector = ServiceClient("vector", settings.vector_address)
    for client in (inference, vector):
        platform.lifecycle.on_stop(Phase.POOLS, "channel to another service", client.close, 5.0)
    models = InferenceClient(inference)
    return Services(
        embedder=models,
        chat=models,
        vectors=VectorClient(vector),
        reranker=RerankClient(inference),
        models=ModelClient(inference),
    )


def assemble(
    platform: Platform,
    settings: Settings,
    services: Services,
    parts: FileParts,
    *,
    tokens: ServiceTokens | None = None,
    limits: JobLimits | None = None,
) -> Knowledge:
    """The parts on the platform's store. Nothing works in the background yet."""
    store = platform.store
    jobs = Jobs(
        store,
        platform.tasks,
        platform.lifecycle,
        audit_log=platform.audit,
        tokens=tokens or platform.service_tokens,
        limits=limits or _limits(settings.knowledge),
        fanout=platform.shared.fanout,
    )
    texts, chunks = Texts(store), Chunks(store)
    all_modules = Modules(store, jobs, parts.buckets, services.embedder, services.vectors)
    all_documents = Documents(store, jobs, all_modules, texts)
    indexer = Indexer(
        chunks,
        services.embedder,
        HeaderWriter(services.chat),
        services.vectors,
        in_flight=settings.knowledge.embeddings,
    )
    converting = settings.conversion
    document_texts = DocumentTexts(
        parts.records,
        parts.buckets,
        parts.contents,
        parts.converter,
        texts,
        max_bytes=converting.max_mb * _MIB,
        max_text=converting.max_output_mb * _MIB,
        conversions=converting.workers,
    )
    of_documents = DocumentJobs(
        store, jobs, all_modules, texts, chunks, document_texts, indexer, services.vectors, parts.files
    )
    of_reindexes = ReindexJobs(store, jobs, all_modules, texts, chunks, indexer, services.vectors)
    removal = ModuleRemoval(store, jobs, of_documents, texts, chunks, services.vectors)

    ingestion = JobAudit("rag_document.index", "rag_document", batched=True)
    jobs.handle(documents.KIND, of_documents.run, ingestion, on_end=of_documents.ended, scopes=documents.SCOPES)
    change = JobAudit("rag_module.reindexed", "rag_module")
    jobs.handle(reindexing.KIND, of_reindexes.run, change, on_end=of_reindexes.ended, scopes=documents.SCOPES)
    jobs.handle(reindexing.CLEANUP, of_reindexes.clean_up, None, scopes=documents.SCOPES)
    jobs.handle(modules.REMOVAL, removal.run, None, scopes=documents.SCOPES)
    return Knowledge(
        jobs=jobs,
        modules=all_modules,
        documents=all_documents,
        texts=texts,
        chunks=chunks,
        reindexes=Reindexes(store, jobs, all_modules),
        rules=Rules(converting.max_mb * _MIB),
    )


def registration(knowledge: Knowledge, files: Files, scratch: Path, pace: Pace) -> ServiceRegistration:
    reader = IngestionReader(files, knowledge.documents, knowledge.rules, scratch, pace)
    return ServiceRegistration(
        "portico.rag.v1.KnowledgeService",
        knowledge_service_pb2_grpc.add_KnowledgeServiceServicer_to_server,
        KnowledgeServicer(knowledge.modules, knowledge.documents, knowledge.chunks, knowledge.reindexes, reader),
    )


def _limits(settings: KnowledgeSettings) -> JobLimits:
    """A tenant that ingests much leaves some workers to the others."""
    lease = settings.job_lease_seconds
    return JobLimits(
        running=settings.workers,
        running_per_tenant=max(1, settings.workers * 3 // 4),
        lease=lease,
        heartbeat=lease / 6,
        poll=min(1.0, lease / 3),
    )
