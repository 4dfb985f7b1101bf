"""Usage reports: totals by group, and single records."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core import fields
from core.context import Identity, Kind
from core.errors import InvalidInput, PermissionDenied
from core.offload import offload
from core.permissions import allows
from core.storage.checks import MAX_TOTALS
from core.storage.ports import Cond, Document, DocumentStore, Op
from core.tenancy import AllProjects
from services.inference.domain.tables import USAGE, UsageScope
from services.inference.domain.usage.calls import CANCELLED, ERROR, STATUSES

GROUPS: Mapping[str, str] = {
    "model": "model",
    "project": "project",
    "token": "tokenId",
    "user": "userId",
    "day": "day",
    "operation": "operation",
    "status": "status",
    "provider": "providerKey",
}
"""Keys that usage can be grouped by, and the record's field of each."""

_SUMS = ("inputTokens", "outputTokens", "cachedInputTokens", "reasoningTokens", "totalTokens", "costNanos", "latencyMs")
_ALL_PROJECTS = "usage:admin"
_DAY = 86_400.0
_DEFAULT_SPAN = 30 * _DAY
MAX_SPAN_DAYS = 400
"""Between `from` and `to`."""
_MAX_GROUP_BY = 256
_ROW_WEIGHT = 1024
"""Bytes of a body that take as long to read as a row takes to add up."""


@dataclass(slots=True)
class Row:
    """Totals of one group in one currency. `sums` are by the names of the records' fields."""

    group: dict[str, str]
    currency: str
    requests: int = 0
    errors: int = 0
    cancelled: int = 0
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_SUMS, 0))

    def add(self, part: Document) -> None:
        self.requests += part["count"]
        self.errors += part["count"] if part["status"] == ERROR else 0
        self.cancelled += part["count"] if part["status"] == CANCELLED else 0
        for name in _SUMS:
            self.sums[name] += part[name] or 0

    @property
    def mean_latency_ms(self) -> float:
        return self.sums["latencyMs"] / self.requests if self.requests else 0.0


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

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def totals(self, scope: UsageScope, wanted: UsageFilter, group_by: str) -> tuple[list[Row], list[Row]]:
        """Rows by group, at most MAX_TOTALS of them, and rows over everything. Raises InvalidInput."""
        groups = _groups(group_by)
        end = time.time() + 1 if wanted.end is None else wanted.end
        start = end - _DEFAULT_SPAN if wanted.start is None else wanted.start
        if start >= end:
            raise InvalidInput("from must be before to.", field="from")
        if end - start > MAX_SPAN_DAYS * _DAY:
            raise InvalidInput(f"from must be at most {MAX_SPAN_DAYS} days before to.", field="from")
        where = _where(wanted) | {"createdAt": (Cond(Op.GTE, start), Cond(Op.LT, end))}
        columns = list(dict.fromkeys([*(GROUPS[name] for name in groups), "currency", "status"]))
        parts = await self._store.totals(scope, USAGE, where, group_by=columns, sums=_SUMS)
        whole = parts
        if len(parts) == MAX_TOTALS:  # there may be more, and totals are over everything
            whole = await self._store.totals(scope, USAGE, where, group_by=["currency", "status"], sums=_SUMS)
        return await offload(lambda: (_rows(parts, groups), _rows(whole, ())), len(parts) * _ROW_WEIGHT)

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


def _rows(parts: list[Document], groups: tuple[str, ...]) -> list[Row]:
    rows: dict[tuple[str, ...], Row] = {}
    for part in parts:
        values = {name: str(part.get(GROUPS[name]) or "") for name in groups}
        key = (*values.values(), part["currency"])
        rows.setdefault(key, Row(values, part["currency"])).add(part)
    return list(rows.values())
