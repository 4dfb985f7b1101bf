"""Rate limits on Redis, exact over all replicas: the counters of `core.rate_limits.memory`, by a script.

All windows of a hit are counted in one step, by the server's clock. A counter goes away when it says nothing any more.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf

from limits import RateLimitItem

from core.errors import Unavailable
from core.rate_limits.notation import INSTANT, bounded, parsed, refused
from core.rate_limits.ports import RateLimits
from core.redis.client import RedisClient, Script
from core.tenancy import Scope

_COUNTERS = """
-- KEYS: a counter for each window. ARGV: the time (0: that of the server), the cost, then of each window its length in
-- seconds and its amount. A counter has the number of its fixed window, the count in it and in the one before.
local now, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1e6
end
local function read(key, length)
  local kept = redis.call('HMGET', key, 'number', 'now', 'before')
  local number = math.floor(now / length)
  local last, count, before = tonumber(kept[1]) or number, tonumber(kept[2]) or 0, tonumber(kept[3]) or 0
  if number > last then
    before = number == last + 1 and count or 0
    count, last = 0, number
  end
  return last, count, before
end
local function keep(key, length, number, count, before)
  redis.call('HSET', key, 'number', number, 'now', count, 'before', before)
  redis.call('PEXPIRE', key, math.ceil(((number + 2) * length - now) * 1000))
end
"""

_HIT = Script(
    _COUNTERS
    + f"""
local kept, longest = {{}}, 0
for i, key in ipairs(KEYS) do
  local length, room = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2]) - cost + 1
  local number, count, before = read(key, length)
  local left, wait = (number + 1) * length - now, 0
  if before * left / length + count >= room then
    if count < room then
      wait = math.max({INSTANT}, left - (room - count) * length / before)
    else
      wait = left + math.max(0, length - room * length / count)
    end
  end
  longest = math.max(longest, wait)
  kept[i] = {{length, number, count, before}}
end
if longest > 0 then
  return string.format('%.6f', longest)
end
for i, key in ipairs(KEYS) do
  keep(key, kept[i][1], kept[i][2], kept[i][3] + cost, kept[i][4])
end
return '0'
"""
)

_GIVE_BACK = Script(
    _COUNTERS
    + """
for i, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then
    local length = tonumber(ARGV[2 * i + 1])
    local number, count, before = read(key, length)
    keep(key, length, number, math.max(0, count - cost), before)
  end
end
return '0'
"""
)


class RedisRateLimits:
    """`alone` counts while Redis is away, in this process; what it has counted is not carried over. `clock` gives Unix
    seconds; 0, the default: the server's time."""

    def __init__(self, redis: RedisClient, alone: RateLimits, *, clock: Callable[[], float] = lambda: 0.0) -> None:
        self._redis = redis
        self._alone = alone
        self._clock = clock

    async def hit(self, scope: Scope, bucket: str, limit: str, cost: int = 1, *, strict: bool = False) -> None:
        items = parsed(limit)
        if any(cost > item.amount for item in items):
            raise refused(inf)
        try:
            wait = float(await self._run(_HIT, scope, bucket, items, cost))
        except Unavailable:
            if strict:
                raise
            await self._alone.hit(scope, bucket, limit, cost)
            return
        if wait:
            raise refused(wait)

    async def give_back(self, scope: Scope, bucket: str, limit: str, cost: int = 1) -> None:
        with suppress(Unavailable):
            await self._run(_GIVE_BACK, scope, bucket, parsed(limit), cost)

    async def _run(self, script: Script, scope: Scope, bucket: str, items: Sequence[RateLimitItem], cost: int) -> bytes:
        windows = [(item.get_expiry(), item.amount) for item in items]
        name = bounded(bucket)
        keys = [self._redis.keys.of(scope, "rate", f"{name}:{amount}/{length}") for length, amount in windows]
        answer: bytes = await self._redis.run(
            script, keys, [self._clock(), cost, *(number for window in windows for number in window)]
        )
        return answer
