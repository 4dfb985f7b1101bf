"""Remove a deleted project's buckets, files and their contents, wherever they lie, its providers with their sealed
credentials, and what the other parts of the service keep of it."""

from collections.abc import Awaitable, Callable, Sequence

from core import logs
from core.errors import PorticoError
from core.providers.records import Provider
from core.storage.ports import DocumentStore
from core.tenancy import Project
from services.rag.domain.files.orphans import OrphanCollector
from services.rag.domain.files.providers import FileProviders
from services.rag.domain.files.stores import Stores
from services.rag.domain.files.tables import BUCKETS, FILES

log = logs.get(__name__)


class ProjectRemoval:
    """Records of buckets and files go first: an upload that is under way finds its bucket gone when it ends, and takes
    its content back. It needs the provider for that, so a provider stays while intents of such uploads do.

    `others` remove what other parts keep, and say whether it is all gone; each may be called again."""

    def __init__(
        self,
        store: DocumentStore,
        providers: FileProviders,
        stores: Stores,
        orphan_collector: OrphanCollector,
        others: Sequence[Callable[[Project], Awaitable[bool]]],
    ) -> None:
        self._store = store
        self._providers = providers
        self._stores = stores
        self._orphan_collector = orphan_collector
        self._others = others

    async def remove(self, project: Project, last: bool) -> bool:
        """See core.project_removal.Remove."""
        gone = [await remove(project) for remove in self._others]
        await self._store.delete_where(project, BUCKETS, {})
        await self._store.delete_where(project, FILES, {})
        cleared = [await self._clear(project, provider, last) async for provider in self._providers.every(project)]
        if not last and (not all(gone) or not all(cleared) or await self._orphan_collector.count(project)):
            return False
        await self._providers.delete_all(project)
        return True

    async def _clear(self, project: Project, provider: Provider, last: bool) -> bool:
        try:
            with await self._stores.use(project, provider) as store:
                await store.clear(project)
        except PorticoError as error:
            told = log.error if last else log.warning
            told(
                "files of a deleted project are left at its provider",
                tenant=project.tenant.slug,
                project=project.id,
                provider=provider.key,
                reason=error.reason,
                tried_again=not last,
            )
            return False
        return True
