"""Usage reports: totals by group, and single records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core import fields
from core.context import Identity, Kind
from core.errors import InvalidInput, PermissionDenied
from core.offload import offload
from core.permissions import allows
from core.storage.checks import MAX_TOTALS
from core.storage.ports import Document, DocumentStore
from core.tenancy import AllProjects
from services.inference.domain.tables import USAGE, UsageScope
from services.inference.domain.usage.calls import STATUSES
from services.inference.domain.usage.periods import Span, checked_period, checked_span, period_name
from services.inference.domain.usage.totals import Tally, Total, UsageTotals, cube_of

GROUPS: Mapping[str, str] = {
    "model": "model",
    "project": "project",
    "token": "tokenId",
    "user": "userId",
    "day": "day",
    "hour": "start",
    "month": "month",
    "agent": "agent",
    "operation": "operation",
    "status": "status",
    "provider": "providerKey",
}
"""Keys that usage can be grouped by, and the record's field of each."""

_ALL_PROJECTS = "usage:admin"
_MAX_GROUP_BY = 256
_ROW_WEIGHT = 1024
"""Bytes of a body that take as long to read as a row takes to add up."""


@dataclass(slots=True)
class Row(Tally):
    """Totals of one group in one currency."""

    group: dict[str, str]
    currency: str


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Empty or None: any. Times are Unix seconds; `start` is inclusive, `end` exclusive."""

    model: str = ""
    token_id: str = ""
    status: str = ""
    start: float | None = None
    end: float | None = None


def usage_scope_of(identity: Identity, all_projects: bool) -> UsageScope:
    """The usage scope of a caller. Raises PermissionDenied."""
    if not all_projects:
        return identity.project
    if identity.kind is not Kind.SESSION:
        raise PermissionDenied(
            "An API token sees the usage of its own project alone. Sign in to see that of all.", field="allProjects"
        )
    if not allows(identity.scopes, _ALL_PROJECTS):
        raise PermissionDenied(
            f"allProjects needs the scope {_ALL_PROJECTS}.",
            reason="MISSING_SCOPE",
            field="allProjects",
            metadata={"scope": _ALL_PROJECTS},
        )
    return AllProjects(identity.tenant)


class Reports:
    """Reads what the meter wrote."""

    def __init__(self, store: DocumentStore, totals: UsageTotals) -> None:
        self._store = store
        self._totals = totals

    async def totals(self, scope: UsageScope, wanted: UsageFilter, group_by: str) -> tuple[list[Row], list[Row]]:
        """Rows by group, at most MAX_TOTALS of them, and rows over everything. Raises InvalidInput."""
        groups = _groups(group_by)
        span = checked_span(wanted.start, wanted.end)
        if "hour" in groups:
            checked_period("hour", span, "", "groupBy")
        where, names = _where(wanted), ["currency", "status"]
        columns = list(dict.fromkeys([*(GROUPS[name] for name in groups), *names]))
        parts = await self._read(scope, where, span, columns)
        whole = parts
        if len(parts) == MAX_TOTALS:  # there may be more, and totals are over everything
            whole = await self._read(scope, where, span, names)
        return await offload(lambda: (_rows(parts, groups), _rows(whole, ())), len(parts) * _ROW_WEIGHT)

    async def _read(self, scope: UsageScope, where: dict[str, Any], span: Span, columns: list[str]) -> list[Total]:
        return await self._totals.read(scope, cube_of([*where, *columns]), where, span.period, columns)

    async def records(
        self, scope: UsageScope, wanted: UsageFilter, *, size: int = 0, token: str = ""
    ) -> tuple[list[Document], str]:
        """One page, newest first, and the token of the next. Raises InvalidInput."""
        limit = fields.page_size(size)
        page = await self._store.find(scope, USAGE, _where(wanted), page_size=limit, page_token=token)
        return page.items, page.next_token


def _groups(text: str) -> tuple[str, ...]:
    if len(text) > _MAX_GROUP_BY:
        raise InvalidInput(f"groupBy must have at most {_MAX_GROUP_BY} characters.", field="groupBy")
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip())) or ("model",)
    if unknown := [name for name in names if name not in GROUPS]:
        raise InvalidInput(f"groupBy knows {', '.join(GROUPS)}, not {unknown[0][:64]}.", field="groupBy")
    return names


def _where(wanted: UsageFilter) -> dict[str, Any]:
    if wanted.status:
        fields.one_of("status", wanted.status, STATUSES)
    given = {"model": wanted.model, "tokenId": wanted.token_id, "status": wanted.status}
    return {name: value for name, value in given.items() if value}


def _rows(parts: list[Total], groups: tuple[str, ...]) -> list[Row]:
    rows: dict[tuple[str, ...], Row] = {}
    for part in parts:
        values = {name: period_name(part.group[GROUPS[name]]) for name in groups}
        currency = part.group["currency"]
        rows.setdefault((*values.values(), currency), Row(values, currency)).add(part)
    return list(rows.values())
