"""Reader of the audit log, which all services write; removes old entries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core import logs
from core.audit.log import AuditLog
from core.audit.records import DENIED, FAILURE, OPERATOR, SUCCESS, UNKNOWN, Actor, AuditEntry, new_entry
from core.errors import InvalidInput, NotFound, PorticoError
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.table import Table
from core.storage.tenant_registry import iter_tenants
from core.tenancy import MAIN, Tenant
from services.auth.domain.callers import Caller, Callers
from services.auth.ports import Clock

log = logs.get(__name__)

_OUTCOMES = (SUCCESS, FAILURE, DENIED, UNKNOWN)
_PAGE = 50


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """A filter of audit entries; empty: any. Times are Unix seconds, `since` inclusive, `until` exclusive."""

    action: str = ""
    actor_id: str = ""
    project_id: str = ""
    resource_type: str = ""
    resource_id: str = ""
    outcome: str = ""
    since: float | None = None
    until: float | None = None

    def where(self) -> dict[str, Any]:
        """The filter as a `where`. Raises InvalidInput."""
        if self.outcome and self.outcome not in _OUTCOMES:
            raise InvalidInput(f"An outcome is one of {', '.join(_OUTCOMES)}.", field="outcome")
        equal = {
            "action": self.action,
            "actorId": self.actor_id,
            "projectId": self.project_id,
            "resourceType": self.resource_type,
            "resourceId": self.resource_id,
            "outcome": self.outcome,
        }
        where: dict[str, Any] = {name: value for name, value in equal.items() if value}
        bounds = ((Op.GTE, self.since), (Op.LT, self.until))
        if times := tuple(Cond(op, value) for op, value in bounds if value is not None):
            where["createdAt"] = times
        return where


class Audit:
    def __init__(self, audit_log: AuditLog, callers: Callers) -> None:
        self._log = audit_log
        self._callers = callers

    async def page(self, wanted: AuditFilter, page_size: int, page_token: str) -> tuple[list[AuditEntry], str]:
        """One page, newest first, and the token of the next. Raises InvalidInput, NotFound (the project)."""
        caller = await self._callers.current()
        where = wanted.where() | _within(caller, wanted.project_id)
        await self._log.flush()  # so that what this service has just refused shows
        return await self._log.page(caller.tenant, where, page_size=page_size or _PAGE, page_token=page_token)

    async def record_operator(
        self,
        tenant: Tenant,
        action: str,
        resource_type: str,
        resource_id: str,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Record a command on the server, which no caller's token stands behind."""
        actor, now = Actor(kind=OPERATOR), self._log.clock()
        entry = new_entry(actor, action, SUCCESS, resource_type, resource_id, at=now, metadata=metadata)
        await self._log.write(tenant, entry)


def _within(caller: Caller, project_id: str) -> dict[str, Any]:
    """The entries that the caller may see. Projects that were deleted count: their entries stay."""
    if caller.sees_all:
        return {}
    if not project_id:
        return {"projectId": Cond(Op.IN, list(caller.project_ids))}
    if not caller.may_see(project_id):
        raise NotFound("There is no such project.", field="projectId")
    return {}


class OperatorLog:
    """The log of commands that concern the whole installation, or a tenant that has no log any more. It is not any
    tenant's to read: `operator-log` shows it."""

    def __init__(self, table: Table[AuditEntry], clock: Clock) -> None:
        self._table = table
        self._clock = clock

    async def record(
        self,
        action: str,
        resource_type: str,
        resource_id: str,
        metadata: Mapping[str, str] | None = None,
        *,
        outcome: str = SUCCESS,
    ) -> AuditEntry:
        entry = new_entry(
            Actor(kind=OPERATOR),
            action,
            outcome,
            resource_type,
            resource_id,
            at=self._clock(),
            metadata=metadata,
        )
        await self._table.insert(MAIN, entry)
        return entry

    async def settle(self, entry: AuditEntry, outcome: str, reason: str = "") -> None:
        """Write how a command ended that was recorded before it began."""
        await self._table.update(MAIN, entry.id, outcome=outcome, reason=reason)

    async def latest(self, count: int) -> list[AuditEntry]:
        """The latest entries, newest first."""
        entries, _ = await self._table.page(MAIN, page_size=count)
        return entries


class AuditRetention:
    """Removes entries that are older than `keep_seconds`, in every tenant."""

    def __init__(self, store: DocumentStore, audit_log: AuditLog, keep_seconds: float) -> None:
        self._store = store
        self._log = audit_log
        self._keep_seconds = keep_seconds

    async def prune(self) -> None:
        async for tenant in iter_tenants(self._store):
            try:
                removed = await self._log.prune(tenant, self._keep_seconds)
            except PorticoError as error:  # of one tenant, or one that has just been removed: the others go on
                log.warning("audit log not pruned", tenant=tenant.slug, reason=error.reason)
                continue
            if removed:
                log.info("audit log pruned", tenant=tenant.slug, entries=removed)
