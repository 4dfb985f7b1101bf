"""The file providers of a project: where its buckets lie."""

from collections.abc import Mapping

from core.providers import providers
from core.providers.providers import HostGuard
from core.providers.records import NewProvider, Provider
from core.sealing import Sealer
from core.storage.ports import DocumentStore
from core.tenancy import Project
from services.rag.domain.files.tables import PROVIDERS
from services.rag.ports import FileDriver, FileStore

LOCAL = "local"
_USERS = "buckets, and files that are still being removed"
_DEFAULT = NewProvider(LOCAL, "Local folder", description="On this service's own disk. Every project has it.")


class FileProviders(providers.Providers[FileDriver]):
    def __init__(
        self, store: DocumentStore, sealer: Sealer, drivers: Mapping[str, FileDriver], guard: HostGuard
    ) -> None:
        super().__init__(store, PROVIDERS, sealer, drivers, guard, users=_USERS, default=_DEFAULT)

    async def open(self, project: Project, provider: Provider) -> FileStore:
        """A new store on the provider. Raises InvalidInput, SealBroken."""
        driver, credentials, settings = await self.access(project, provider)
        return driver.open(credentials, settings)
