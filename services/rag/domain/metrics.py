"""Metrics of a project's files, knowledge modules and memories."""

from collections.abc import Iterable

from prometheus_client.core import Metric

from core.project_metrics import documents
from core.storage.ports import DocumentStore
from core.tenancy import Project
from services.rag.domain.files.tables import BUCKETS, FILES, PROVIDERS
from services.rag.domain.knowledge.tables import DOCUMENTS, MODULES
from services.rag.domain.memory.tables import MEMORIES, MEMORY_STORES


class RagMetrics:
    """Reads the metrics of a project."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def collect(self, project: Project) -> Iterable[Metric]:
        """All families."""
        store = self._store
        return [
            await documents(store, project, PROVIDERS, "portico_file_providers", "File providers."),
            await documents(store, project, BUCKETS, "portico_file_buckets", "File buckets."),
            await documents(store, project, FILES, "portico_files", "Files."),
            await documents(store, project, FILES, "portico_file_bytes", "Bytes of files.", of="size"),
            await documents(store, project, MODULES, "portico_rag_modules", "Knowledge modules.", {"status": "status"}),
            await documents(store, project, DOCUMENTS, "portico_rag_documents", "Documents.", {"status": "status"}),
            await documents(store, project, DOCUMENTS, "portico_rag_chunks", "Chunks of documents.", of="chunkCount"),
            await documents(store, project, MEMORY_STORES, "portico_memory_stores", "Memory stores."),
            await documents(
                store, project, MEMORIES, "portico_memories", "Memories.", by={"scope": "scope", "status": "status"}
            ),
        ]
