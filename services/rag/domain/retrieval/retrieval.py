"""The parts of retrieval, assembled."""

from dataclasses import dataclass

from core.storage.ports import DocumentStore
from core.tasks import Tasks
from core.tenancy import Project
from services.rag.domain.knowledge.modules import Modules
from services.rag.domain.retrieval.answers import Answers
from services.rag.domain.retrieval.hydration import Hydration
from services.rag.domain.retrieval.query_log import QueryLog
from services.rag.domain.retrieval.retriever import Retriever, Services
from services.rag.domain.retrieval.tables import QUERIES


@dataclass(frozen=True, slots=True)
class RetrievalParts:
    retriever: Retriever
    answers: Answers
    log: QueryLog
    store: DocumentStore

    async def remove(self, project: Project) -> None:
        """Remove what a deleted project has here."""
        await self.store.delete_where(project, QUERIES, {})


def assemble(
    store: DocumentStore, tasks: Tasks, modules: Modules, services: Services, *, log_capacity: int, log_days: float
) -> RetrievalParts:
    log = QueryLog(store, tasks, capacity=log_capacity, keep_days=log_days)
    retriever = Retriever(modules, Hydration(store), services, log)
    return RetrievalParts(retriever, Answers(retriever, services.chat), log, store)
