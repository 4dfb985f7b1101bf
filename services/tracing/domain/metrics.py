"""Metrics of a project's inference servers and alerts."""

from collections.abc import Iterable

from prometheus_client.core import Metric

from core.project_metrics import documents
from core.storage.ports import DocumentStore
from core.tenancy import Project
from services.tracing.domain.alerts.records import INCIDENTS, RULES
from services.tracing.domain.monitoring.records import SERVERS

_STATUS = {"status": "status"}


class TracingMetrics:
    """Reads the metrics of a project."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def collect(self, project: Project) -> Iterable[Metric]:
        """All families."""
        store = self._store
        return [
            await documents(store, project, SERVERS, "portico_inference_servers", "Inference servers.", _STATUS),
            await documents(store, project, RULES, "portico_alert_rules", "Alert rules.", {"enabled": "enabled"}),
            await documents(store, project, INCIDENTS, "portico_alert_incidents", "Incidents that are kept.", _STATUS),
        ]
