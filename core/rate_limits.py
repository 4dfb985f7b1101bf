"""Rate limits: how much a bucket may use in a window of time.

    await limits.hit(project, "chat", "100/minute; 1000/hour")            # one request
    await limits.hit(project, "tokens", "20000/minute", cost=1200)        # what it used

A sliding window counter: the count of the running fixed window, and that of the last one, weighted by how much of it
the sliding window still covers. Unlike a fixed window, this does not let twice the limit through at a border; unlike a
log of every hit, a bucket costs two numbers whatever its limit and cost. What is refused is not counted.

The notation of limits is that of the library `limits`.
"""

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import ceil, inf

from limits import RateLimitItem, parse_many

from core.cache.ports import key_of
from core.errors import RateLimited
from core.tenancy import Scope

_LONGEST_BUCKET = 128
_INSTANT = 0.001
"""Seconds; for what will pass in the very next moment."""


class RateLimits:
    """Rate limit counters of this process. `max_counters` bounds what a flood of buckets can take: the soonest to end
    go first."""

    def __init__(self, *, max_counters: int = 1_000_000) -> None:
        self._counters = _Counters(max_counters)

    def __len__(self) -> int:
        """Counters held, one for each bucket and limit."""
        return len(self._counters)

    async def hit(self, scope: Scope, bucket: str, limit: str, cost: int = 1) -> None:
        """Count `cost`, or raise RateLimited with `retry_after` and count nothing. Raises ValueError for a `limit`
        that is none. A cost above the limit is refused without `retry_after`: it will never pass."""
        key, items, now = _key(scope, bucket), _parsed(limit), time.time()
        wait = max(self._wait(item, key, cost, now) for item in items)
        if wait:
            raise _refused(wait)
        for item in items:
            self._counters.add(item.key_for(key), item.get_expiry(), cost, now)

    def give_back(self, scope: Scope, bucket: str, limit: str, cost: int = 1) -> None:
        """Take back what a `hit` has counted, as far as it was counted in a window that still runs."""
        key, now = _key(scope, bucket), time.time()
        for item in _parsed(limit):
            if counter := self._counters.get(item.key_for(key)):
                counter.advance(now)
                counter.now = max(0, counter.now - cost)

    def _wait(self, item: RateLimitItem, key: str, cost: int, now: float) -> float:
        """Seconds until `cost` passes; infinite if it never will."""
        if cost > item.amount:
            return inf
        counter = self._counters.get(item.key_for(key))
        return 0.0 if counter is None else counter.wait(item.amount - cost + 1, now)


@dataclass(slots=True)
class _Counter:
    """Counts of the fixed window `number` of `length` seconds, and in the one before."""

    length: int
    number: int
    now: int = 0
    before: int = 0

    @property
    def ends(self) -> float:
        """Unix seconds from which on it says nothing any more."""
        return (self.number + 2) * self.length

    def advance(self, time: float) -> float:
        """Start the window of that time, if it is a later one. Return the seconds that are left of it."""
        number = int(time // self.length)
        if number > self.number:
            self.before = self.now if number == self.number + 1 else 0
            self.now = 0
            self.number = number
        return (self.number + 1) * self.length - time

    def wait(self, room: int, time: float) -> float:
        """Seconds until the weighted count is below `room`; 0 only if it is."""
        left = self.advance(time)
        if self.before * left / self.length + self.now < room:
            return 0.0
        if self.now < room:
            return max(_INSTANT, left - (room - self.now) * self.length / self.before)
        return left + max(0.0, self.length - room * self.length / self.now)


class _Counters:
    """Counters by key, and a queue of when they end: the ones that have are dropped by whoever counts next."""

    def __init__(self, max_counters: int) -> None:
        self._max_counters = max_counters
        self._counters: dict[str, _Counter] = {}
        self._queue: list[tuple[float, str]] = []
        """One entry for each counter. A counter that goes on counting ends later than its entry says."""

    def __len__(self) -> int:
        return len(self._counters)

    def get(self, key: str) -> _Counter | None:
        return self._counters.get(key)

    def add(self, key: str, length: int, amount: int, now: float) -> None:
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = _Counter(length, int(now // length))
            heapq.heappush(self._queue, (counter.ends, key))
        counter.advance(now)
        counter.now += amount
        self._drop(now)

    def _drop(self, now: float) -> None:
        while self._queue and (self._queue[0][0] <= now or len(self._counters) > self._max_counters):
            ends, key = self._queue[0]
            if self._counters[key].ends > ends:
                heapq.heapreplace(self._queue, (self._counters[key].ends, key))
            else:
                heapq.heappop(self._queue)
                del self._counters[key]


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
