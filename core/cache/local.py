"""Counters, locks and single flights within one process."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")
Clock = Callable[[], float]
"""Monotonic seconds."""


class Counters:
    """They are not evicted, or a flood of keys would set back the counts that are to stop it; expired ones go."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._queue: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._counts)

    def increment(self, key: str, by: int, ttl: float) -> int:
        now = self._clock()
        while self._queue and self._queue[0][0] <= now:
            del self._counts[heapq.heappop(self._queue)[1]]
        if key not in self._counts:
            self._counts[key] = 0
            heapq.heappush(self._queue, (now + ttl, key))
        self._counts[key] += by
        return self._counts[key]


class Locks:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, tuple[object, float]] = {}

    @asynccontextmanager
    async def lock(self, key: str, ttl: float) -> AsyncIterator[bool]:
        now, owner = self._clock(), object()
        if key in self._held and self._held[key][1] > now:
            yield False
            return
        self._held[key] = owner, now + ttl
        try:
            yield True
        finally:
            if self._held.get(key, (None, 0))[0] is owner:  # or somebody has it since ours passed
                del self._held[key]


class Flights:
    """One load per key at a time, for all who want its result.

    The load runs in a task of its own: a waiter that is cancelled fails nobody else, and the last to leave stops it.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._waiting: dict[asyncio.Task[Any], int] = {}

    async def join(self, key: str, loader: Callable[[], Awaitable[T]], keep: Callable[[T], None]) -> T:
        """The result of the load that is under way, or of a new one, which `keep` is given unless it was outdated."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(self._fly(key, loader, keep))
            self._waiting[task] = 0
        self._waiting[task] += 1
        try:
            result: T = await asyncio.shield(task)
            return result
        finally:
            self._waiting[task] -= 1
            if not self._waiting[task]:
                del self._waiting[task]
                self._land(key, task)
                task.cancel()

    def outdate(self, key: str) -> None:
        """The key has changed: who waits gets what was being loaded, but it is not kept, and the next one loads."""
        self._tasks.pop(key, None)

    async def _fly(self, key: str, loader: Callable[[], Awaitable[T]], keep: Callable[[T], None]) -> T:
        task = asyncio.current_task()
        try:
            value = await loader()
            if self._tasks.get(key) is task:
                keep(value)
            return value
        finally:
            self._land(key, task)

    def _land(self, key: str, task: asyncio.Task[Any] | None) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
