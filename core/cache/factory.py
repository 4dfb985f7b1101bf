"""The cache of this process that the settings name."""

from dataclasses import dataclass
from typing import Literal

from core.cache.memory import MemoryCache
from core.cache.none import NoCache
from core.cache.ports import Cache
from core.config import setting

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The cache of a service, and what its replicas share"""

    provider: Literal["none", "memory", "redis"] = setting(
        "CACHE_PROVIDER",
        default="memory",
        help="Where a service keeps what it would have to ask for again: memory, or none to ask each time. redis: the "
        "cache, rate limits, locks and notices of changes are shared by all replicas.",
    )
    max_entries: int = setting(
        "PORTICO_CACHE_MAX_ENTRIES", default=10_000, min=1, help="Entries that it holds in memory."
    )
    max_mib: int = setting("PORTICO_CACHE_MAX_MIB", default=64, min=1, help="MiB that it takes in memory.")


def make_cache(settings: CacheSettings) -> Cache:
    """The cache in memory, or none. What is secret is cached here alone, also where there is Redis."""
    if settings.provider == "none":
        return NoCache()
    return MemoryCache(settings.max_entries, max_bytes=settings.max_mib * _MIB)
