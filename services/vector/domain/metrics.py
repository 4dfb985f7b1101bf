"""Metrics of a project's vectors."""

from collections.abc import Iterable

from prometheus_client.core import Metric

from core.project_metrics import documents
from core.storage.ports import DocumentStore
from core.tenancy import Project
from services.vector.domain.tables import INDEXES, PROVIDERS, QUERY_LOGS


class VectorMetrics:
    """Reads the metrics of a project."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def collect(self, project: Project) -> Iterable[Metric]:
        """All families."""
        store, provider = self._store, {"provider": "providerKey"}
        return [
            await documents(store, project, PROVIDERS, "portico_vector_providers", "Vector providers."),
            await documents(store, project, INDEXES, "portico_vector_indexes", "Vector indexes.", provider),
            await documents(store, project, QUERY_LOGS, "portico_vector_queries_logged", "Queries in the log."),
        ]
