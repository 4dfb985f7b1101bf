"""Conversion of the standings of limits and budgets to messages. Pure."""

from core.quotas.rules import Dimension
from core.quotas.standing import Standing
from core.rpc.values import timestamp_of
from portico.inference.v1 import quota_status_service_pb2 as pb
from services.inference.domain.usage.metering import NANOS
from services.inference.domain.usage.quota_status import BudgetStatus, LimitStatus

_SCOPES = {"model": "resource"}
"""Scopes where policies call them otherwise than rules."""


def limit(status: LimitStatus) -> pb.QuotaStanding:
    rule, standing = status.rule, status.standing
    unit = NANOS if rule.dimension is Dimension.SPEND else 1
    return pb.QuotaStanding(
        scope=_SCOPES.get(rule.scope, rule.scope),
        scope_id=rule.scope_id,
        domain=rule.domain,
        policy_id=rule.policy,
        label=rule.label,
        dimension=rule.dimension.value,
        window=rule.window.value,
        limit=rule.limit / unit,
        used=None if standing is None else standing.used / unit,
        remaining=None if standing is None else standing.remaining / unit,
        reset_at=timestamp_of(standing.reset) if standing is not None and standing.reset else None,
    )


def budget_status(status: BudgetStatus) -> pb.GetBudgetStatusResponse:
    found = [each for each in (status.day, status.month) if each is not None]
    thresholds = sorted({percent for each in found for percent in each.rule.thresholds})
    return pb.GetBudgetStatusResponse(
        object="budget.status",
        domain=status.domain,
        configured=bool(found),
        per_day=_window(status.day),
        per_month=_window(status.month),
        alert_thresholds=[percent / 100 for percent in thresholds],
    )


def _window(standing: Standing | None) -> pb.BudgetWindow:
    if standing is None:
        return pb.BudgetWindow()
    return pb.BudgetWindow(
        limit_usd=standing.rule.limit / NANOS,
        used_usd=standing.used / NANOS,
        remaining_usd=standing.remaining / NANOS,
    )
