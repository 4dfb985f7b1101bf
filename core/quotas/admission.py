"""Admission: what a call will need is reserved before it runs, and what it used is charged when it has ended.

with await admission.admit(subject, {Dimension.REQUESTS: 1, Dimension.VECTORS: 100}) as reservation:
    ...
    reservation.settle({Dimension.VECTORS: 98})
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from core import logs
from core.bounded import BoundedDict
from core.errors import Unavailable
from core.quotas import standing
from core.quotas.holdings import Held, Holdings, Need
from core.quotas.ports import Ledger, Seed
from core.quotas.rules import Amounts, Dimension, Rule, RuleSource, Subject, Window, span_of
from core.quotas.standing import Standing
from core.tasks import Tasks
from core.tenancy import Tenant

REPORT_SECONDS = 5.0
RECONCILE_SECONDS = 30.0
_MAX_PLANS = 100_000
_NOTHING: Mapping[Dimension, int] = {}
NO_FIELDS: Mapping[Dimension, str] = {}

log = logs.get(__name__)


class _Counted:
    """A rule with the counter of its present window."""

    __slots__ = ("held", "rule", "seed")

    def __init__(self, rule: Rule, seed: Seed | None) -> None:
        self.rule = rule
        self.seed = seed
        self.held: Held | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """The rules of a subject, compiled."""

    rules: tuple[Rule, ...]
    holdings: Holdings
    counted: Sequence[_Counted]
    per_request: Sequence[Rule]


class Reservation:
    """The amounts that a call may use. It must be settled or released; whichever comes first counts, and all later
    calls do nothing. As a context manager it settles as reserved; after an exception it charges the requests alone."""

    __slots__ = ("_admission", "_plan", "_settled", "lines")

    def __init__(self, admission: "Admission", plan: _Plan | None) -> None:
        self._admission = admission
        self._plan = plan
        self._settled = False
        self.lines: dict[Held, int] = {}
        """Reserved amounts by counter."""

    def __bool__(self) -> bool:
        """False where no limit holds for the call."""
        return bool(self.lines)

    def has(self, dimension: Dimension) -> bool:
        """Return whether a limit of this dimension holds for the call."""
        return any(held.rule.dimension is dimension for held in self.lines)

    async def extend(self, amounts: Amounts) -> None:
        """Reserve more, so that these amounts are reserved in all. Raises as `Admission.admit`."""
        if self._plan is None or self._settled:
            return
        needs = [
            Need(held, amount - reserved)
            for held, reserved in self.lines.items()
            if (amount := amounts.get(held.rule.dimension, 0)) > reserved
        ]
        await self._admission.reserve(self, self._plan.holdings, needs)

    def settle(self, used: Amounts = _NOTHING) -> None:
        """Charge what was used, which may be more than what was reserved, and return the rest. Dimensions that are not
        named are charged as reserved."""
        if self._settled or self._plan is None:
            return
        self._settled, urgent = True, False
        for held, reserved in self.lines.items():
            urgent |= held.settle(reserved, used.get(held.rule.dimension, reserved))
        if urgent:
            self._admission.report_soon(self._plan.holdings)

    def release(self) -> None:
        """Return all of it: the call was not made."""
        self.settle(dict.fromkeys(Dimension, 0))

    def standings(self) -> Sequence[Standing]:
        """The standings of the call's limits, as far as this replica knows."""
        return [standing_of(held) for held in self.lines]

    def headers(self) -> standing.Pairs:
        """The headers X-RateLimit-* for the answer; names in lower case."""
        return standing.headers(self.standings()) if self.lines else ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.settle({each: 0 for each in Dimension if each is not Dimension.REQUESTS} if kind else _NOTHING)


class Admission:
    """Admits calls under the rules that hold for them.

    `seeds` tell by dimension what is recorded elsewhere: the spend of a window, which counters begin with, and of
    totals what there is. `look` is shown the counters of limits with thresholds when they have changed.
    """

    def __init__(
        self,
        ledger: Ledger,
        rules: RuleSource,
        seeds: Mapping[Dimension, Seed],
        tasks: Tasks,
        look: Callable[[Tenant, Held], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._seeds = dict(seeds)
        self._tasks = tasks
        self._look = look
        self._holdings: dict[str, Holdings] = {}
        self._plans: BoundedDict[int, _Plan] = BoundedDict(_MAX_PLANS)

    def count_from(self, dimension: Dimension, seed: Seed) -> None:
        """Name the source of what is recorded elsewhere of a dimension. Call it before the first call is admitted."""
        self._seeds[dimension] = seed

    def rules(self, subject: Subject) -> tuple[Rule, ...] | None:
        """The subject's rules, if they are in memory. Where there are none, the call needs no admission."""
        return self._rules.known(subject)

    async def rules_for(self, subject: Subject) -> tuple[Rule, ...]:
        """The subject's rules. Raises Unavailable."""
        rules = self._rules.known(subject)
        return await self._rules.find(subject) if rules is None else rules

    async def admit(
        self, subject: Subject, amounts: Amounts, *, fields: Mapping[Dimension, str] = NO_FIELDS
    ) -> Reservation:
        """Reserve the amounts in all counters of the subject's rules, or in none.

        Raises InvalidInput where they are more than one call may use, with the field that `fields` names; RateLimited
        where a window has no room, BudgetExceeded for a budget or a total; Unavailable where a budget can be read
        nowhere.
        """
        rules = await self.rules_for(subject)
        if not rules:
            return Reservation(self, None)
        plan = self._plan(subject.project.tenant, rules)
        reservation = Reservation(self, plan)
        await self._admit(reservation, plan, amounts, fields)
        return reservation

    async def widen(self, reservation: Reservation, subject: Subject, amounts: Amounts) -> None:
        """Reserve for another subject too, whose call is the same: what of the amounts is not reserved yet. Raises as
        `admit`; what was reserved before stays."""
        rules = await self.rules_for(subject)
        if rules:
            await self._admit(reservation, self._plan(subject.project.tenant, rules), amounts, NO_FIELDS)

    async def standings(self, subject: Subject) -> Sequence[Standing]:
        """The standings of all limits of a subject, over all replicas. Raises Unavailable."""
        rules = await self.rules_for(subject)
        if not rules:
            return ()
        return await self.standings_of(subject.project.tenant, rules)

    async def standings_of(self, tenant: Tenant, rules: Sequence[Rule]) -> Sequence[Standing]:
        """The standings of these limits of a tenant, over all replicas; of limits of single calls nothing is said.
        Raises Unavailable."""
        now = time.time()
        holdings, counted = self._of(tenant), [each for each in rules if self._counts(each)]
        spans = [span_of(rule.window, now) for rule in counted]
        held = [
            holdings.part(rule, span, self._seeds.get(rule.dimension))
            for rule, span in zip(counted, spans, strict=True)
        ]
        totals = await holdings.totals(held)
        return [
            Standing(rule, total, max(0, rule.limit - total), span.end)
            for rule, span, total in zip(counted, spans, totals, strict=True)
        ]

    async def reserve(self, reservation: Reservation, holdings: Holdings, needs: Sequence[Need]) -> None:
        """Reserve for a call, all or nothing."""
        for held, amount in needs:
            if held.free < amount:
                needs, refused = await holdings.reserve(needs)
                if refused is not None:
                    raise standing.refused(standing_of(refused.held), refused.amount)
                break
        else:
            for held, amount in needs:
                held.reserve(amount)
        lines = reservation.lines
        for held, amount in needs:
            lines[held] = lines.get(held, 0) + amount

    def report_soon(self, holdings: Holdings) -> None:
        """Report in a moment: others wait for what has become free."""
        if not holdings.report_due:
            with suppress(Unavailable):  # too much background work: the next regular report tells it
                self._tasks.spawn("report quotas", holdings.report_in_a_moment())
                holdings.report_due = True

    async def report(self) -> None:
        """Tell the ledger what was charged. Call it every REPORT_SECONDS."""
        for holdings in list(self._holdings.values()):
            if self._look is not None:
                for held in holdings.counters.values():
                    if held.used and held.rule.thresholds:
                        self._look(holdings.tenant, held)
            await holdings.report()

    async def reconcile(self) -> None:
        """Hold counters against what is recorded elsewhere. Call it every RECONCILE_SECONDS."""
        for holdings in list(self._holdings.values()):
            try:
                await holdings.reconcile()
            except Unavailable:
                log.debug("quotas not reconciled", tenant=holdings.tenant.slug)

    async def close(self) -> None:
        """Report all, and give everything back."""
        for holdings in self._holdings.values():
            await holdings.leave()

    async def _admit(
        self, reservation: Reservation, plan: _Plan, amounts: Amounts, fields: Mapping[Dimension, str]
    ) -> None:
        for rule in plan.per_request:
            if (amount := amounts.get(rule.dimension, 0)) > rule.limit:
                raise standing.too_large(rule, amount, fields.get(rule.dimension))
        lines, now = reservation.lines, time.time()
        needs: list[Need] = []
        for each in plan.counted:
            amount = amounts.get(each.rule.dimension, -1)
            if amount < 0:
                continue
            held = each.held
            if held is None or held.expires <= now:
                held = each.held = plan.holdings.held(each.rule, span_of(each.rule.window, now), each.seed)
            if lines and held in lines:
                amount -= lines[held]
            needs.append(Need(held, max(0, amount)))
        await self.reserve(reservation, plan.holdings, needs)
        try:
            await self._check_totals(plan.holdings.tenant, reservation)
        except BaseException:
            reservation.release()
            raise

    async def _check_totals(self, tenant: Tenant, reservation: Reservation) -> None:
        """Hold what is reserved of totals against what there is. What others held before is counted too: of it nobody
        knows yet what will become. Raises BudgetExceeded."""
        for held, amount in reservation.lines.items():
            if held.rule.window is not Window.TOTAL or not amount or held.seed is None:
                continue
            held_by_all = held.total
            there = await held.seed(tenant, held.rule, held.counter.span)
            if there + held_by_all > held.rule.limit:
                left = max(0, held.rule.limit - there)
                raise standing.refused(Standing(held.rule, there, left, 0), amount)

    def _plan(self, tenant: Tenant, rules: tuple[Rule, ...]) -> _Plan:
        plan = self._plans.get(id(rules))
        if plan is None or plan.rules is not rules:
            holdings = self._of(tenant)
            counted = [_Counted(each, self._seeds.get(each.dimension)) for each in rules if self._counts(each)]
            per_request = [each for each in rules if each.window is Window.REQUEST]
            plan = self._plans[id(rules)] = _Plan(rules, holdings, counted, per_request)
        return plan

    def _counts(self, rule: Rule) -> bool:
        """Return whether a limit is counted here. What there is without a source is counted by its service itself."""
        return rule.window is not Window.REQUEST and (rule.window is not Window.TOTAL or rule.dimension in self._seeds)

    def _of(self, tenant: Tenant) -> Holdings:
        holdings = self._holdings.get(tenant.slug)
        if holdings is None:
            holdings = self._holdings[tenant.slug] = Holdings(tenant, self._ledger)
        return holdings


def standing_of(held: Held) -> Standing:
    """The standing of a counter, as far as this replica knows."""
    return Standing(held.rule, held.total, max(0, held.rule.limit - held.total), held.counter.span.end)
