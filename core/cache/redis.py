"""A cache on Redis, which the replicas of a service share.

While Redis is away nothing is found and nothing is kept: callers load anew.

A load takes a ticket, which whoever changes the key takes away: what was read before a change, in whichever replica, is
not kept after it.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import orjson

from core.cache.flights import Flights
from core.errors import Unavailable
from core.redis.client import RedisClient, Script
from core.tenancy import Scope

_MAX_BYTES = 1024 * 1024
"""Longest value that is kept: Redis serves one command at a time, and a long one keeps all others waiting."""
_TICKET_SECONDS = 60.0
"""Longest load whose value is kept."""

_BEGIN = Script("""
local value = redis.call('GET', KEYS[1])
if value then
  return {1, value}
end
redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
return {0, redis.call('GET', KEYS[2])}
""")
_SET = Script("""
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
""")
_KEEP = Script("""
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  redis.call('DEL', KEYS[2])
end
""")


class RedisCache:
    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._flights = Flights()

    async def get(self, scope: Scope, key: str) -> Any | None:
        with suppress(Unavailable):
            found = await self._redis.execute("GET", self._keys(scope, key)[0])
            return None if found is None else orjson.loads(found)
        return None

    async def set(self, scope: Scope, key: str, value: Any, ttl: float) -> None:
        text, keys = orjson.dumps(value), self._keys(scope, key)
        self._outdate(keys)
        with suppress(Unavailable):
            if len(text) <= _MAX_BYTES and ttl > 0:
                await self._redis.run(_SET, keys, [text, _ms(ttl)])
            else:
                await self._redis.execute("UNLINK", *keys)

    async def delete(self, scope: Scope, key: str) -> None:
        """Delete an entry. While Redis is away it stays, for its time to live."""
        keys = self._keys(scope, key)
        self._outdate(keys)
        with suppress(Unavailable):
            await self._redis.execute("UNLINK", *keys)

    async def load(self, scope: Scope, key: str, ttl: float, loader: Callable[[], Awaitable[Any]]) -> Any:
        keys = self._keys(scope, key)
        text = await self._flights.join(_name(keys), lambda: self._load(keys, ttl, loader), lambda _: None)
        return orjson.loads(text)

    async def check(self) -> None:
        await self._redis.check()

    async def close(self) -> None:
        """Do nothing: the client is its owner's to close."""

    async def _load(self, keys: tuple[bytes, bytes], ttl: float, loader: Callable[[], Awaitable[Any]]) -> bytes:
        ticket = b""
        with suppress(Unavailable):
            known, found = await self._redis.run(_BEGIN, keys, [uuid4().hex, _ms(_TICKET_SECONDS)])
            if known:
                return bytes(found)
            ticket = found
        text = orjson.dumps(await loader())
        if ticket and len(text) <= _MAX_BYTES and ttl > 0:
            with suppress(Unavailable):
                await self._redis.run(_KEEP, keys, [ticket, text, _ms(ttl)])
        return text

    def _keys(self, scope: Scope, key: str) -> tuple[bytes, bytes]:
        """The keys of an entry and of the ticket of its loads."""
        return self._redis.keys.of(scope, "cache", key), self._redis.keys.of(scope, "ticket", key)

    def _outdate(self, keys: tuple[bytes, bytes]) -> None:
        self._flights.outdate(_name(keys))


def _name(keys: tuple[bytes, bytes]) -> str:
    return keys[0].decode(errors="surrogateescape")


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
