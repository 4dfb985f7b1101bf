"""Suspension of a tenant: its tokens are refused everywhere and its jobs wait, until it is resumed."""

from core.errors import FailedPrecondition, NotFound
from core.tenancy import MAIN, Tenant
from services.auth.app import Domain
from services.auth.domain.records import ACTIVE, SUSPENDED, TenantRecord


async def suspend(domain: Domain, slug: str) -> TenantRecord:
    """Suspend a tenant. Safe to repeat. Raises NotFound, FailedPrecondition."""
    return await _change(domain, slug, SUSPENDED, "tenant.suspend")


async def resume(domain: Domain, slug: str) -> TenantRecord:
    """Resume a suspended tenant. Safe to repeat. Raises NotFound, FailedPrecondition."""
    return await _change(domain, slug, ACTIVE, "tenant.resume")


async def _change(domain: Domain, slug: str, status: str, action: str) -> TenantRecord:
    """The status goes first when the tenant is suspended, and last when it is resumed: in between it is suspended."""
    record = await domain.tenants.known(slug)
    if record is None:
        known = await domain.tables.tenants.get(MAIN, slug)
        if known is None:
            raise NotFound(f"There is no tenant {slug!r}. `tenant list` shows those that there are.", field="slug")
        raise FailedPrecondition(f"The tenant {slug} is {known.status}, so it cannot be suspended or resumed.")
    await domain.audit.record_operator(Tenant(slug), action, "tenant", slug)
    if status == SUSPENDED:
        changed = await domain.tables.tenants.update(MAIN, slug, status=status)
        await domain.revocations.set_suspended(slug, True)
    else:
        await domain.revocations.set_suspended(slug, False)
        changed = await domain.tables.tenants.update(MAIN, slug, status=status)
    return changed or record
