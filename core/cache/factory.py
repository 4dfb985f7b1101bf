"""The cache that the settings name."""

from dataclasses import dataclass
from typing import Literal

from core.cache.memory import MemoryCache
from core.cache.none import NoCache
from core.cache.ports import Cache
from core.config import setting

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """What is kept at hand."""

    provider: Literal["none", "memory"] = setting("CACHE_PROVIDER", default="memory", help="The cache.")
    max_entries: int = setting(
        "PORTICO_CACHE_MAX_ENTRIES", default=10_000, min=1, help="Entries in the memory cache of a service."
    )
    max_mib: int = setting(
        "PORTICO_CACHE_MAX_MIB", default=64, min=1, help="Size of the memory cache of a service, in MiB."
    )


def make_cache(settings: CacheSettings) -> Cache:
    if settings.provider == "none":
        return NoCache()
    return MemoryCache(settings.max_entries, max_bytes=settings.max_mib * _MIB)
