"""The alert rules of a project."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec

from core import fields
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound
from core.storage.closed_projects import check_project_open
from core.storage.ports import DocumentStore
from core.storage.references import referring
from core.storage.table import Table
from core.tenancy import Project
from services.tracing.domain.alerts.channels import Channels, GivenChannel
from services.tracing.domain.alerts.incidents import Incidents
from services.tracing.domain.alerts.metrics import METRICS, MODULES, OPERATORS, SCOPES, AlertMetric
from services.tracing.domain.alerts.records import IGNORE, NO_DATA, RULES, AlertRule, Channel

MAX_RULES = 100
MAX_MINUTES = 43_200
_WINDOW, _COOLDOWN = 5, 60

StartEvaluation = Callable[[Project], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RuleChanges:
    """Values of a rule, new or changed. None: the default of a new rule, or unchanged."""

    name: str | None = None
    description: str | None = None
    module: str | None = None
    metric: str | None = None
    operator: str | None = None
    threshold: float | None = None
    window_minutes: int | None = None
    cooldown_minutes: int | None = None
    filters: Mapping[str, str] | None = None
    no_data: str | None = None
    auto_resolve: bool | None = None
    enabled: bool | None = None
    channels: tuple[GivenChannel, ...] | None = None


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """A rule after a change. `secrets` are those of channels that were just set, by id of the channel."""

    rule: AlertRule
    secrets: Mapping[str, str]


class AlertRules:
    """Use cases of rules. `start` makes sure that the rules of a project are evaluated."""

    def __init__(
        self,
        store: DocumentStore,
        channels: Channels,
        incidents: Incidents,
        start: StartEvaluation,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self.table = Table(store, RULES, AlertRule)
        self._channels = channels
        self._incidents = incidents
        self._start = start
        self._clock = clock

    async def create(self, project: Project, new: RuleChanges) -> WrittenRule:
        """Create a rule. Raises InvalidInput, FailedPrecondition (too many)."""
        if new.operator is None or new.threshold is None:
            raise InvalidInput("A rule needs a condition: its operator and threshold.", field="condition")
        now = self._clock()
        blank = AlertRule(
            id=uuid4().hex,
            name="",
            description="",
            module="",
            metric="",
            operator="",
            threshold=0.0,
            window_minutes=_WINDOW,
            cooldown_minutes=_COOLDOWN,
            created_at=now,
            updated_at=now,
            no_data=IGNORE,
        )
        rule, secrets = await self._changed(project, blank, new)
        if await self.table.count(project) >= MAX_RULES:
            raise FailedPrecondition(
                f"The project has {MAX_RULES} rules, which is the most there may be. Delete some first.",
                reason="TOO_MANY_RULES",
            )
        await referring(
            lambda: self.table.insert(project, rule),
            check=lambda _: check_project_open(self._store, project),
            undo=lambda _: self.table.delete(project, rule.id),
        )
        await self._start(project)
        return WrittenRule(rule, secrets)

    async def get(self, project: Project, id: str) -> AlertRule:
        """Raises NotFound."""
        rule = await self.table.get(project, id)
        if rule is None:
            raise NotFound("There is no such alert rule.", reason="ALERT_RULE_NOT_FOUND", field="id")
        return rule

    async def page(self, project: Project, page_size: int, page_token: str) -> tuple[list[AlertRule], str]:
        return await self.table.page(project, page_size=fields.page_size(page_size), page_token=page_token)

    async def enabled(self, project: Project) -> list[AlertRule]:
        return [rule async for rule in self.table.scan(project, {"enabled": True})]

    async def update(self, project: Project, id: str, changes: RuleChanges, by: str) -> WrittenRule:
        """Change a rule. Its open incident is resolved where it was about something else. Raises NotFound,
        InvalidInput, Conflict."""
        rule = await self.get(project, id)
        wanted, secrets = await self._changed(project, rule, changes)
        kept = ("id", "created_at", "last_evaluated_at", "last_value", "last_error", "last_triggered_at")
        values = {name: value for name, value in msgspec.structs.asdict(wanted).items() if name not in kept}
        values["updated_at"] = max(self._clock(), rule.updated_at + 1e-6)
        updated = await self.table.update(project, id, where={"updatedAt": rule.updated_at}, **values)
        if updated is None:
            raise Conflict("The rule was changed at the same time. Try again.", reason="CHANGED_MEANWHILE")
        if updated.watched != rule.watched or not updated.enabled:
            await self._incidents.resolve_of(project, id, by)
        return WrittenRule(updated, secrets)

    async def delete(self, project: Project, id: str, by: str) -> None:
        """Delete a rule; its open incident is resolved. Raises NotFound."""
        await self.get(project, id)
        await self.table.delete(project, id)
        await self._incidents.resolve_of(project, id, by)

    async def remove_all(self, project: Project) -> None:
        await self.table.delete_where(project, {})

    async def note(self, project: Project, rule: AlertRule, **changes: Any) -> None:
        """Write what an evaluation found, unless the rule was changed meanwhile."""
        await self.table.update(project, rule.id, where={"updatedAt": rule.updated_at}, **changes)

    async def _changed(
        self, project: Project, rule: AlertRule, changes: RuleChanges
    ) -> tuple[AlertRule, Mapping[str, str]]:
        """The rule with checked changes, every value of it, and the secrets that were set."""
        channels: tuple[Channel, ...] = rule.channels
        secrets: Mapping[str, str] = {}
        if changes.channels is not None:
            channels, secrets = await self._channels.checked(project, changes.channels, rule.channels)
        plain = {
            name: value for name, value in ((name, getattr(changes, name)) for name in _PLAIN) if value is not None
        }
        wanted = msgspec.structs.replace(rule, channels=channels, **plain)
        metric = _metric(wanted)
        return (
            msgspec.structs.replace(
                wanted,
                name=fields.text("name", wanted.name, at_least=1, at_most=200),
                description=fields.text("description", wanted.description, at_most=2000),
                operator=fields.one_of("condition.operator", wanted.operator, tuple(OPERATORS)),
                threshold=_finite(wanted.threshold),
                window_minutes=_minutes("windowMinutes", wanted.window_minutes, least=1),
                cooldown_minutes=_minutes("cooldownMinutes", wanted.cooldown_minutes, least=0),
                filters=_filters(metric, wanted.filters),
                no_data=fields.one_of("noData", wanted.no_data, NO_DATA),
            ),
            secrets,
        )


_PLAIN = tuple(name for name in RuleChanges.__dataclass_fields__ if name != "channels")


def _metric(rule: AlertRule) -> AlertMetric:
    fields.one_of("module", rule.module, MODULES)
    fields.one_of("metric", rule.metric, tuple(name for module, name in METRICS if module == rule.module))
    return METRICS[rule.module, rule.metric]


def _filters(metric: AlertMetric, filters: Mapping[str, str]) -> dict[str, str]:
    for name in SCOPES:
        if filters.get(name) and name not in metric.scopes:
            raise InvalidInput(f"The metric {metric.name} has no scope {name}.", field=f"scope.{name}")
    return {name: fields.text(f"scope.{name}", value, at_most=200) for name, value in filters.items() if value}


def _minutes(field: str, value: int, *, least: int) -> int:
    if not least <= value <= MAX_MINUTES:
        raise InvalidInput(f"{field} must be {least} to {MAX_MINUTES}.", field=field)
    return value


def _finite(threshold: float) -> float:
    if not math.isfinite(threshold):
        raise InvalidInput("A threshold is a finite number.", field="condition.threshold")
    return threshold
