"""Wires queries, answers and OpenAI's vector stores, over knowledge modules."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.app import Platform
from core.jobs.audit import JobAudit
from core.lifecycle import Phase
from core.rpc.server import ServiceRegistration
from core.storage.ports import DocumentStore
from core.tenancy import Project
from portico.rag.v1 import retrieval_service_pb2_grpc, vector_store_service_pb2_grpc
from services.rag.app_knowledge import Knowledge, Services
from services.rag.domain.files.openai_files import OpenAIFiles
from services.rag.domain.retrieval.answers import Answers
from services.rag.domain.retrieval.hydration import Hydration
from services.rag.domain.retrieval.query_log import FLUSH_SECONDS, QueryLog
from services.rag.domain.retrieval.retriever import Retriever
from services.rag.domain.retrieval.tables import QUERIES
from services.rag.domain.vector_stores import expiry
from services.rag.domain.vector_stores.expiry import Expiry
from services.rag.domain.vector_stores.files import StoreFiles
from services.rag.domain.vector_stores.search import StoreSearch
from services.rag.domain.vector_stores.stores import VectorStores
from services.rag.servicers.retrieval import RetrievalServicer
from services.rag.servicers.vector_store import VectorStoreServicer
from services.rag.settings import RetrievalSettings


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The parts, assembled."""

    retriever: Retriever
    answers: Answers
    log: QueryLog
    vector_stores: VectorStores
    files: StoreFiles
    search: StoreSearch
    store: DocumentStore

    def start(self, platform: Platform) -> None:
        platform.tasks.every("write queries of modules", FLUSH_SECONDS, self.log.flush)
        platform.lifecycle.on_stop(Phase.FLUSH, "queries of modules", self.log.flush, 5.0)
        platform.tenant_data.settle_by(self.log.flush)

    async def remove(self, project: Project) -> bool:
        """Remove what a deleted project has beside its modules."""
        await self.store.delete_where(project, QUERIES, {})
        return True


def assemble(
    platform: Platform, settings: RetrievalSettings, services: Services, knowledge: Knowledge, openai: OpenAIFiles
) -> Retrieval:
    """The parts on the platform's store, with the handler of their jobs registered."""
    store = platform.store
    log = QueryLog(store, platform.tasks, capacity=settings.log_capacity, keep_days=settings.log_days)
    knowledge.removal.also(log.remove)
    retriever = Retriever(knowledge.modules, Hydration(store), services, log)
    ends = Expiry(store, knowledge.jobs, knowledge.documents)
    audit = JobAudit("vector_store.expire", "vector_store")
    knowledge.jobs.handle(expiry.KIND, ends.run, audit, scopes=expiry.SCOPES)
    stores = VectorStores(store, knowledge.modules, services.models, ends, embedding_model=settings.embedding_model)
    return Retrieval(
        retriever=retriever,
        answers=Answers(retriever, services.chat),
        log=log,
        vector_stores=stores,
        files=StoreFiles(store, stores, knowledge.documents, openai),
        search=StoreSearch(stores, retriever, services.chat, rewrite_model=settings.rewrite_model),
        store=store,
    )


def registrations(knowledge: Knowledge, parts: Retrieval) -> Sequence[ServiceRegistration]:
    return [
        ServiceRegistration(
            "portico.rag.v1.RetrievalService",
            retrieval_service_pb2_grpc.add_RetrievalServiceServicer_to_server,
            RetrievalServicer(knowledge.modules, parts.retriever, parts.answers, parts.log),
        ),
        ServiceRegistration(
            "portico.rag.v1.VectorStoreService",
            vector_store_service_pb2_grpc.add_VectorStoreServiceServicer_to_server,
            VectorStoreServicer(parts.vector_stores, parts.files, parts.search),
        ),
    ]
