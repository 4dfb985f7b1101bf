"""Aggregation of repeated audit entries: equal ones are counted on one entry.

Entries are the same where they differ in nothing but their time and call. The first one is written, and for as long as
its window lasts the others are only counted. How many different ones there may be in a window is bounded: beyond that
they are counted together, by caller, and in the end for the whole tenant. So no caller can fill the log, nor keep
another one's entries out of it.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from core.audit.records import AuditEntry
from core.bounded import BoundedDict
from core.tenancy import Tenant

K = TypeVar("K")

OTHERS = "other"
"""Action of what is counted together."""


@dataclass(frozen=True, slots=True)
class TallyLimits:
    """`entries` are held at once, over all tenants: with more, the oldest windows end early. The others bound the new
    entries of a window, for one tenant and for one caller (by token, or by address where there is none); 0: no bound.
    """

    window_seconds: float = 3600.0
    refresh_seconds: float = 30.0
    """Longest time, in seconds, that a count in the store may be out of date."""
    entries: int = 20_000
    of_tenant: int = 0
    of_caller: int = 0


@dataclass(slots=True, eq=False)
class Counted:
    """An entry that was written, and how often the same has happened since."""

    tenant: Tenant
    id: str
    began: float
    principal: str
    last_at: float
    told_at: float
    """Time of the last write of `count`, or of the entry itself, to the store."""
    count: int = 1


Key = tuple[Hashable, ...]


class Tally:
    def __init__(self, limits: TallyLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._counted: BoundedDict[Key, Counted] = BoundedDict(limits.entries, evicted=self._forgotten)
        """The oldest window first."""
        self._grown: dict[str, Counted] = {}
        """Counts that the store has yet to be told of, by the entry's id."""
        self._of_tenant: Counter[Tenant] = Counter()
        self._of_caller: Counter[tuple[Tenant, str]] = Counter()

    def add(self, tenant: Tenant, entry: AuditEntry) -> AuditEntry | None:
        """Add an entry. Returns the one to write, usually this one; None: it was counted on another."""
        for key, candidate in self._candidates(tenant, entry):
            known = self._counted.get(key)
            if known is not None and not self._is_over(known):
                known.count += 1
                known.last_at = entry.created_at
                self._grown[known.id] = known
                return None
            if candidate is not None:
                self._begin(key, tenant, candidate)
                return candidate
        return None

    def due(self, *, all: bool = False) -> list[Counted]:
        """The counts to write to the store; `all`: also those that were written a moment ago."""
        while self._counted and self._is_over(next(iter(self._counted.values()))):
            self._counted.evict()
        fresh = self._clock() - self._limits.refresh_seconds
        return [each for each in self._grown.values() if all or each.told_at <= fresh or self._is_over(each)]

    def told(self, counted: Counted, count: int) -> None:
        """Record that the store has so many of an entry, or will never take them."""
        counted.told_at = self._clock()
        if counted.count == count:
            self._grown.pop(counted.id, None)

    def _candidates(self, tenant: Tenant, entry: AuditEntry) -> Iterator[tuple[Key, AuditEntry | None]]:
        """The entries that this one may be counted on, the closest first. With an entry where a new one may be
        begun."""
        limits, principal = self._limits, _principal(entry)
        who = (tenant, entry.actor_kind, entry.actor_id, principal)
        room = not limits.of_tenant or self._of_tenant[tenant] < limits.of_tenant
        own_room = not limits.of_caller or self._of_caller[tenant, principal] < limits.of_caller
        exact = (*who, entry.action, entry.resource_type, entry.resource_id, entry.outcome)
        yield exact, entry if room and own_room else None
        others = msgspec.structs.replace(entry, action=OTHERS, resource_type="", resource_id="", reason="", metadata={})
        yield who, others if room else None
        yield (
            (tenant,),
            msgspec.structs.replace(
                others, actor_id="", token_id="", project_id="", request_id="", ip_address="", user_agent=""
            ),
        )

    def _begin(self, key: Key, tenant: Tenant, entry: AuditEntry) -> None:
        if (over := self._counted.pop(key, None)) is not None:
            self._forgotten(key, over)
        at, principal = entry.created_at, _principal(entry)
        self._counted[key] = Counted(tenant, entry.id, at, principal, last_at=at, told_at=at)
        self._of_tenant[tenant] += 1
        self._of_caller[tenant, principal] += 1

    def _forgotten(self, key: Key, each: Counted) -> None:
        _take_one(self._of_tenant, each.tenant)
        _take_one(self._of_caller, (each.tenant, each.principal))

    def _is_over(self, counted: Counted) -> bool:
        return counted.began + self._limits.window_seconds <= self._clock()


def _principal(entry: AuditEntry) -> str:
    """The key that distinguishes callers."""
    return entry.token_id or entry.ip_address


def _take_one(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
