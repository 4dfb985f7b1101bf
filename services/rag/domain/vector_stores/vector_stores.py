"""The parts of vector stores, assembled."""

from dataclasses import dataclass

from core.jobs.audit import JobAudit
from core.jobs.jobs import Jobs
from core.storage.ports import DocumentStore
from services.rag.domain.files.openai_files import OpenAIFiles
from services.rag.domain.knowledge.documents import Documents
from services.rag.domain.knowledge.modules import Modules
from services.rag.domain.retrieval.retriever import Retriever
from services.rag.domain.vector_stores import expiry
from services.rag.domain.vector_stores.expiry import Expiry
from services.rag.domain.vector_stores.files import StoreFiles
from services.rag.domain.vector_stores.search import StoreSearch
from services.rag.domain.vector_stores.stores import Stores
from services.rag.ports import ChatModel, Models


@dataclass(frozen=True, slots=True)
class VectorStoreParts:
    stores: Stores
    files: StoreFiles
    search: StoreSearch


def assemble(
    store: DocumentStore,
    jobs: Jobs,
    modules: Modules,
    documents: Documents,
    files: OpenAIFiles,
    retriever: Retriever,
    models: Models,
    chat: ChatModel,
    *,
    embedding_model: str,
    rewrite_model: str,
) -> VectorStoreParts:
    """The parts, with the handler of their jobs registered."""
    ends = Expiry(store, jobs, documents)
    audit = JobAudit("vector_store.expire", "vector_store")
    jobs.handle(expiry.KIND, ends.run, audit, scopes=expiry.SCOPES)
    stores = Stores(store, modules, models, ends, embedding_model=embedding_model)
    store_files = StoreFiles(store, stores, documents, files)
    return VectorStoreParts(stores, store_files, StoreSearch(stores, retriever, chat, rewrite_model=rewrite_model))
