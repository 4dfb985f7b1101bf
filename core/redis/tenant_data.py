"""State of tenants in Redis, for the operator's commands."""

from collections.abc import AsyncGenerator, AsyncIterator

from core.redis.client import RedisClient
from core.tenancy import Tenant
from core.tenant_data import Chunk


class RedisTenantData:
    """Cache, counters and locks: nothing that a backup needs, and all of it erased with the tenant."""

    kind = "redis"

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def export(self, tenant: Tenant) -> AsyncGenerator[Chunk, None]:
        for nothing in tuple[Chunk, ...]():
            yield nothing

    async def restore(self, tenant: Tenant, chunks: AsyncIterator[Chunk]) -> int:
        return 0

    async def erase(self, tenant: Tenant) -> None:
        await self._redis.erase(tenant)
