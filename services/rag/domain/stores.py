"""The stores behind the providers, kept while they are used."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Protocol

from core.tenancy import Project
from services.rag.domain.providers import LOCAL, Provider, Providers
from services.rag.ports import FileStore

StoreKey = tuple[Project, str]


class Pool(Protocol):
    """Keeps what is dear to open: `core.runtime_pool`. Nothing is closed before its last user has left."""

    def lease(self, key: StoreKey) -> AbstractContextManager[FileStore] | None: ...

    async def acquire(
        self, key: StoreKey, build: Callable[[], Awaitable[FileStore]]
    ) -> AbstractContextManager[FileStore]: ...

    def invalidate(self, match: StoreKey) -> None: ...


class Stores:
    def __init__(self, providers: Providers, local: FileStore, pool: Pool) -> None:
        self._providers = providers
        self._local = local
        self._pool = pool

    @asynccontextmanager
    async def use(self, project: Project, provider: Provider) -> AsyncIterator[FileStore]:
        """The provider's store, which stays open until it is left. Raises InvalidInput, SealBroken."""
        if provider.driver == LOCAL:
            yield self._local
            return
        key = (project, provider.id)

        async def build() -> FileStore:
            return await self._providers.open(project, provider)

        with self._pool.lease(key) or await self._pool.acquire(key, build) as store:
            yield store

    def forget(self, project: Project, provider: Provider) -> None:
        self._pool.invalidate((project, provider.id))
