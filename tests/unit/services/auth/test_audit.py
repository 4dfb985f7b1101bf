"""Retention of the audit logs, and their times."""

from core.audit.records import AUDIT_LOG, SUCCESS, Actor, new_entry
from core.storage.scan import scan
from core.tenancy import Tenant
from portico.auth.v1.audit_service_pb2 import ListAuditEntriesRequest
from services.auth import mapping
from services.auth.domain.registration import NewTenant
from tests.unit.services.auth.conftest import Harness, Process

DAY = 86_400.0


async def register(process: Process, slug: str) -> Tenant:
    await process.domain.registration.register(
        NewTenant(f"o@{slug}.example.com", "Correct-Horse-1", "Owner", slug.title(), slug)
    )
    return Tenant(slug)


async def actions(harness: Harness, tenant: Tenant) -> list[str]:
    return [document["action"] async for document in scan(harness.store, tenant, AUDIT_LOG)]


async def test_old_entries_of_every_tenant_are_removed(harness: Harness) -> None:
    """They stayed for ever."""
    process = await harness.start(PORTICO_AUDIT_RETENTION_DAYS="2")
    tenants = [await register(process, slug) for slug in ("acme", "globex")]
    for tenant in tenants:
        for days in (1, 3):
            at = harness.clock.now - days * DAY
            await process.audit_log.write(tenant, new_entry(Actor(), f"x.days_{days}", SUCCESS, "x", "", at=at))
    await process.domain.audit_retention.prune()
    assert [await actions(harness, tenant) for tenant in tenants] == [["x.days_1"], ["x.days_1"]]


async def test_a_tenant_without_a_store_holds_up_nobody(harness: Harness) -> None:
    process = await harness.start(PORTICO_AUDIT_RETENTION_DAYS="2")
    gone, there = [await register(process, slug) for slug in ("acme", "globex")]
    await harness.store.drop_tenant(gone)
    old = new_entry(Actor(), "x.old", SUCCESS, "x", "", at=harness.clock.now - 3 * DAY)
    await process.audit_log.write(there, old)
    await process.domain.audit_retention.prune()
    assert await actions(harness, there) == []


def test_searching_from_the_time_of_an_entry_finds_it() -> None:
    """Times were kept finer than they are told, so that half of all entries were older than they say."""
    entry = new_entry(Actor(), "x.y", SUCCESS, "x", "", at=1795689649.7272816)
    request = ListAuditEntriesRequest()
    getattr(request, "from").CopyFrom(mapping.audit_entry(entry).created_at)
    assert mapping.audit_filter(request).since == entry.created_at
