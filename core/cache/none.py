"""No cache: every load asks its source, though loads at once are still one."""

import time

from core.cache.memory import Clock, MemoryCache


class NoCache(MemoryCache):
    """A cache that keeps nothing."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        super().__init__(max_entries=0, clock=clock)
