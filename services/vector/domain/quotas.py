"""Quotas of vectors: what a call uses, and how many indexes and vectors there may be."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from core.quotas.calls import CallQuotas
from core.quotas.rules import Amounts, Dimension
from core.quotas.totals import TotalQuotas
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.table import Table
from core.tenancy import AllProjects, Project
from services.vector.domain.engines import Engines
from services.vector.domain.index_resolver import ResolvedIndex
from services.vector.domain.indexes import ACTIVE, CREATING, Index
from services.vector.domain.points import Point
from services.vector.domain.providers import VectorProviders
from services.vector.domain.tables import INDEXES
from services.vector.ports import VectorEngine

DOMAIN = "vector"
_FETCHED = 500
"""Points that are looked up at once."""


class VectorQuotas:
    """Reserves for calls, and holds room for what they make. What there is, the engines count: a point that is written
    again is one point."""

    def __init__(
        self,
        store: DocumentStore,
        providers: VectorProviders,
        engines: Engines,
        calls: CallQuotas,
        totals: TotalQuotas,
    ) -> None:
        self._store = store
        self._indexes = Table(store, INDEXES, Index)
        self._providers = providers
        self._engines = engines
        self._calls = calls
        self._totals = totals

    async def use(self, resolved: ResolvedIndex, amounts: Amounts, fields: Mapping[Dimension, str]) -> None:
        """Reserve amounts for a call on an index. Raises InvalidInput, RateLimited."""
        await self._calls.use(
            DOMAIN, amounts, resource=resolved.index.key, provider=resolved.index.provider_key, fields=fields
        )

    async def use_dimension(self, provider_key: str, dimension: int) -> None:
        """Check the dimension of a new index. Raises InvalidInput."""
        fields = {Dimension.DIMENSIONS: "dimension"}
        await self._calls.use(DOMAIN, {Dimension.DIMENSIONS: dimension}, provider=provider_key, fields=fields)

    def room_for_index(self, project: Project) -> AbstractAsyncContextManager[None]:
        """Hold room for one more index. Raises BudgetExceeded."""

        async def count(project_id: str) -> int:
            scope = Project(project.tenant, project_id) if project_id else AllProjects(project.tenant)
            return await self._indexes.count(scope, {"status": Cond(Op.IN, [CREATING, ACTIVE])})

        return self._totals.room(project, Dimension.INDEXES, count, domain=DOMAIN)

    def room_for_points(
        self, resolved: ResolvedIndex, engine: VectorEngine, points: Sequence[Point]
    ) -> AbstractAsyncContextManager[None]:
        """Hold room for points, of which some may be there. Raises BudgetExceeded."""
        project, ids = resolved.location.scope, list({point.id for point in points})

        async def new() -> int:
            known = 0
            for start in range(0, len(ids), _FETCHED):
                known += len(await engine.fetch(resolved.location, ids[start : start + _FETCHED]))
            return len(ids) - known

        return self._totals.room(
            project,
            Dimension.VECTORS,
            lambda project_id: self._count_points(project, project_id),
            domain=DOMAIN,
            adding=len(ids),
            really_adding=new,
        )

    async def _count_points(self, project: Project, project_id: str) -> int:
        """Count the points of all indexes of a project, or of the tenant."""
        ids = [project_id] if project_id else await self._projects_of(project)
        return sum([await self._count_in(Project(project.tenant, id)) for id in ids])

    async def _projects_of(self, project: Project) -> list[str]:
        rows = await self._store.totals(
            AllProjects(project.tenant), INDEXES, {"status": ACTIVE}, group_by=["project"], sums=[]
        )
        return [row["project"] for row in rows]

    async def _count_in(self, project: Project) -> int:
        count = 0
        async for index in self._indexes.scan(project, {"status": ACTIVE}):
            provider = await self._providers.get(project, index.provider_key)
            with await self._engines.use(project, provider, even_disabled=True) as engine:
                count += await engine.count(index.location(project))
        return count
