"""Writes the audit log, in two ways.

Administrative changes are written ahead: the entry is durable, with the outcome `unknown`, before the change is begun,
and gets its outcome before the answer is given. So there is no change without an entry, not even where the process is
killed half-way, and where no entry can be written nothing is changed. The price is a second write per change.

Changes of data and refusals are written behind: in batches, shortly after the answer, and what repeats is counted (see
`tally`). A process that is killed loses half a second of them.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from core import logs
from core.audit.records import AUDIT_LOG, UNKNOWN, AuditEntry
from core.audit.tally import Counted, Tally, TallyLimits
from core.bounded import BoundedDict
from core.errors import FailedPrecondition, PorticoError
from core.storage.ports import Cond, DocumentStore, Op
from core.storage.table import Table
from core.storage.write_behind import WriteBehind
from core.tasks import Tasks
from core.tenancy import Tenant

log = logs.get(__name__)

FLUSH_SECONDS = 0.5
_CAPACITY = 50_000
"""Entries held while the store does not take them."""

Changes = Mapping[str, Any]
"""Changed fields of an entry, by name."""

_CHANGES = TallyLimits()
_REFUSALS = TallyLimits(of_tenant=200, of_caller=40)


class AuditLog:
    """The audit log of a tenant. Each method takes the tenant first."""

    def __init__(
        self,
        store: DocumentStore,
        tasks: Tasks,
        *,
        clock: Callable[[], float] = time.time,
        changes: TallyLimits = _CHANGES,
        refusals: TallyLimits = _REFUSALS,
    ) -> None:
        self.clock = clock
        self._table = Table(store, AUDIT_LOG, AuditEntry)
        self._changes = Tally(changes, clock)
        self._refusals = Tally(refusals, clock)
        self._writer = WriteBehind(store, AUDIT_LOG, tasks, "aud", msgspec.to_builtins, capacity=_CAPACITY)
        self._unsettled: BoundedDict[str, tuple[Tenant, Changes]] = BoundedDict(_CAPACITY)
        """Outcomes that the store has not taken yet, by entry."""
        self._going: set[asyncio.Task[None]] = set()

    # -- written ahead

    async def begin(self, tenant: Tenant, entry: AuditEntry) -> None:
        """Write an entry before its change is made. Durable on return, with the outcome `unknown`. Raises what the
        store raises."""
        await self._table.insert(tenant, msgspec.structs.replace(entry, outcome=UNKNOWN))

    async def settle(self, tenant: Tenant, entry: AuditEntry) -> None:
        """Record the outcome of an entry that was begun. Never fails: what the store does not take is tried again."""
        changes: Changes = {
            "outcome": entry.outcome,
            "resource_id": entry.resource_id,
            "reason": entry.reason or None,
            "metadata": entry.metadata or None,
        }
        self._unsettled[entry.id] = tenant, changes
        await self._update(entry.id, tenant, changes)

    async def withdraw(self, tenant: Tenant, entry: AuditEntry) -> None:
        """Remove an entry that was begun: the call was refused and nothing was changed. Never fails: an entry that
        cannot be removed stays `unknown`."""
        try:
            await self._table.delete(tenant, entry.id)
        except Exception as error:  # the store's, whatever its driver calls it: the caller's answer comes first
            log.warning("audit entry of a refused call stays", error=type(error).__name__)

    async def write(self, tenant: Tenant, *entries: AuditEntry) -> None:
        """Write entries. Durable on return; known ids are skipped. Raises what the store raises."""
        await self._table.insert_many(tenant, entries)

    async def to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Finish a write even if the caller is cancelled meanwhile; `close` waits for it. Raises what they raise."""
        task = asyncio.create_task(work)
        self._going.add(task)
        task.add_done_callback(self._going.discard)
        await asyncio.shield(task)

    # -- written behind

    def add(self, tenant: Tenant, entry: AuditEntry) -> None:
        """Add an entry for a change of data, to be written behind. Never waits and never raises."""
        self._take(self._changes, tenant, entry)

    def refuse(self, tenant: Tenant, entry: AuditEntry) -> None:
        """Add an entry for a refused call, of which a tenant and each of its callers have so many. Never waits and
        never raises."""
        self._take(self._refusals, tenant, entry)

    def add_once(self, tenant: Tenant, entry: AuditEntry) -> None:
        """Add an entry that is not counted with others and may be given again under its id. Never waits, never
        raises."""
        self._writer.add(tenant, entry)

    async def flush(self) -> None:
        """Write the pending entries. What the store does not take now is kept for the next time."""
        await self._flush(all=False)

    async def close(self) -> None:
        """Write all pending entries and counts."""
        await asyncio.gather(*self._going, return_exceptions=True)
        await self._flush(all=True)

    # -- read

    async def page(
        self, tenant: Tenant, where: Mapping[str, Any], *, page_size: int, page_token: str
    ) -> tuple[list[AuditEntry], str]:
        """One page, newest first, and the token of the next. Raises InvalidInput."""
        return await self._table.page(tenant, where, page_size=page_size, page_token=page_token)

    async def prune(self, tenant: Tenant, keep_seconds: float) -> int:
        """Remove older entries. Returns how many."""
        return await self._table.delete_where(tenant, {"createdAt": Cond(Op.LT, self.clock() - keep_seconds)})

    # -- within

    def _take(self, tally: Tally, tenant: Tenant, entry: AuditEntry) -> None:
        if (fresh := tally.add(tenant, entry)) is not None:
            self._writer.add(tenant, fresh)

    async def _flush(self, *, all: bool) -> None:
        await self._writer.flush()
        away: set[Tenant] = set()
        """Tenants whose store does not answer: they are not asked again this time."""
        for id, (tenant, changes) in list(self._unsettled.items()):
            if tenant not in away and not await self._update(id, tenant, changes):
                away.add(tenant)
        for tally in (self._changes, self._refusals):
            for counted in tally.due(all=all):
                if counted.tenant not in away and not await self._tell(tally, counted):
                    away.add(counted.tenant)

    async def _tell(self, tally: Tally, counted: Counted) -> bool:
        count = counted.count
        done = await self._try(counted.tenant, counted.id, {"count": count, "last_at": counted.last_at})
        if done:
            tally.told(counted, count)
        return done

    async def _update(self, id: str, tenant: Tenant, changes: Changes) -> bool:
        done = await self._try(tenant, id, changes)
        if done:
            self._unsettled.pop(id, None)
        return done

    async def _try(self, tenant: Tenant, id: str, changes: Changes) -> bool:
        """Write the changes. True if the store has taken them or never will; False to try again."""
        try:
            await self._table.update(tenant, id, **changes)
        except FailedPrecondition:  # the tenant has been removed meanwhile
            return True
        except PorticoError as error:
            log.warning("audit entry not changed yet", reason=error.reason)
        except Exception:  # a store's own trouble, whatever its driver calls it: the entry must outlive it
            log.exception("audit entry not changed yet")
        else:
            return True
        return False
