"""Rate limits of one process: a sliding window counter in memory for each bucket and limit."""

import heapq
import time
from dataclasses import dataclass
from math import inf

from limits import RateLimitItem

from core.cache.ports import key_of
from core.rate_limits.notation import INSTANT, bounded, parsed, refused
from core.tenancy import Scope


class MemoryRateLimits:
    """`max_counters` bounds what a flood of buckets can take: the soonest to end go first."""

    def __init__(self, *, max_counters: int = 1_000_000) -> None:
        self._counters = _Counters(max_counters)

    def __len__(self) -> int:
        """Counters held, one for each bucket and limit."""
        return len(self._counters)

    async def hit(self, scope: Scope, bucket: str, limit: str, cost: int = 1, *, strict: bool = False) -> None:
        """Count as the port says. `strict` makes no difference: these counters are always there."""
        key, items, now = key_of(scope, bounded(bucket)), parsed(limit), time.time()
        wait = max(self._wait(item, key, cost, now) for item in items)
        if wait:
            raise refused(wait)
        for item in items:
            self._counters.add(item.key_for(key), item.get_expiry(), cost, now)

    async def give_back(self, scope: Scope, bucket: str, limit: str, cost: int = 1) -> None:
        key, now = key_of(scope, bounded(bucket)), time.time()
        for item in parsed(limit):
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
            return max(INSTANT, left - (room - self.now) * self.length / self.before)
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
