"""The number of models that there may be."""

from contextlib import AbstractAsyncContextManager

from core.quotas.rules import Dimension
from core.quotas.totals import TotalQuotas
from core.storage.ports import DocumentStore
from core.tenancy import AllProjects, Project
from services.inference.domain.tables import MODELS


class ModelRoom:
    """Holds room for models, dynamic ones included."""

    def __init__(self, store: DocumentStore, totals: TotalQuotas) -> None:
        self._store = store
        self._totals = totals

    def one_more(self, project: Project) -> AbstractAsyncContextManager[None]:
        """Hold room for one more model. Raises BudgetExceeded."""

        async def count(project_id: str) -> int:
            scope = Project(project.tenant, project_id) if project_id else AllProjects(project.tenant)
            return await self._store.count(scope, MODELS)

        return self._totals.room(project, Dimension.MODELS, count, domain="llm")
