"""Remove a deleted project's records, the sealed credentials of providers among them. Usage records stay: the
tenant is billed by them."""

from core.storage.ports import DocumentStore
from core.tenancy import Project
from services.inference.domain.catalogue.providers import ModelProviders
from services.inference.domain.prompts import tables as prompt_tables
from services.inference.domain.tables import EVALUATIONS, GUARDRAILS, MODELS, PII_POLICIES, RERANKERS, WORD_LISTS


class ProjectRemoval:
    def __init__(self, store: DocumentStore, providers: ModelProviders) -> None:
        self._store = store
        self._providers = providers

    async def remove(self, project: Project, last: bool) -> bool:
        """See core.project_removal.Remove."""
        own = (MODELS, GUARDRAILS, WORD_LISTS, PII_POLICIES, EVALUATIONS, RERANKERS)
        for collection in (*own, *prompt_tables.COLLECTIONS):
            await self._store.delete_where(project, collection, {})
        await self._providers.delete_all(project)
        return True
