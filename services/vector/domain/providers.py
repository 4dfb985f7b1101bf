"""The vector providers of a project: which engine, and where."""

import asyncio
from collections.abc import Mapping

from core.providers import providers
from core.providers.providers import HostGuard
from core.providers.records import NewProvider, Provider
from core.sealing import Sealer
from core.storage.ports import DocumentStore
from core.tenancy import Project
from services.vector.domain.tables import PROVIDERS
from services.vector.ports import VectorDriver, VectorEngine

EMBEDDED = "embedded"
_DEFAULT = NewProvider(EMBEDDED, "Embedded", description="On this service's own disk. Every project has it.")


class VectorProviders(providers.Providers[VectorDriver]):
    def __init__(
        self,
        store: DocumentStore,
        sealer: Sealer,
        drivers: Mapping[str, VectorDriver],
        guard: HostGuard,
    ) -> None:
        default = _DEFAULT if EMBEDDED in drivers else None
        super().__init__(store, PROVIDERS, sealer, drivers, guard, users="indexes", default=default)

    async def open(self, project: Project, provider: Provider) -> VectorEngine:
        """A new engine on the provider. Raises InvalidInput, SealBroken."""
        driver, credentials, settings = await self.access(project, provider)
        return await asyncio.to_thread(driver.open, credentials, settings)  # the first imports a large library
