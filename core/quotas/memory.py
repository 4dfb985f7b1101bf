"""The ledger of a single process."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from core.quotas.ports import Claim, Counter, Granted, LeaseLost, Report, Totals, share
from core.tenancy import Tenant

LEASE_SECONDS = 30.0
_KEPT_SECONDS = 3600
"""Seconds for which a counter is kept after its window has ended: calls that began in it may still be charged."""


@dataclass(slots=True)
class _State:
    """A counter: what holders that are gone charged, and the accounts of the others."""

    base: int = 0
    seeded: bool = False
    accounts: dict[str, Totals] = field(default_factory=dict)

    def totals(self) -> Totals:
        accounts = self.accounts.values()
        return Totals(self.base + sum(each.charged for each in accounts), sum(each.held for each in accounts))


class MemoryLedger:
    """Counters of this process. `clock` is in Unix seconds."""

    def __init__(self, *, lease_seconds: float = LEASE_SECONDS, clock: Callable[[], float] = time.time) -> None:
        self.lease_seconds = lease_seconds
        self._clock = clock
        self._states: dict[tuple[str, Counter], _State] = {}
        self._leases: dict[tuple[str, str], float] = {}
        """Ends of the leases of holders, by tenant and holder."""
        self._swept = clock()

    async def take(
        self, tenant: Tenant, holder: str, claims: Sequence[Claim], *, known: bool = True
    ) -> Sequence[Granted]:
        self._renew(tenant, holder, known=known)
        states = [self._state(tenant, claim.counter) for claim in claims]
        found: list[Granted] = []
        for state, claim in zip(states, claims, strict=True):
            state.accounts[holder] = Totals(claim.charged, claim.held)
            totals = state.totals()
            total, seeded = totals.charged + totals.held, state.seeded or not claim.seeded
            granted = share(claim, claim.limit - total) if seeded else 0
            found.append(Granted(granted, total, seeded))
        if not all(each.granted for each in found):
            return [Granted(0, each.total, each.seeded) for each in found]
        for state, each in zip(states, found, strict=True):
            charged, held = state.accounts[holder]
            state.accounts[holder] = Totals(charged, held + each.granted)
        return [Granted(each.granted, each.total + each.granted) for each in found]

    async def report(self, tenant: Tenant, holder: str, reports: Sequence[Report], *, known: bool = True) -> None:
        self._renew(tenant, holder, known=known)
        for each in reports:
            self._state(tenant, each.counter).accounts[holder] = Totals(each.charged, each.held)
        self._sweep()

    async def raise_to(self, tenant: Tenant, counter: Counter, charged: int) -> None:
        state = self._state(tenant, counter)
        state.base += max(0, charged - state.totals().charged)
        state.seeded = True

    async def totals(self, tenant: Tenant, counters: Sequence[Counter]) -> Sequence[Totals]:
        return [
            self._state(tenant, each).totals() if (tenant.slug, each) in self._states else Totals(0, 0)
            for each in counters
        ]

    async def leave(self, tenant: Tenant, holder: str) -> None:
        self._leases.pop((tenant.slug, holder), None)

    def _renew(self, tenant: Tenant, holder: str, *, known: bool) -> None:
        now, key = self._clock(), (tenant.slug, holder)
        if known and self._leases.get(key, 0.0) <= now:
            raise LeaseLost
        self._leases[key] = now + self.lease_seconds

    def _state(self, tenant: Tenant, counter: Counter) -> _State:
        """The state of a counter, without the accounts of holders that are gone."""
        state = self._states.setdefault((tenant.slug, counter), _State())
        now = self._clock()
        for holder in [each for each in state.accounts if self._leases.get((tenant.slug, each), 0.0) <= now]:
            state.base += state.accounts.pop(holder).charged
        return state

    def _sweep(self) -> None:
        """Forget counters whose windows ended long ago, and leases that have ended."""
        now = self._clock()
        if now - self._swept < _KEPT_SECONDS:
            return
        self._swept = now
        for key in list(self._ended(now)):
            del self._states[key]
        self._leases = {key: end for key, end in self._leases.items() if end > now}

    def _ended(self, now: float) -> Iterator[tuple[str, Counter]]:
        return (key for key in self._states if 0 < key[1].span.end < now - _KEPT_SECONDS)
