"""Remove a deleted project's models and providers, with their sealed credentials. Usage records stay: the tenant is
billed by them."""

from core.storage.ports import DocumentStore
from core.tenancy import Project
from services.inference.domain.catalogue.providers import ModelProviders
from services.inference.domain.tables import MODELS


class ProjectRemoval:
    def __init__(self, store: DocumentStore, providers: ModelProviders) -> None:
        self._store = store
        self._providers = providers

    async def remove(self, project: Project, last: bool) -> bool:
        """See core.project_removal.Remove."""
        await self._store.delete_where(project, MODELS, {})
        await self._providers.delete_all(project)
        return True
