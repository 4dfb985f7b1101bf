"""Retention of traces: a setting of each tenant, and the sweep that follows it."""

import time
from collections.abc import Callable
from math import inf

from core import logs
from core.errors import FailedPrecondition, InvalidInput, PorticoError
from core.quotas.rules import Dimension, NoRules, RuleSource, Subject
from core.storage.ports import DocumentStore
from core.storage.table import Record, Table
from core.storage.tenant_registry import iter_tenants
from core.tenancy import Project, Tenant
from services.tracing.domain.tables import SETTINGS
from services.tracing.ports import TraceStore

MAX_DAYS = 3650.0
SWEEP_SECONDS = 600.0
_BATCH = 200
_DAY = 86_400.0
_ID = "settings"
_ANY = "any"
"""A project that stands for all: limits of the retention are a tenant's."""

log = logs.get(__name__)


class TracingSettings(Record, frozen=True, omit_defaults=True):
    """A tenant's settings; None: as the installation has it."""

    id: str = _ID
    retention_days: float | None = None


class Retention:
    """`default_days` holds for tenants that have set nothing; 0: nothing is removed."""

    def __init__(
        self,
        store: DocumentStore,
        traces: TraceStore,
        default_days: float,
        rules: RuleSource = NoRules(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rules = rules
        self._store = store
        self._table = Table(store, SETTINGS, TracingSettings)
        self._traces = traces
        self._default_days = default_days
        self._clock = clock

    async def days(self, tenant: Tenant) -> float:
        """Days that sessions are kept, at most what a limit of the tenant allows; 0: for good."""
        found = await self._table.get(tenant, _ID)
        days = self._default_days if found is None or found.retention_days is None else found.retention_days
        longest = await self._longest(tenant)
        return days if longest is None else min(days or inf, longest)

    async def set_days(self, tenant: Tenant, days: float) -> None:
        """Raises InvalidInput."""
        if days != 0 and not 1 <= days <= MAX_DAYS:
            raise InvalidInput(f"retentionDays must be 0 or 1 to {MAX_DAYS:g}.", field="retentionDays")
        longest = await self._longest(tenant)
        if longest is not None and not 0 < days <= longest:
            raise InvalidInput(
                f"Your organisation's limits keep sessions for {longest:g} days at most.", field="retentionDays"
            )
        if await self._table.update(tenant, _ID, retention_days=days) is None:
            await self._store.insert_many(tenant, SETTINGS, [{"id": _ID}])
            await self._table.update(tenant, _ID, retention_days=days)

    async def _longest(self, tenant: Tenant) -> float | None:
        """Most days that the tenant's limits allow, at least one; None: there is no limit."""
        rules = await self._rules.find(Subject(Project(tenant, _ANY), "tracing"))
        limits = [rule.limit for rule in rules if rule.dimension is Dimension.RETENTION_DAYS]
        return float(max(1, min(limits))) if limits else None

    async def sweep(self) -> None:
        """Remove what has been kept long enough, of every tenant."""
        async for tenant in iter_tenants(self._store):
            try:
                await self._sweep(tenant)
            except FailedPrecondition:  # it was removed meanwhile, or is not yet there
                continue
            except PorticoError as error:
                log.warning("old traces not removed", tenant=tenant.slug, reason=error.reason)

    async def _sweep(self, tenant: Tenant) -> None:
        days = await self.days(tenant)
        if not days:
            return
        removed = count = await self._traces.expire(tenant, self._clock() - days * _DAY, _BATCH)
        while count == _BATCH:
            count = await self._traces.expire(tenant, self._clock() - days * _DAY, _BATCH)
            removed += count
        if removed:
            log.info("old traces removed", tenant=tenant.slug, sessions=removed)
