"""The cache port. Values are JSON values; keys carry the tenant (see `key_of`), so no entry can cross one."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from core.tenancy import AllProjects, Main, Project, Scope, Tenant


class Cache(Protocol):
    """`ttl` is in seconds. Every method takes the scope first."""

    async def get(self, scope: Scope, key: str) -> Any | None: ...

    async def set(self, scope: Scope, key: str, value: Any, ttl: float) -> None: ...

    async def delete(self, scope: Scope, key: str) -> None: ...

    async def load(self, scope: Scope, key: str, ttl: float, loader: Callable[[], Awaitable[Any]]) -> Any:
        """The cached value, or the loader's, which is kept. Concurrent misses of a key call the loader once;
        an error of the loader reaches all who waited and is not kept."""

    async def check(self) -> None:
        """Check that the cache can serve, for readiness. Raises if it cannot."""

    async def close(self) -> None: ...


def key_of(scope: Scope, key: str) -> str:
    match scope:
        case Main():
            return f"main:{key}"
        case Tenant(slug):
            return f"t:{slug}:{key}"
        case AllProjects(tenant):
            return f"t:{tenant.slug}:*:{key}"
        case Project(tenant, id):
            return f"p:{tenant.slug}:{id}:{key}"
