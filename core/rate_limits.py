"""Rate limits: how much a bucket may take in a time.

    await limits.hit(project, "chat", "100/minute; 1000/hour")            # one request
    await limits.hit(project, "tokens", "20000/minute", cost=1200)        # what it used

The windows slide by the counter of the running and the weighted counter of the last fixed window. Unlike a fixed
window, this does not let twice the limit through at a border; unlike a log of every hit, a bucket costs two numbers
whatever its limit and cost. What is refused is not counted.
"""

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import ceil, inf

from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from core.cache.ports import key_of
from core.errors import RateLimited
from core.tenancy import Scope

_LONGEST_BUCKET = 128


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of the tightest limit of a bucket. `reset_after` is in seconds: when all of it is free again."""

    limit: int
    remaining: int
    reset_after: float


class RateLimits:
    """Counts in this process. `max_counters` bounds what a flood of buckets can take: the soonest to end go first."""

    def __init__(self, *, max_counters: int = 1_000_000) -> None:
        self._storage = _Counters(max_counters)
        self._windows = SlidingWindowCounterRateLimiter(self._storage)

    def __len__(self) -> int:
        """Counters held."""
        return len(self._storage.storage)

    async def hit(self, scope: Scope, bucket: str, limit: str, cost: int = 1) -> None:
        """Counts `cost`, or raises RateLimited with `retry_after` and counts nothing. Raises ValueError for a `limit`
        that is none. A cost above the limit is refused without `retry_after`: it will never pass."""
        key, items = _key(scope, bucket), _parsed(limit)
        if len(items) == 1 and await self._windows.hit(items[0], key, cost=cost):
            return
        waits = [await self._wait(item, key, cost) for item in items]
        if any(waits):
            raise _refused(max(waits))
        for item in items:
            await self._windows.hit(item, key, cost=cost)

    def give_back(self, scope: Scope, bucket: str, limit: str, cost: int = 1) -> None:
        """Take back what a `hit` has counted, as far as it was counted in a window that still runs."""
        key = _key(scope, bucket)
        for item in _parsed(limit):
            self._storage.give_back(item.key_for(key), item.get_expiry(), cost)

    async def peek(self, scope: Scope, bucket: str, limit: str) -> Allowance:
        """For x-ratelimit headers. Counts nothing."""
        key = _key(scope, bucket)
        return min([await self._allowance(item, key) for item in _parsed(limit)], key=lambda each: each.remaining)

    async def _allowance(self, item: RateLimitItem, key: str) -> Allowance:
        window = await self._window(item, key)
        _, remaining = await self._windows.get_window_stats(item, key)
        reset = window.left + window.length if window.now else window.left if window.before else 0.0
        return Allowance(item.amount, remaining, reset)

    async def _wait(self, item: RateLimitItem, key: str, cost: int) -> float:
        """Seconds until `cost` passes; infinite if it never will."""
        if cost > item.amount:
            return inf
        return (await self._window(item, key)).wait(item.amount - cost + 1)

    async def _window(self, item: RateLimitItem, key: str) -> "_Window":
        length = item.get_expiry()
        before, _, now, ends = await self._storage.get_sliding_window(item.key_for(key), length)
        return _Window(length, ends - length, before, now)


@dataclass(frozen=True, slots=True)
class _Window:
    """`left` seconds of the running window of `length` seconds; the counts of the last one and of this one."""

    length: float
    left: float
    before: int
    now: int

    def wait(self, room: int) -> float:
        """Seconds until the weighted count is below `room`."""
        if self.before * self.left / self.length + self.now < room:
            return 0.0
        if self.now < room:
            return self.left - (room - self.now) * self.length / self.before
        return self.left + max(0.0, self.length - room * self.length / self.now)


class _Counters(MemoryStorage):
    """The library's own goes through all keys at every hit to find the expired ones, which a flood of keys turns into
    a standstill. This one looks at those alone that have expired."""

    STORAGE_SCHEME = None  # type: ignore[assignment]  # made here, not by URI

    def __init__(self, max_counters: int) -> None:
        super().__init__()
        self._max_counters = max_counters
        self._queue: list[tuple[float, str]] = []

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = time.time()
        if key not in self.storage:
            heapq.heappush(self._queue, (now + expiry, key))
            self.expirations[key] = now + expiry
        self.storage[key] += amount
        while self._queue and (self._queue[0][0] <= now or len(self.storage) > self._max_counters):
            await self.clear(heapq.heappop(self._queue)[1])
        return self.storage[key]

    def give_back(self, key: str, expiry: int, amount: int) -> None:
        _, current = self.sliding_window_keys(key, expiry, time.time())
        if current in self.storage:
            self.storage[current] = max(0, self.storage[current] - amount)


def _key(scope: Scope, bucket: str) -> str:
    if len(bucket) > _LONGEST_BUCKET:
        bucket = "#" + blake2b(bucket.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return key_of(scope, bucket)


@lru_cache(maxsize=1024)
def _parsed(limit: str) -> Sequence[RateLimitItem]:
    items = parse_many(limit)
    if any(item.amount < 1 or item.get_expiry() < 1 for item in items):
        raise ValueError(f"a limit allows at least 1 in at least 1 second, not {limit!r}")
    return items


def _refused(wait: float) -> RateLimited:
    if wait == inf:
        return RateLimited("This is more than the rate limit allows at once.")
    return RateLimited(f"Too many requests: try again in {max(1, ceil(wait))} s.", retry_after=wait)
