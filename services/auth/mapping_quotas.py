"""Conversion between quota policies and budgets and their messages. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from google.protobuf.message import Message

from core.errors import InvalidInput
from core.quotas.limits import (
    DAILY_BUDGET,
    MONTHLY_BUDGET,
    Limits,
    cents_of,
    checked_limits,
    percents_of,
    shown,
)
from core.quotas.plans import FEATURES, Plan
from core.quotas.policies import QuotaPolicy
from core.quotas.rules import UNLIMITED
from core.rpc.values import timestamp_of
from portico.auth.v1 import budget_service_pb2, quota_service_pb2
from services.auth.domain.quota_policies import NewPolicy, PolicyChange

BUDGET_FIELDS = {"scopeId": "scope_id", "projectId": "project_id"}
"""Names of fields of a budget, where they are not those of a policy."""
_DOMAIN = "llm"
"""Domain of a budget that names none."""
_AMOUNTS = {DAILY_BUDGET: "daily_limit_usd", MONTHLY_BUDGET: "monthly_limit_usd"}
_THRESHOLDS = "limits.budget.alertThresholds"


def new_policy(request: quota_service_pb2.CreateQuotaPolicyRequest) -> NewPolicy:
    """Raises InvalidInput."""
    if not request.scope:
        raise InvalidInput("Say what the policy holds for: tenant, project, user, token...", field="scope")
    return NewPolicy(
        scope=request.scope,
        scope_id=request.scope_id,
        domain=request.domain,
        project=request.project_id,
        priority=request.priority,
        enabled=request.enabled or not request.HasField("enabled"),
        label=request.label,
        description=request.description,
        limits=_limits(request.limits),
        thresholds=percents_of(request.limits.budget.alert_thresholds, _THRESHOLDS),
    )


def policy_change(request: quota_service_pb2.UpdateQuotaPolicyRequest) -> PolicyChange:
    """Raises InvalidInput."""
    whole = request.HasField("limits")
    return PolicyChange(
        **_given(request),
        limits=_limits(request.limits) if whole else None,
        thresholds=percents_of(request.limits.budget.alert_thresholds, _THRESHOLDS) if whole else None,
    )


def policy(record: QuotaPolicy) -> quota_service_pb2.QuotaPolicy:
    return quota_service_pb2.QuotaPolicy(
        id=record.id,
        record_id=record.id,
        scope=record.scope,
        scope_id=record.scope_id,
        domain=record.domain,
        project_id=record.project_id,
        priority=record.priority,
        enabled=record.enabled,
        label=record.label,
        description=record.description,
        limits=limits_message(record.limits, record.thresholds),
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
        created_by=record.created_by,
        updated_by=record.updated_by,
    )


def plan(value: Plan) -> quota_service_pb2.Plan:
    return quota_service_pb2.Plan(
        name=value.name,
        label=value.label,
        features=[each for each in FEATURES if value.has(each)],
        limits=limits_message(value.limits),
    )


def limits_message(limits: Limits, thresholds: Iterable[int] = ()) -> quota_service_pb2.QuotaLimits:
    message = quota_service_pb2.QuotaLimits()
    for path, limit in limits.items():
        _set(message, path.split("."), shown(path, limit))
    if thresholds := tuple(thresholds):
        message.budget.alert_thresholds.extend(thresholds)
    return message


def new_budget(request: budget_service_pb2.CreateBudgetRequest) -> NewPolicy:
    """Raises InvalidInput."""
    limits = _amounts(request)
    if not limits:
        raise InvalidInput("A budget needs a limit for a day or a month.", field="monthly_limit_usd")
    return NewPolicy(
        scope=request.scope,
        scope_id=request.scope_id,
        domain=request.domain or _DOMAIN,
        project=request.project_id,
        priority=request.priority,
        enabled=request.enabled or not request.HasField("enabled"),
        label=request.label,
        description=request.description,
        limits=limits,
        thresholds=_fractions(request.alert_thresholds),
    )


def budget_change(request: budget_service_pb2.UpdateBudgetRequest, old: QuotaPolicy) -> PolicyChange:
    """Raises InvalidInput."""
    amounts = _amounts(request)
    thresholds = request.alert_thresholds
    return PolicyChange(
        **_given(request),
        limits={**old.limits, **amounts} if amounts else None,
        thresholds=_fractions(thresholds) if thresholds else None,
    )


def budget(record: QuotaPolicy) -> budget_service_pb2.Budget:
    amounts = {
        name: shown(path, limit)
        for path, name in _AMOUNTS.items()
        if (limit := record.limits.get(path, UNLIMITED)) != UNLIMITED
    }
    return budget_service_pb2.Budget(
        id=record.id,
        object="budget",
        label=record.label or None,
        description=record.description or None,
        domain=record.domain,
        scope=record.scope,
        scope_id=record.scope_id or None,
        project_id=record.project_id or None,
        alert_thresholds=[percent / 100 for percent in record.thresholds],
        enabled=record.enabled,
        priority=record.priority,
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
        **amounts,
    )


def _given(request: Any) -> Mapping[str, Any]:
    """The fields that two kinds of changes have in common."""
    names = ("priority", "enabled", "label", "description")
    return {name: getattr(request, name) for name in names if request.HasField(name)}


def _limits(message: quota_service_pb2.QuotaLimits) -> Limits:
    return checked_limits(dict(_flat(message)))


def _flat(message: Message, prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers that are set, by their paths in JSON."""
    for field, value in message.ListFields():
        path = f"{prefix}{field.json_name}"
        if isinstance(value, Message):
            yield from _flat(value, f"{path}.")
        elif isinstance(value, float):
            yield path, value


def _set(message: Any, names: list[str], value: float) -> None:
    field = next(each for each in message.DESCRIPTOR.fields if each.json_name == names[0])
    if len(names) == 1:
        setattr(message, field.name, value)
    else:
        _set(getattr(message, field.name), names[1:], value)


def _amounts(request: Any) -> dict[str, int]:
    return {path: cents_of(getattr(request, name), name) for path, name in _AMOUNTS.items() if request.HasField(name)}


def _fractions(given: Iterable[float]) -> tuple[int, ...]:
    """Thresholds that are fractions of a budget, in percent. Raises InvalidInput."""
    fractions = list(given)
    if any(not 0 < each <= 1 for each in fractions):
        raise InvalidInput(
            "A threshold is a fraction of the budget above 0 and at most 1: 0.8 stands for 80 %.",
            field="alert_thresholds",
        )
    return percents_of((round(each * 100, 6) for each in fractions), "alert_thresholds")
