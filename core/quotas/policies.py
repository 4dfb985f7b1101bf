"""Quota policies of a tenant, and the rules that they make for a call. Pure.

Within one scope and scope id, a policy of higher priority overrides another limit by limit; limits of different scopes,
domains and projects all hold. The plan's limits hold beside them.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from core.quotas.limits import BUDGETS, COUNTED, Limits
from core.quotas.plans import Plan
from core.quotas.rules import Rule, Subject
from core.storage.ports import BOOLEAN, JSON, TEXT, TIME, Collection, Level
from core.storage.table import Record

TENANT, PROJECT, USER, TOKEN, RESOURCE, PROVIDER = "tenant", "project", "user", "token", "resource", "provider"
SCOPES = (TENANT, PROJECT, USER, TOKEN, RESOURCE, PROVIDER)
EACH = "*"
"""Scope id of a policy that holds for each user, token and so on by itself."""

GLOBAL = "global"
DOMAINS = (GLOBAL, "llm", "embedding", "rerank", "vector", "file", "rag", "memory", "tracing", "stt", "tts", "ocr")
"""Domains of policies; the last three are known to clients and count nothing yet."""
PLAN = "plan"
"""Scope of the rules that a plan makes, which no policy has."""

QUOTA_POLICIES = Collection(
    "quota_policies",
    Level.TENANT,
    {"createdAt": TIME, "scope": TEXT, "domain": TEXT, "projectId": TEXT, "budget": BOOLEAN, "limits": JSON},
    indexes=(("createdAt",),),
)

_RULE_SCOPES = {RESOURCE: "model"}
"""Scopes of rules where they are called otherwise than in policies."""


class QuotaPolicy(Record, frozen=True, omit_defaults=True):
    """A policy. `scope_id` is empty for the tenant; `project_id` is empty where calls of all projects count."""

    id: str
    created_at: float
    updated_at: float
    scope: str
    domain: str
    scope_id: str = ""
    project_id: str = ""
    priority: int = 0
    enabled: bool = True
    label: str = ""
    description: str = ""
    limits: Limits = msgspec.field(default_factory=dict)
    thresholds: tuple[int, ...] = ()
    """Percents of the budgets that raise an alert."""
    budget: bool = False
    """True if it limits what is spent."""
    created_by: str = ""
    updated_by: str = ""


class _Group(NamedTuple):
    """Limits that override each other."""

    scope: str
    scope_id: str
    project: str
    domain: str


class _Limit(NamedTuple):
    value: int
    policy: QuotaPolicy


def rules_for(policies: Iterable[QuotaPolicy], plan: Plan, subject: Subject) -> tuple[Rule, ...]:
    """The rules that hold for a call. `policies` come as `in_order` gives them."""
    groups: dict[_Group, dict[str, _Limit]] = {}
    thresholds: dict[_Group, tuple[int, ...]] = {}
    for policy in policies:
        if (group := _group_of(policy, subject)) is not None:
            limits = groups.setdefault(group, {})
            limits |= {path: _Limit(value, policy) for path, value in policy.limits.items()}
            if policy.thresholds:
                thresholds[group] = policy.thresholds
    rules = list(_plan_rules(plan))
    for group, limits in groups.items():
        rules += (
            _rule(group, path, limit, thresholds.get(group, ())) for path, limit in limits.items() if limit.value >= 0
        )
    return tuple(rules)


def in_order(policies: Iterable[QuotaPolicy]) -> Sequence[QuotaPolicy]:
    """Enabled policies, those that override others last: by priority, then those that name one id, then the newest."""
    enabled = (policy for policy in policies if policy.enabled)
    return sorted(enabled, key=lambda each: (each.priority, each.scope_id != EACH, each.created_at, each.id))


def _group_of(policy: QuotaPolicy, subject: Subject) -> _Group | None:
    """The group of a policy that holds for the call; None: it does not."""
    if policy.domain not in (GLOBAL, subject.domain) or policy.project_id not in ("", subject.project.id):
        return None
    if policy.scope == TENANT:
        return _Group(TENANT, "", policy.project_id, policy.domain)
    id = _id_in(subject, policy.scope)
    if not id or policy.scope_id not in (EACH, id):
        return None
    return _Group(policy.scope, id, policy.project_id, policy.domain)


def _id_in(subject: Subject, scope: str) -> str:
    match scope:
        case "project":
            return subject.project.id
        case "user":
            return subject.user
        case "token":
            return subject.token
        case "provider":
            return subject.provider
        case _:
            return subject.model


def _rule(group: _Group, path: str, limit: _Limit, thresholds: tuple[int, ...]) -> Rule:
    counted = COUNTED[path]
    return Rule(
        scope=_RULE_SCOPES.get(group.scope, group.scope),
        scope_id=group.scope_id,
        domain=group.domain,
        dimension=counted.dimension,
        window=counted.window,
        limit=limit.value * counted.unit,
        policy=limit.policy.id,
        label=limit.policy.label,
        thresholds=thresholds if path in BUDGETS else (),
        project=group.project,
    )


def _plan_rules(plan: Plan) -> Iterator[Rule]:
    for path, value in plan.limits.items():
        if value >= 0:
            counted = COUNTED[path]
            yield Rule(
                PLAN, "", GLOBAL, counted.dimension, counted.window, value * counted.unit, label=f"plan {plan.label}"
            )
