"""Locks on Redis.

Replication to a replica is asynchronous, so a failover may forget a lock, and two may hold it for a moment: their
fencing tokens differ.
"""

from uuid import uuid4

from core.locks.ports import Lease
from core.redis.client import RedisClient, Script
from core.tenancy import Scope

_FENCE_SECONDS = 86_400
"""Time for which the last token is remembered. A token is no lower than the server's time in milliseconds, so those
that come after it has been forgotten, or lost with the server's data, are higher all the same."""

_ACQUIRE = Script("""
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local time = redis.call('TIME')
local token = math.max((tonumber(redis.call('GET', KEYS[2])) or 0) + 1, time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], string.format('%.0f', token), 'EX', ARGV[3])
return token
""")
_RENEW = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
""")
_RELEASE = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
""")


class RedisLocks:
    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def acquire(self, scope: Scope, name: str, seconds: float) -> Lease | None:
        holder = uuid4().hex
        keys = [self._redis.keys.of(scope, use, name) for use in ("lock", "fence")]
        token = await self._redis.run(_ACQUIRE, keys, [holder, _ms(seconds), _FENCE_SECONDS])
        return Lease(scope, name, token, holder) if token else None

    async def renew(self, lease: Lease, seconds: float) -> bool:
        return bool(await self._redis.run(_RENEW, [self._key(lease)], [lease.holder, _ms(seconds)]))

    async def release(self, lease: Lease) -> bool:
        return bool(await self._redis.run(_RELEASE, [self._key(lease)], [lease.holder]))

    def _key(self, lease: Lease) -> bytes:
        return self._redis.keys.of(lease.scope, "lock", lease.name)


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
