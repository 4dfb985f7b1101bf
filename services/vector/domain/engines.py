"""Which engine serves a provider: the embedded one is the process's own, connections to others are kept and bounded."""

from contextlib import AbstractContextManager, nullcontext

from core.errors import FailedPrecondition
from core.runtime_pool import RuntimePool
from core.tenancy import Project
from services.vector.domain.providers import DISABLED, EMBEDDED, Provider, Providers
from services.vector.ports import VectorEngine

EngineKey = tuple[str, str, str, float]
"""Tenant, project, provider's record id, and when it was last changed."""


class Engines:
    def __init__(
        self, providers: Providers, embedded: VectorEngine, pool: RuntimePool[EngineKey, VectorEngine]
    ) -> None:
        self._providers = providers
        self._embedded = nullcontext(embedded)
        self._pool = pool

    async def use(self, project: Project, provider: Provider) -> AbstractContextManager[VectorEngine]:
        """`with await engines.use(...) as engine`: it stays open for the block, though the provider change meanwhile.
        Raises FailedPrecondition for a disabled provider, InvalidInput where its address is refused."""
        if provider.status == DISABLED:
            raise FailedPrecondition("This vector provider is disabled.", reason="PROVIDER_DISABLED")
        if provider.driver == EMBEDDED:
            return self._embedded
        key = (project.tenant.slug, project.id, provider.id, provider.updated_at)
        return self._pool.lease(key) or await self._pool.acquire(key, lambda: self._providers.open(project, provider))

    def forget(self, project: Project) -> None:
        """The project's providers have changed."""
        self._pool.invalidate(lambda key: key[:2] == (project.tenant.slug, project.id))
