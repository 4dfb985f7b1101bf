"""The spend that usage roll-ups record, which budgets begin with and are held against."""

from collections.abc import Awaitable, Callable

from core.quotas.rules import Rule, Span
from core.tenancy import AllProjects, Project, Tenant
from services.inference.domain.tables import UsageScope
from services.inference.domain.usage.calls import CATEGORIES
from services.inference.domain.usage.totals import UsageTotals, cube_of

GLOBAL = "global"
_FIELDS = {"user": "userId", "token": "tokenId", "model": "model", "provider": "providerKey"}
"""Dimension of roll-ups for each scope of rules that is one."""
_PROJECT = "project"
_OPERATION = "operation"


class RecordedSpend:
    """The sum of the roll-ups for a rule's counter, in billionths. `flush` writes what this process has not written
    yet. Amounts of all currencies are added as if they were one."""

    def __init__(self, totals: UsageTotals, flush: Callable[[], Awaitable[None]]) -> None:
        self._totals = totals
        self._flush = flush

    async def __call__(self, tenant: Tenant, rule: Rule, span: Span) -> int:
        """Raises Unavailable."""
        await self._flush()
        project = rule.scope_id if rule.scope == _PROJECT else rule.project
        scope: UsageScope = Project(tenant, project) if project else AllProjects(tenant)
        field = _FIELDS.get(rule.scope)
        where = {field: rule.scope_id} if field else {}
        names = [_OPERATION]
        found = await self._totals.read(scope, cube_of([*where, *names]), where, (span.start, span.end), names)
        return sum(
            each.sums["costNanos"]
            for each in found
            if rule.domain == GLOBAL or CATEGORIES.get(each.group[_OPERATION]) == rule.domain
        )
