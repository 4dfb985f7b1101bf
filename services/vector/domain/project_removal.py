"""Remove a deleted project's indexes with their vectors, wherever they lie, its query log, and its providers with
their sealed credentials."""

from collections.abc import Awaitable, Callable

from core import logs
from core.errors import PorticoError
from core.providers.records import Provider
from core.storage.ports import DocumentStore
from core.storage.table import Table
from core.tenancy import Project
from services.vector.domain.indexes import Index, Indexes
from services.vector.domain.providers import VectorProviders
from services.vector.domain.tables import INDEXES, QUERY_LOGS

log = logs.get(__name__)


class ProjectRemoval:
    """`clear` removes what the embedded engine may have of the project beside its indexes' records."""

    def __init__(
        self,
        store: DocumentStore,
        providers: VectorProviders,
        indexes: Indexes,
        clear: Callable[[Project], Awaitable[None]],
    ) -> None:
        self._store = store
        self._table = Table(store, INDEXES, Index)
        self._providers = providers
        self._indexes = indexes
        self._clear = clear

    async def remove(self, project: Project, last: bool) -> bool:
        """See core.project_removal.Remove."""
        providers = {provider.key: provider async for provider in self._providers.every(project)}
        gone = True
        async for index in self._table.scan(project):
            provider = providers.get(index.provider_key)
            gone = (provider is None or await self._drop(project, provider, index, last)) and gone
        await self._clear(project)
        await self._store.delete_where(project, QUERY_LOGS, {})
        if not gone and not last:
            return False
        await self._table.delete_where(project, {})
        await self._providers.delete_all(project)
        return True

    async def _drop(self, project: Project, provider: Provider, index: Index, last: bool) -> bool:
        try:
            await self._indexes.drop(project, provider, index)
        except PorticoError as error:
            told = log.error if last else log.warning
            told(
                "vectors of a deleted project are left at their provider",
                tenant=project.tenant.slug,
                project=project.id,
                provider=provider.key,
                index=index.id,
                reason=error.reason,
                tried_again=not last,
            )
            return False
        return True
