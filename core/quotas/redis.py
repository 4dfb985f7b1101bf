"""The ledger in Redis, which all replicas share.

A tenant's holders are a sorted set of their names by the end of their leases, in milliseconds by Redis's own clock. A
counter is a hash: `b` is what holders that are gone have charged, `u:<holder>` and `h:<holder>` are what a holder has
charged and holds, and `s` says that it was seeded. Whoever looks at a counter first removes the accounts of those that
are gone. Numbers are exact up to 2^53.
"""

from collections.abc import Sequence
from typing import Any

from core.quotas.memory import LEASE_SECONDS
from core.quotas.ports import SHARE, Claim, Counter, Granted, LeaseLost, Report, Totals
from core.redis.client import RedisClient, Script
from core.tenancy import Tenant

_LOST = -1
_KEPT_SECONDS = 3600
"""Seconds for which a counter is kept after its window has ended."""
_UNUSED_SECONDS = 86_400
"""Seconds for which a counter without a window is kept after its last use."""

_COMMON = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local leases = {}
local function text(number) return string.format('%.0f', number) end
local function alive(holder)
  if leases[holder] == nil then
    local ends = redis.call('ZSCORE', KEYS[1], holder)
    leases[holder] = ends and tonumber(ends) > now or false
  end
  return leases[holder]
end
local function renew(holder, seconds, known)
  if known and not alive(holder) then return false end
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
  redis.call('ZADD', KEYS[1], text(now + seconds * 1000), holder)
  redis.call('PEXPIRE', KEYS[1], math.ceil(seconds * 1000))
  leases[holder] = true
  return true
end
local function sums(key)
  local charged, held, seeded, gone = 0, 0, false, 0
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    local kind, holder = string.sub(name, 1, 1), string.sub(name, 3)
    if kind == 's' then seeded = true
    elseif kind == 'b' then charged = charged + tonumber(value)
    elseif alive(holder) then
      if kind == 'u' then charged = charged + tonumber(value) else held = held + tonumber(value) end
    else
      redis.call('HDEL', key, name)
      if kind == 'u' then gone = gone + tonumber(value) end
    end
  end
  if gone > 0 then redis.call('HINCRBY', key, 'b', text(gone)) end
  return charged + gone, held, seeded
end
local function account(key, holder, charged, held, ends)
  redis.call('HSET', key, 'u:' .. holder, charged, 'h:' .. holder, held)
  if tonumber(ends) > 0 then redis.call('EXPIREAT', key, ends) else redis.call('EXPIRE', key, UNUSED) end
end
""".replace("UNUSED", str(_UNUSED_SECONDS))

_TAKE = Script(
    _COMMON
    + """
local holder, found, granted = ARGV[1], {}, {}
if not renew(holder, tonumber(ARGV[2]), ARGV[3] == '1') then return {LOST} end
local all = true
for i = 2, #KEYS do
  local at = 4 + (i - 2) * 7
  local limit, least, most = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  account(KEYS[i], holder, ARGV[at + 3], ARGV[at + 4], ARGV[at + 6])
  local charged, held, seeded = sums(KEYS[i])
  seeded = seeded or ARGV[at + 5] == '0'
  local total, grant = charged + held, 0
  local room = limit - total
  if seeded and room >= least then grant = least + math.min(most - least, math.floor((room - least) / SHARE)) end
  all = all and grant > 0
  granted[i] = grant
  found[#found + 1] = 0
  found[#found + 1] = total
  found[#found + 1] = seeded and 1 or 0
end
if all then
  for i = 2, #KEYS do
    redis.call('HINCRBY', KEYS[i], 'h:' .. holder, text(granted[i]))
    local at = (i - 2) * 3
    found[at + 1] = granted[i]
    found[at + 2] = found[at + 2] + granted[i]
  end
end
return found
""".replace("LOST", str(_LOST)).replace("SHARE", str(SHARE))
)
_REPORT = Script(
    _COMMON
    + """
if not renew(ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1') then return LOST end
for i = 2, #KEYS do
  local at = 4 + (i - 2) * 3
  account(KEYS[i], ARGV[1], ARGV[at], ARGV[at + 1], ARGV[at + 2])
end
return 0
""".replace("LOST", str(_LOST))
)
_RAISE = Script(
    _COMMON
    + """
local charged = sums(KEYS[2])
local missing = tonumber(ARGV[1]) - charged
if missing > 0 then redis.call('HINCRBY', KEYS[2], 'b', text(missing)) end
redis.call('HSET', KEYS[2], 's', 1)
if tonumber(ARGV[2]) > 0 then redis.call('EXPIREAT', KEYS[2], ARGV[2]) else redis.call('EXPIRE', KEYS[2], UNUSED) end
return 0
""".replace("UNUSED", str(_UNUSED_SECONDS))
)
_TOTALS = Script(
    _COMMON
    + """
local found = {}
for i = 2, #KEYS do
  local charged, held = sums(KEYS[i])
  found[#found + 1] = charged
  found[#found + 1] = held
end
return found
"""
)


class RedisLedger:
    """Counters in Redis."""

    def __init__(self, redis: RedisClient, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._redis = redis
        self.lease_seconds = lease_seconds

    async def take(
        self, tenant: Tenant, holder: str, claims: Sequence[Claim], *, known: bool = True
    ) -> Sequence[Granted]:
        arguments: list[int | float | str] = [holder, self.lease_seconds, int(known)]
        for each in claims:
            arguments += (each.limit, each.least, each.most, each.charged, each.held, int(each.seeded))
            arguments.append(_expiry(each.counter))
        keys = self._keys(tenant, [each.counter for each in claims])
        found = _held(await self._redis.run(_TAKE, keys, arguments))
        return [Granted(found[at], found[at + 1], bool(found[at + 2])) for at in range(0, len(found), 3)]

    async def report(self, tenant: Tenant, holder: str, reports: Sequence[Report], *, known: bool = True) -> None:
        arguments: list[int | float | str] = [holder, self.lease_seconds, int(known)]
        for each in reports:
            arguments += (each.charged, each.held, _expiry(each.counter))
        _held(await self._redis.run(_REPORT, self._keys(tenant, [each.counter for each in reports]), arguments))

    async def raise_to(self, tenant: Tenant, counter: Counter, charged: int) -> None:
        await self._redis.run(_RAISE, self._keys(tenant, [counter]), [charged, _expiry(counter)])

    async def totals(self, tenant: Tenant, counters: Sequence[Counter]) -> Sequence[Totals]:
        found = await self._redis.run(_TOTALS, self._keys(tenant, counters))
        return [Totals(*found[at : at + 2]) for at in range(0, len(found), 2)]

    async def leave(self, tenant: Tenant, holder: str) -> None:
        await self._redis.execute("ZREM", self._holders(tenant), holder)

    def _holders(self, tenant: Tenant) -> bytes:
        return self._redis.keys.of(tenant, "quota-holders", "")

    def _keys(self, tenant: Tenant, counters: Sequence[Counter]) -> list[bytes]:
        named = [self._redis.keys.of(tenant, "quota", f"{each.name}:{each.span.start}") for each in counters]
        return [self._holders(tenant), *named]


def _expiry(counter: Counter) -> int:
    """The time from which on a counter is of no use, in Unix seconds; 0: some time after its last use."""
    return counter.span.end + _KEPT_SECONDS if counter.span.end else 0


def _held(found: Any) -> list[int]:
    """The answer of a script, if the holder still has its lease. Raises LeaseLost."""
    if found in (_LOST, [_LOST]):
        raise LeaseLost
    return [] if found == 0 else list(found)
