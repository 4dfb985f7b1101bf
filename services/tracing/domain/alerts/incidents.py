"""Incidents: at most one that is unresolved for each rule, with states, notes and assignment."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from core import fields
from core.errors import Conflict, FailedPrecondition, NotFound
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.table import Table
from core.tenancy import Project
from services.tracing.domain.alerts.metrics import METRICS, SEVERITIES, sentence, severity
from services.tracing.domain.alerts.records import (
    ACKNOWLEDGED,
    AUTO,
    CLOSED,
    INCIDENTS,
    OPEN,
    REOPENED,
    RESOLVED,
    STATES,
    UNRESOLVED,
    AlertRule,
    Incident,
    IncidentNote,
)

MAX_INCIDENT_NOTES = 200
_MAX_NOTE = 4000

_NEXT: Mapping[str, frozenset[str]] = {
    **{state: frozenset(STATES) for state in UNRESOLVED},
    RESOLVED: frozenset({RESOLVED, CLOSED, OPEN}),
    CLOSED: frozenset({CLOSED, OPEN}),
}
"""States that may follow each state."""


class Incidents:
    """`keep_seconds`: how long an incident is kept after its end."""

    def __init__(self, store: DocumentStore, *, keep_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self.table = Table(store, INCIDENTS, Incident)
        self._keep_seconds = keep_seconds
        self._clock = clock

    async def get(self, project: Project, id: str) -> Incident:
        """Raises NotFound."""
        incident = await self.table.get(project, id)
        if incident is None:
            raise NotFound("There is no such incident.", reason="INCIDENT_NOT_FOUND", field="id")
        return incident

    async def page(
        self, project: Project, where: Mapping[str, str], page_size: int, page_token: str
    ) -> tuple[list[Incident], str]:
        """Incidents, newest first; `where` by documents' fields, empty values meaning all."""
        if status := where.get("status"):
            fields.one_of("status", status, STATES)
        if wanted := where.get("severity"):
            fields.one_of("severity", wanted, SEVERITIES)
        given = {name: value for name, value in where.items() if value}
        return await self.table.page(project, given, page_size=fields.page_size(page_size), page_token=page_token)

    async def open_of(self, project: Project, rule_ids: Sequence[str]) -> Mapping[str, Incident]:
        """The unresolved incident of each of these rules that has one, by rule."""
        if not rule_ids:
            return {}
        found = self.table.scan(project, {"openKey": Cond(Op.IN, list(rule_ids))})
        return {incident.rule_id: incident async for incident in found}

    async def unannounced(self, project: Project) -> AsyncIterator[Incident]:
        """Incidents whose last change is not yet in the history."""
        async for incident in self.table.scan(project, {"unannounced": Cond(Op.GT, "")}):
            yield incident

    async def fire(self, project: Project, rule: AlertRule, value: float | None) -> Incident | None:
        """Open an incident of the rule; None where there is one already."""
        metric, now = METRICS[rule.module, rule.metric], self._clock()
        incident = Incident(
            id=f"inc_{uuid4().hex}",
            rule_id=rule.id,
            rule_name=rule.name,
            module=rule.module,
            metric=rule.metric,
            severity=severity(metric, rule.operator, rule.threshold, value),
            condition=sentence(metric, rule.operator, rule.threshold, rule.window_minutes),
            fired_at=now,
            created_at=now,
            last_value=value,
            open_key=rule.id,
        )
        try:
            await self.table.insert(project, incident)
        except Conflict:
            return None
        return incident

    async def last(self, project: Project, rule_id: str) -> Incident | None:
        """The rule's newest incident."""
        found, _ = await self.table.page(project, {"ruleId": rule_id}, page_size=1)
        return found[0] if found else None

    async def reopen(self, project: Project, incident: Incident, value: float | None) -> Incident | None:
        """Open an incident again that had resolved by itself; None where it was changed meanwhile."""
        return await self._move(project, incident, OPEN, "", last_value=value)

    async def resolve(self, project: Project, incident: Incident, by: str, **changes: Any) -> Incident | None:
        """Resolve an incident; None where it was changed meanwhile."""
        return await self._move(project, incident, RESOLVED, by, **changes)

    async def update(
        self,
        project: Project,
        id: str,
        by: str,
        *,
        status: str | None = None,
        severity: str | None = None,
        assigned_to: str | None = None,
    ) -> Incident:
        """Change an incident. Raises NotFound, InvalidInput, FailedPrecondition, Conflict."""
        incident = await self.get(project, id)
        changes: dict[str, Any] = {}
        if severity is not None:
            changes["severity"] = fields.one_of("severity", severity, SEVERITIES)
        if assigned_to is not None:
            changes["assigned_to"] = fields.text("assignedTo", assigned_to, at_most=64)
        wanted = incident.status if status is None else fields.one_of("status", status, STATES)
        if wanted not in _NEXT[incident.status]:
            raise FailedPrecondition(
                f"An incident that is {incident.status} cannot become {wanted}.", reason="WRONG_STATE", field="status"
            )
        updated = await self._move(project, incident, wanted, by, **changes)
        if updated is None:
            raise Conflict("The incident was changed at the same time. Try again.", reason="CHANGED_MEANWHILE")
        return updated

    async def add_note(self, project: Project, id: str, by: str, content: str) -> Incident:
        """Raises NotFound, InvalidInput, FailedPrecondition (too many), Conflict."""
        note = IncidentNote(by, fields.text("content", content, at_least=1, at_most=_MAX_NOTE), self._clock())
        while True:
            incident = await self.get(project, id)
            if len(incident.notes) >= MAX_INCIDENT_NOTES:
                raise FailedPrecondition(
                    f"An incident has at most {MAX_INCIDENT_NOTES} notes.", reason="TOO_MANY_NOTES"
                )
            notes = (*incident.notes, note)
            same = {"noteCount": incident.note_count}  # or somebody else has added one meanwhile
            updated = await self.table.update(project, id, where=same, notes=notes, note_count=len(notes))
            if updated is not None:
                return updated

    async def resolve_of(self, project: Project, rule_id: str, by: str) -> None:
        """Resolve the open incident of a rule, if there is one: it has lost its meaning."""
        if (incident := (await self.open_of(project, [rule_id])).get(rule_id)) is not None:
            await self.resolve(project, incident, by)

    async def announced(self, project: Project, incident: Incident, *, told: bool) -> None:
        """Note that the last change of an incident is in the history; `told`: its firing was notified."""
        await self.table.update(
            project, incident.id, where={"transitions": incident.transitions}, unannounced=None, told=told
        )

    async def remove_all(self, project: Project) -> None:
        await self.table.delete_where(project, {})

    async def _move(
        self, project: Project, incident: Incident, status: str, by: str, **changes: Any
    ) -> Incident | None:
        """Write a state with what goes with it; None where the incident was changed meanwhile. Raises
        FailedPrecondition where another incident of the rule is open."""
        now, was_open, is_open = self._clock(), incident.status in UNRESOLVED, status in UNRESOLVED
        changes["status"] = status
        if status == ACKNOWLEDGED and incident.acknowledged_at is None:
            changes["acknowledged_at"] = now
        if status == CLOSED and incident.status != CLOSED:
            changes["closed_at"] = now
        if was_open and not is_open:
            changes |= {"open_key": None, "resolved_at": now, "resolved_by": by, "unannounced": RESOLVED}
        if is_open and not was_open:
            changes |= {"open_key": incident.rule_id, "resolved_at": None, "resolved_by": "", "closed_at": None}
            changes["unannounced"] = REOPENED
        if was_open != is_open:
            changes["transitions"] = incident.transitions + 1
        changes["expires_at"] = None if is_open else now + self._keep_seconds
        same = {"status": incident.status, "transitions": incident.transitions}
        try:
            return await self.table.update(project, incident.id, where=same, **changes)
        except Conflict:
            raise FailedPrecondition(
                "The rule has another open incident.", reason="INCIDENT_OPEN", field="status"
            ) from None


def resolved_itself(incident: Incident) -> bool:
    return incident.status == RESOLVED and incident.resolved_by == AUTO
