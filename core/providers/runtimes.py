"""Runtimes of providers, such as engines and stores: opened when first needed, kept while they are used."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

from core.project_changes import ProjectChanges
from core.providers.records import Provider
from core.runtime_pool import RuntimePool
from core.tenancy import Project

R = TypeVar("R")

RuntimeKey = tuple[str, str, str, float]
"""Tenant, project, provider's record id, and when it was last changed: another process's change counts as well."""


class Runtimes(Generic[R]):
    """`shared` holds, by driver, those that serve all providers of it; `open` makes one of a provider's own, which is
    closed after `changes` of its project."""

    def __init__(
        self,
        pool: RuntimePool[RuntimeKey, R],
        open: Callable[[Project, Provider], Awaitable[R]],
        shared: Mapping[str, R],
        changes: ProjectChanges,
    ) -> None:
        self._pool = pool
        self._open = open
        changes.subscribe(self.forget)
        self._shared = {driver: nullcontext(runtime) for driver, runtime in shared.items()}

    async def use(self, project: Project, provider: Provider) -> AbstractContextManager[R]:
        """`with await runtimes.use(...) as runtime`: it stays open for the block, though the provider change meanwhile.
        Raises what `open` raises."""
        shared = self._shared.get(provider.driver)
        if shared is not None:
            return shared
        key = (project.tenant.slug, project.id, provider.id, provider.updated_at)
        return self._pool.lease(key) or await self._pool.acquire(key, lambda: self._open(project, provider))

    def forget(self, project: Project | None) -> None:
        """Forget the runtimes of a project whose providers have changed. None, which says that some may have, forgets
        nothing: a changed provider has another key."""
        if project is None:
            return
        self._pool.invalidate(lambda key: key[:2] == (project.tenant.slug, project.id))
