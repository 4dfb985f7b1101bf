"""Choice of the engine that serves a provider: the embedded one is the process's own, connections to others are kept
and bounded."""

from contextlib import AbstractContextManager

from core.providers.records import Provider
from core.providers.runtimes import RuntimeKey, Runtimes
from core.runtime_pool import RuntimePool
from core.tenancy import Project
from services.vector.domain.providers import EMBEDDED, VectorProviders
from services.vector.ports import VectorEngine


class Engines(Runtimes[VectorEngine]):
    def __init__(
        self, providers: VectorProviders, embedded: VectorEngine, pool: RuntimePool[RuntimeKey, VectorEngine]
    ) -> None:
        own = {EMBEDDED: embedded} if EMBEDDED in providers.drivers else {}
        super().__init__(pool, providers.open, own, providers.changes)

    async def use(
        self, project: Project, provider: Provider, *, even_disabled: bool = False
    ) -> AbstractContextManager[VectorEngine]:
        """Use the engine of a provider. Raises FailedPrecondition for a disabled provider, InvalidInput where its
        address is refused."""
        if not even_disabled:
            provider.check_enabled()
        return await super().use(project, provider)
