"""A bounded cache in this process: least recently used entries go first, old ones when they are asked for."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson

from core.cache.local import Clock, Counters, Flights, Locks
from core.cache.ports import key_of
from core.tenancy import Scope


class MemoryCache:
    """Bounded by `max_entries` and by `max_bytes` of JSON.

    Entries are kept as JSON, so that nobody changes a value for the others, as with a cache in another process.
    """

    def __init__(
        self, max_entries: int = 10_000, *, max_bytes: int = 64 * 1024 * 1024, clock: Clock = time.monotonic
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0
        self._counters = Counters(clock)
        self._locks = Locks(clock)
        self._flights = Flights()

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, scope: Scope, key: str) -> Any | None:
        text = self._read(key_of(scope, key))
        return None if text is None else orjson.loads(text)

    async def set(self, scope: Scope, key: str, value: Any, ttl: float) -> None:
        name, text = key_of(scope, key), orjson.dumps(value)
        self._flights.outdate(name)
        self._keep(name, text, ttl)

    async def delete(self, scope: Scope, key: str) -> None:
        name = key_of(scope, key)
        self._flights.outdate(name)
        self._drop(name)

    async def load(self, scope: Scope, key: str, ttl: float, loader: Callable[[], Awaitable[Any]]) -> Any:
        name = key_of(scope, key)
        text = self._read(name)
        if text is None:
            text = await self._flights.join(name, _as_json(loader), lambda loaded: self._keep(name, loaded, ttl))
        return orjson.loads(text)

    async def increment(self, scope: Scope, key: str, by: int, ttl: float) -> int:
        return self._counters.increment(key_of(scope, key), by, ttl)

    def lock(self, scope: Scope, key: str, ttl: float) -> AbstractAsyncContextManager[bool]:
        return self._locks.lock(key_of(scope, key), ttl)

    async def check(self) -> None:
        """Always serves."""

    async def close(self) -> None:
        self._entries.clear()
        self._bytes = 0

    def _read(self, name: str) -> bytes | None:
        found = self._entries.get(name)
        if found is None:
            return None
        if found[1] <= self._clock():
            self._drop(name)
            return None
        self._entries.move_to_end(name)
        return found[0]

    def _keep(self, name: str, text: bytes, ttl: float) -> None:
        self._drop(name)
        self._entries[name] = text, self._clock() + ttl
        self._bytes += len(text)
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, name: str) -> None:
        if found := self._entries.pop(name, None):
            self._bytes -= len(found[0])


def _as_json(loader: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[bytes]]:
    async def load() -> bytes:
        return orjson.dumps(await loader())

    return load
