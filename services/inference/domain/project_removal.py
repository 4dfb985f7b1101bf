"""Remove a deleted project's models, prompts and providers, with their sealed credentials. Usage records stay: the
tenant is billed by them."""

from core.storage.ports import DocumentStore
from core.tenancy import Project
from services.inference.domain.catalogue.providers import ModelProviders
from services.inference.domain.prompts import tables as prompt_tables
from services.inference.domain.tables import MODELS


class ProjectRemoval:
    def __init__(self, store: DocumentStore, providers: ModelProviders) -> None:
        self._store = store
        self._providers = providers

    async def remove(self, project: Project, last: bool) -> bool:
        """See core.project_removal.Remove."""
        for collection in (MODELS, *prompt_tables.COLLECTIONS):
            await self._store.delete_where(project, collection, {})
        await self._providers.delete_all(project)
        return True
