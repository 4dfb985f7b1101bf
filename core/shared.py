"""State and messages that the replicas of a service share, beside the store."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.cache.factory import CacheSettings, make_cache
from core.cache.ports import Cache
from core.config import ConfigError
from core.fanout.none import NoFanout
from core.fanout.ports import Fanout
from core.locks.memory import MemoryLocks
from core.locks.ports import Locks
from core.rate_limits.memory import MemoryRateLimits
from core.rate_limits.ports import RateLimits
from core.redis.settings import RedisSettings

if TYPE_CHECKING:
    from core.redis.client import RedisClient


@dataclass(frozen=True, slots=True)
class Shared:
    """All on Redis, or all in this process, which then is the only one of its service."""

    cache: Cache
    rate_limits: RateLimits
    locks: Locks
    fanout: Fanout
    redis: "RedisClient | None" = None

    @classmethod
    def in_process(cls, cache: Cache) -> "Shared":
        return cls(cache, MemoryRateLimits(), MemoryLocks(), NoFanout())

    async def close(self) -> None:
        await self.fanout.close()
        await self.cache.close()
        if self.redis is not None:
            await self.redis.close()


def make_shared(cache: CacheSettings, redis: RedisSettings) -> Shared:
    """Make what the settings name. Raises ConfigError where they are incomplete."""
    if cache.provider != "redis":
        return Shared.in_process(make_cache(cache))
    # Imported here because the library costs time and memory that nobody else needs.
    from core.cache.redis import RedisCache
    from core.fanout.redis import RedisFanout
    from core.locks.redis import RedisLocks
    from core.rate_limits.redis import RedisRateLimits
    from core.redis.client import RedisClient

    try:
        client = RedisClient(redis)
    except ValueError as error:
        raise ConfigError([str(error)]) from None
    return Shared(
        cache=RedisCache(client),
        rate_limits=RedisRateLimits(client, MemoryRateLimits()),
        locks=RedisLocks(client),
        fanout=RedisFanout(client),
        redis=client,
    )
