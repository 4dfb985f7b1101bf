"""Holdings: what this replica has taken of a tenant's counters, so that most calls ask nobody."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple
from uuid import uuid4

from core import logs
from core.errors import Unavailable
from core.quotas.memory import MemoryLedger
from core.quotas.ports import LARGEST, SHARE, Claim, Counter, Granted, LeaseLost, Ledger, Report, Seed, Totals
from core.quotas.rules import Rule, Span, Window
from core.tenancy import Tenant

_CALLS_AHEAD = 256
"""Most calls that are taken for at once."""
_ATTEMPTS = 4
_MOMENT_SECONDS = 0.02
_RECORDED_SECONDS = 1.0
"""Age of the recorded amounts that a replica without a ledger goes by."""

log = logs.get(__name__)


@dataclass(slots=True, eq=False)
class Held:
    """This replica's part of one counter."""

    rule: Rule
    counter: Counter
    seed: Seed | None
    free: int = 0
    """Taken, and not in use."""
    reserved: int = 0
    """In use by calls in progress."""
    charged: int = 0
    others: int = 0
    """Charged and held by others when the ledger was last asked."""
    told: tuple[int, int] = (0, 0)
    """The last account that the ledger has: charged and held."""
    recorded: int | None = None
    """The amount that was recorded elsewhere when that was last looked at."""
    recorded_at: float = -inf
    outdated: bool = False
    """The ledger may lack what is recorded elsewhere."""
    used: bool = False
    """Used since the last report."""
    unchecked: bool = False
    """Used since it was last held against what is recorded elsewhere."""
    alerted: int = 0
    """The highest threshold that was recorded, in percent."""
    expires: float = inf
    """Unix seconds from which on it must be looked up again."""

    @property
    def account(self) -> tuple[int, int]:
        return self.charged, self.free + self.reserved

    @property
    def total(self) -> int:
        """Charged or in use by all, as far as this replica knows."""
        return self.others + self.charged + self.reserved

    def reserve(self, amount: int) -> None:
        self.free -= amount
        self.reserved += amount
        self.used = self.unchecked = True

    def settle(self, reserved: int, charged: int) -> bool:
        """End a call that had reserved this much. True if others should soon hear what is free."""
        self.reserved -= reserved
        self.used = True
        window = self.rule.window
        if window is Window.CONCURRENT:
            free, self.free = self.free + reserved, min(self.free + reserved, self.rule.limit // SHARE)
            return free > self.free
        if window is Window.TOTAL:  # counted elsewhere from now on
            return reserved > 0
        self.free = max(0, self.free + reserved - charged)
        self.charged += charged
        return False

    def claim(self, amount: int) -> Claim:
        """The claim for a call that needs this amount, some of which may be free."""
        least, limit = max(1, amount - self.free), self.rule.limit
        most = least + amount * _CALLS_AHEAD
        if self.rule.window is Window.TOTAL:  # held in any case: the limit is checked with what is recorded elsewhere
            most, limit = least, LARGEST
        return Claim(self.counter, limit, least, most, *self.account, seeded=self.counted_elsewhere)

    @property
    def counted_elsewhere(self) -> bool:
        """True if the ledger begins with what is recorded elsewhere."""
        return self.seed is not None and self.rule.window is not Window.TOTAL

    def took(self, granted: Granted, account: tuple[int, int]) -> None:
        """Add what the ledger granted to this account."""
        self.free += granted.granted
        self.others = granted.total - granted.granted - sum(account)
        self.told = (account[0], account[1] + granted.granted)

    def refused(self) -> None:
        """Give up what was taken for a call that has no room elsewhere, where it could not serve another."""
        if self.rule.window is Window.TOTAL:
            self.free = 0

    def lost(self) -> None:
        """Begin a new account: the ledger has closed the old one."""
        untold = self.charged - self.told[0]
        self.free, self.told = 0, (0, 0)
        if self.counted_elsewhere:
            self.charged, self.outdated = 0, self.outdated or untold > 0
        else:
            self.charged = untold


class Need(NamedTuple):
    """An amount that a call needs of a counter."""

    held: Held
    amount: int


class Holdings:
    """The counters of one tenant that this replica uses."""

    def __init__(self, tenant: Tenant, ledger: Ledger) -> None:
        self.tenant = tenant
        self.counters: dict[Counter, Held] = {}
        self._ledger = ledger
        self._alone: MemoryLedger | None = None
        """Counts while the ledger is away."""
        self._lock = asyncio.Lock()
        """One at a time speaks of the tenant's counters: an account must not arrive after a later one."""
        self._holder = uuid4().hex
        self._known = False
        self.report_due = False
        """A report is about to be made, beside the regular ones."""

    def held(self, rule: Rule, span: Span, seed: Seed | None) -> Held:
        """This replica's part of the rule's counter in a window."""
        counter = Counter(rule.key, span)
        held = self.counters.get(counter)
        if held is None:
            held = self.counters[counter] = Held(rule, counter, seed, expires=span.end or inf)
        held.rule = rule
        return held

    def part(self, rule: Rule, span: Span, seed: Seed | None) -> Held:
        """As `held`, to be looked at alone."""
        counter = Counter(rule.key, span)
        return self.counters.get(counter) or Held(rule, counter, seed)

    async def reserve(self, wanted: Sequence[Need]) -> tuple[Sequence[Need], Need | None]:
        """Reserve all that is wanted, or nothing. Return what was reserved, and what there is no room for. Raises
        Unavailable."""
        async with self._lock:
            # What was looked up may have been dropped while this waited.
            needs = [Need(self.held(held.rule, held.counter.span, held.seed), amount) for held, amount in wanted]
            while lacking := [each for each in needs if each.held.free < each.amount]:
                if (refused := await self._take(lacking)) is not None:
                    for held, _ in needs:
                        held.refused()
                    return (), refused
            for held, amount in needs:
                held.reserve(amount)
            return needs, None

    async def report(self, *, idle: bool = True) -> None:
        """Tell the ledger what was charged, and keep the lease on what is held. With `idle`, give back what was not
        used since the last such report."""
        async with self._lock:
            changed: list[Held] = []
            for held in self.counters.values():
                if idle and not held.used:
                    held.free = 0
                held.used = held.used and not idle
                if held.account != held.told:
                    changed.append(held)
            if changed or any(held.account[1] for held in self.counters.values()):
                await self._report(changed)
            now = time.time()
            for held in [each for each in self.counters.values() if _over(each, now)]:
                del self.counters[held.counter]
                held.expires = 0.0

    async def report_in_a_moment(self) -> None:
        await asyncio.sleep(_MOMENT_SECONDS)
        self.report_due = False
        await self.report(idle=False)

    async def totals(self, parts: Sequence[Held]) -> Sequence[int]:
        """The sums of what is charged, held and recorded elsewhere, of parts from `part`. Raises Unavailable."""
        try:
            sums = await self._ledger.totals(self.tenant, [each.counter for each in parts])
        except Unavailable:
            sums = [Totals(each.charged, each.reserved) for each in parts]
        totals: list[int] = []
        for part, (charged, held) in zip(parts, sums, strict=True):
            # What this replica has not reported yet, or keeps without using it.
            own = part.charged - part.told[0], part.reserved - part.told[1]
            recorded = 0 if part.seed is None else await part.seed(self.tenant, part.rule, part.counter.span)
            totals.append(max(0, max(charged + own[0], recorded) + held + own[1]))
        return totals

    async def reconcile(self) -> None:
        """Raise counters to what is recorded elsewhere. The amount is one that was read a while ago, when all that it
        holds has been reported. Raises Unavailable."""
        for held in [each for each in self.counters.values() if each.unchecked and each.counted_elsewhere]:
            held.unchecked = held.reserved > 0
            if held.recorded is not None:
                await self._ledger.raise_to(self.tenant, held.counter, held.recorded)
            await self._read(held)

    async def leave(self) -> None:
        """Report all, and give everything back."""
        for held in self.counters.values():
            held.used = False
        await self.report()
        async with self._lock:
            try:
                if self._known:
                    await self._ledger.leave(self.tenant, self._holder)
            except Unavailable:
                log.debug("quotas not given back: the lease ends by itself")

    async def _take(self, lacking: Sequence[Need]) -> Need | None:
        """Take what the needs lack, all or nothing. Return the first that there is no room for."""
        try:
            found = await self._from_ledger(lacking)
            self._alone = None
        except Unavailable:
            found = await self._from_memory(lacking)
        for need, each in zip(lacking, found, strict=True):
            if not each.granted and each.total + need.amount - need.held.free > _limit(need.held.rule):
                return need
        return None

    async def _from_ledger(self, lacking: Sequence[Need]) -> Sequence[Granted]:
        for _ in range(_ATTEMPTS):
            for held, _ in lacking:
                if held.outdated:
                    await self._raise(self._ledger, held)
            claims = [held.claim(amount) for held, amount in lacking]
            try:
                found = await self._ledger.take(self.tenant, self._holder, claims, known=self._known)
            except LeaseLost:
                self._lost()
                continue
            self._known = True
            for need, claim, granted in zip(lacking, claims, found, strict=True):
                need.held.took(granted, (claim.charged, claim.held))
                need.held.outdated = not granted.seeded
            if all(granted.seeded for granted in found):
                return found
        raise Unavailable("The quotas of this call cannot be checked now. Try again.", retry_after=1.0)

    async def _from_memory(self, lacking: Sequence[Need]) -> Sequence[Granted]:
        """Grant by what this replica knows, without the others. Raises Unavailable where what is recorded elsewhere
        cannot be read: a budget is not to be passed unseen."""
        if self._alone is None:
            log.warning("quotas are counted by this replica alone: the ledger is away", tenant=self.tenant.slug)
            self._alone = MemoryLedger(lease_seconds=inf)
        claims: list[Claim] = []
        for held, amount in lacking:
            if held.counted_elsewhere:
                if time.monotonic() - held.recorded_at > _RECORDED_SECONDS:
                    await self._read(held)
                await self._alone.raise_to(self.tenant, held.counter, held.recorded or 0)
            claim = held.claim(amount)
            claim.most = claim.least
            claims.append(claim)
        found = await self._alone.take(self.tenant, self._holder, claims, known=False)
        for need, granted in zip(lacking, found, strict=True):
            need.held.free += granted.granted
        return found

    async def _report(self, changed: Sequence[Held]) -> None:
        accounts = [held.account for held in changed]
        reports = [Report(held.counter, *account) for held, account in zip(changed, accounts, strict=True)]
        try:
            await self._ledger.report(self.tenant, self._holder, reports, known=self._known)
            self._known = True
        except LeaseLost:
            self._lost()
        except Unavailable:
            log.debug("quotas not reported")
        else:
            for held, account in zip(changed, accounts, strict=True):
                held.told = account

    def _lost(self) -> None:
        self._holder, self._known = uuid4().hex, False
        for held in self.counters.values():
            held.lost()

    async def _raise(self, ledger: Ledger, held: Held) -> None:
        await self._read(held)
        await ledger.raise_to(self.tenant, held.counter, held.recorded or 0)
        held.outdated = False

    async def _read(self, held: Held) -> None:
        assert held.seed is not None
        held.recorded = await held.seed(self.tenant, held.rule, held.counter.span)
        held.recorded_at = time.monotonic()


def _limit(rule: Rule) -> int:
    return LARGEST if rule.window is Window.TOTAL else rule.limit


def _over(held: Held, now: float) -> bool:
    """Return whether a counter is of no use any more, and the ledger has its last account."""
    if held.reserved or held.account != held.told:
        return False
    end = held.counter.span.end
    return end <= now if end else held.told == (0, 0)
