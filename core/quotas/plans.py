"""Plans: the features of a tenant and the limits that hold for it as a whole, set by the operator.

A plan's limits hold beside those of the tenant's own policies, which cannot lift them. Nothing is behind a paywall: the
default plan has every feature and no limits. Operators choose a plan for each tenant and may define plans of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from core.config import setting
from core.errors import InvalidInput
from core.quotas.limits import Limits, checked_limits

FEATURES: Mapping[str, str] = {
    "LLM_CHAT": "Chat",
    "LLM_EMBEDDINGS": "Embeddings",
    "RERANKER": "Reranking",
    "MODEL_MANAGEMENT": "Management of models and providers",
    "PROMPTS": "Prompts",
    "GUARDRAILS": "Guardrails and PII",
    "VECTOR_STORE": "Vectors",
    "FILES": "Files",
    "RAG_PIPELINE": "Knowledge",
    "MEMORY": "Memory",
    "AGENT_TRACING": "Tracing",
    "ALERTS": "Alerts",
    "INFERENCE_MONITORING": "Monitoring of inference servers",
    "SPEND_BUDGETS": "Spend reports and budgets",
    "QUOTA_MANAGEMENT": "Management of quotas",
}
"""Names of the features that a plan may leave out, with what they are called for people."""

DEFAULT_PLAN = "on_premise"


class Plan(msgspec.Struct, frozen=True):
    """A plan. `features` is None where it has all of them."""

    name: str
    label: str
    features: frozenset[str] | None = None
    limits: Limits = {}

    def has(self, feature: str) -> bool:
        return not feature or self.features is None or feature in self.features


def _requests(name: str, label: str, per_month: int, **standing: int) -> Plan:
    return Plan(
        name,
        label,
        limits={"rateLimit.requests.perMonth": per_month}
        | {f"quotas.{each}": limit for each, limit in standing.items()},
    )


BUILT_IN = (
    _requests("free", "Free", 1_000, maxProjects=2),
    _requests("starter", "Starter", 10_000),
    _requests("professional", "Professional", 100_000),
    Plan("enterprise", "Enterprise"),
    Plan(DEFAULT_PLAN, "On premise"),
)


class Plans:
    """The plans of an installation. Raises ValueError where the default is none of them."""

    def __init__(self, plans: Mapping[str, Plan], default: str = DEFAULT_PLAN) -> None:
        if default not in plans:
            raise ValueError(f"there is no plan {default!r}; plans are {', '.join(sorted(plans))}")
        self._plans = dict(plans)
        self.default = default

    @classmethod
    def built_in(cls) -> "Plans":
        return cls({plan.name: plan for plan in BUILT_IN})

    def __iter__(self) -> Any:
        return iter(self._plans.values())

    def get(self, name: str) -> Plan | None:
        """The plan of this name, in any case; of an empty name the default."""
        return self._plans.get(name.lower() or self.default)

    def of(self, name: str) -> Plan:
        """The plan of a tenant: that of this name, or the default where there is none any more."""
        return self.get(name) or self._plans[self.default]


@dataclass(frozen=True)
class PlanSettings:
    """Plans of tenants"""

    default: str = setting(
        "PORTICO_DEFAULT_PLAN", default=DEFAULT_PLAN, help="Plan of tenants for which no other was chosen."
    )
    file: Path | None = setting(
        "PORTICO_PLANS_FILE",
        default=None,
        help="JSON file with further plans, or others of the names of the built-in ones; see docs/quotas.md.",
    )

    def __post_init__(self) -> None:
        self.plans()

    def plans(self) -> Plans:
        """The built-in plans and those of the file. Raises ValueError for a file that cannot be used."""
        plans = {plan.name: plan for plan in BUILT_IN}
        if self.file is not None:
            plans |= _read(self.file)
        return Plans(plans, self.default.lower())


class _PlanEntry(msgspec.Struct, forbid_unknown_fields=True):
    """A plan in the file."""

    label: str = ""
    features: list[str] | None = None
    limits: dict[str, Any] = {}


def _read(path: Path) -> dict[str, Plan]:
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=dict[str, _PlanEntry])
    except OSError:
        raise ValueError("the file with the plans cannot be read") from None
    except msgspec.MsgspecError as error:
        raise ValueError(f"the file with the plans is not as it must be: {error}") from None
    return {name.lower(): _plan(name.lower(), entry) for name, entry in entries.items()}


def _plan(name: str, entry: _PlanEntry) -> Plan:
    features = None if entry.features is None else frozenset(entry.features)
    if features and (unknown := features - FEATURES.keys()):
        raise ValueError(f"plan {name!r} has an unknown feature {sorted(unknown)[0]!r}")
    try:
        limits = checked_limits(dict(_flat(entry.limits)))
    except InvalidInput as error:
        raise ValueError(f"plan {name!r}: {error.field}: {error.message}") from None
    return Plan(name, entry.label or name.capitalize(), features, limits)


def _flat(nested: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Numbers of nested objects by their paths."""
    found: list[tuple[str, float]] = []
    for name, value in nested.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found += _flat(value, f"{path}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((path, value))
        else:
            raise ValueError(f"{path} is not a number")
    return found
