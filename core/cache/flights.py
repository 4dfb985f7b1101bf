"""Single flight: concurrent loads of one key share one result."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Flights:
    """One load per key at a time, for all who want its result.

    The load runs in a task of its own: a waiter that is cancelled fails nobody else, and the last to leave stops it.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._waiting: dict[asyncio.Task[Any], int] = {}

    async def join(self, key: str, loader: Callable[[], Awaitable[T]], keep: Callable[[T], None]) -> T:
        """Wait for a load. The result of the load that is under way, or of a new one, which `keep` is given unless it
        was outdated."""
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
        """Mark the key's load as outdated: who waits gets what was being loaded, but it is not kept, and the next one
        loads."""
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
