"""Quotas of files: what an upload uses, and how many buckets, files and bytes there may be."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from core.quotas.calls import CallQuotas
from core.quotas.rules import Dimension
from core.quotas.totals import TotalQuotas
from core.storage.ports import Collection, DocumentStore
from core.tenancy import AllProjects, Project, Tenant
from services.rag.domain.files.tables import BUCKETS, FILES

DOMAIN = "file"
_FIELDS = {Dimension.STORAGE: "file", Dimension.FILES: "file"}


class FileQuotas:
    """Reserves for calls, and holds room for what they make."""

    def __init__(self, store: DocumentStore, calls: CallQuotas, totals: TotalQuotas) -> None:
        self._store = store
        self._calls = calls
        self._totals = totals

    async def use(self, bucket_key: str, provider_key: str, size: int) -> None:
        """Reserve for an upload of so many bytes. Raises InvalidInput, RateLimited."""
        amounts = {Dimension.FILES: 1, Dimension.STORAGE: size}
        await self._calls.use(DOMAIN, amounts, resource=bucket_key, provider=provider_key, fields=_FIELDS)

    def room_for_bucket(self, project: Project) -> AbstractAsyncContextManager[None]:
        """Hold room for one more bucket. Raises BudgetExceeded."""
        return self._totals.room(project, Dimension.BUCKETS, self._counting(project.tenant, BUCKETS), domain=DOMAIN)

    @asynccontextmanager
    async def room_for_file(
        self, project: Project, size: int, replaced: Callable[[], Awaitable[int | None]]
    ) -> AsyncIterator[None]:
        """Hold room for a file of so many bytes. `replaced` gives the size of the one that it replaces; None: it
        replaces none. Raises BudgetExceeded."""
        tenant = project.tenant

        async def new_files() -> int:
            return int(await replaced() is None)

        async def new_bytes() -> int:
            return size - (await replaced() or 0)

        async with (
            self._totals.room(
                project, Dimension.FILES, self._counting(tenant, FILES), domain=DOMAIN, really_adding=new_files
            ),
            self._totals.room(
                project,
                Dimension.STORAGE,
                lambda project_id: self._bytes(tenant, project_id),
                domain=DOMAIN,
                adding=size,
                really_adding=new_bytes,
            ),
        ):
            yield

    def _counting(self, tenant: Tenant, collection: Collection) -> Callable[[str], Awaitable[int]]:
        return lambda project_id: self._store.count(_scope(tenant, project_id), collection)

    async def _bytes(self, tenant: Tenant, project_id: str) -> int:
        rows = await self._store.totals(_scope(tenant, project_id), FILES, {}, group_by=[], sums=["size"])
        return sum(int(row["size"] or 0) for row in rows)


def _scope(tenant: Tenant, project_id: str) -> Project | AllProjects:
    return Project(tenant, project_id) if project_id else AllProjects(tenant)
