"""The record of who changed what, written before the answer is given."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from core import context
from core.errors import PermissionDenied
from core.storage.ports import Cond, Op
from core.tenancy import Tenant
from services.auth.domain.issuing import new_id
from services.auth.domain.records import AuditEntry
from services.auth.domain.tables import Tables
from services.auth.ports import Clock

SUCCESS, FAILURE, DENIED = "success", "failure", "denied"
_ANONYMOUS = "anonymous"


@dataclass(slots=True)
class Change:
    """What a change fills in while it happens. `metadata` holds field names and harmless values, never secrets."""

    resource_id: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


class Audit:
    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._table = tables.audit
        self._clock = clock

    @asynccontextmanager
    async def change(
        self, tenant: Tenant, action: str, resource_type: str, resource_id: str = ""
    ) -> AsyncIterator[Change]:
        """Records the block's success, or that it was denied. An attempt that failed otherwise changed nothing."""
        change = Change(resource_id)
        try:
            yield change
        except PermissionDenied:
            await self.write(tenant, action, DENIED, resource_type, change.resource_id, metadata=change.metadata)
            raise
        await self.write(tenant, action, SUCCESS, resource_type, change.resource_id, metadata=change.metadata)

    async def write(
        self,
        tenant: Tenant,
        action: str,
        outcome: str,
        resource_type: str,
        resource_id: str = "",
        *,
        actor_id: str = "",
        metadata: dict[str, str] | None = None,
    ) -> None:
        """`actor_id` is for calls without a token: who they turned out to be from."""
        request = context.current()
        caller = request.identity if request else None
        await self._table.insert(
            tenant,
            AuditEntry(
                id=new_id(),
                created_at=self._clock(),
                action=action,
                outcome=outcome,
                actor_kind=caller.kind.value if caller else _ANONYMOUS,
                actor_id=caller.subject if caller else actor_id,
                resource_type=resource_type,
                resource_id=resource_id,
                project_id=caller.project.id if caller else "",
                request_id=request.request_id if request else "",
                ip_address=request.peer_address if request else "",
                metadata=metadata or {},
            ),
        )

    async def page(
        self,
        tenant: Tenant,
        *,
        project_ids: Sequence[str] | None,
        action: str,
        actor_id: str,
        page_size: int,
        page_token: str,
    ) -> tuple[list[AuditEntry], str]:
        """Entries of these projects (None: of all, and those of none), newest first; an empty `action` or `actor_id`
        means any."""
        where: dict[str, object] = {name: value for name, value in (("action", action), ("actorId", actor_id)) if value}
        if project_ids is not None:
            where["projectId"] = Cond(Op.IN, list(project_ids))
        return await self._table.page(tenant, where, page_size=page_size, page_token=page_token)
