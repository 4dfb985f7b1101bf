"""Metrics of a project's tokens."""

from collections.abc import Iterable

from prometheus_client.core import Metric

from core.project_metrics import gauge
from core.storage.table import Table
from core.tenancy import Project
from services.auth.domain.records import ApiToken


class AuthMetrics:
    """Reads the metrics of a project."""

    def __init__(self, tokens: Table[ApiToken]) -> None:
        self._tokens = tokens

    async def collect(self, project: Project) -> Iterable[Metric]:
        """All families."""
        tokens = gauge("portico_api_tokens", "API tokens that have not ended.")
        tokens.add_metric([], await self._tokens.count(project.tenant, {"projectId": project.id}))
        return [tokens]
