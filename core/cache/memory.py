"""A bounded cache in this process: least recently used entries go first, old ones when they are asked for."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from core.bounded import BoundedDict
from core.cache.flights import Flights
from core.cache.ports import key_of
from core.tenancy import Scope

Clock = Callable[[], float]
"""Monotonic seconds."""


class MemoryCache:
    """Bounded by `max_entries` and by `max_bytes` of JSON.

    Entries are kept as JSON, so that nobody changes a value for the others, as with a cache in another process.
    """

    def __init__(
        self, max_entries: int = 10_000, *, max_bytes: int = 64 * 1024 * 1024, clock: Clock = time.monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: BoundedDict[str, tuple[bytes, float]] = BoundedDict(max_entries, evicted=self._evicted)
        self._bytes = 0
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

    async def check(self) -> None:
        """Do nothing: this cache always serves."""

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
        self._bytes += len(text)
        self._entries[name] = text, self._clock() + ttl
        while self._bytes > self._max_bytes:
            self._entries.evict()

    def _drop(self, name: str) -> None:
        if found := self._entries.pop(name, None):
            self._evicted(name, found)

    def _evicted(self, name: str, entry: tuple[bytes, float]) -> None:
        self._bytes -= len(entry[0])


def _as_json(loader: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[bytes]]:
    async def load() -> bytes:
        return orjson.dumps(await loader())

    return load
