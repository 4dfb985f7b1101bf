"""Erasure of a tenant: nothing of it can be read afterwards, and whatever is cut off is finished by repeating it."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from core.errors import FailedPrecondition, Unavailable
from core.storage.ports import DocumentStore, Level
from core.storage.snapshots import remove_snapshots
from core.storage.tenant_registry import ERASING
from core.tenancy import MAIN, Tenant
from services.auth.domain.records import PENDING
from services.auth.operations.documents import NOT_TENANT_WIDE, of_tenants
from services.auth.operations.installation import Installation

_SCRUB_ATTEMPTS = 50
_SCRUB_SECONDS = 0.2
_SKEW_SECONDS = 60.0
"""Largest difference between the clocks of two replicas."""


async def erase(installation: Installation, slug: str, *, force: bool = False) -> None:
    """Erase a tenant. Raises NotFound; FailedPrecondition where a provider of the tenant's own refuses to remove
    something, which `force` leaves there; Unavailable where a service is away. Safe to repeat until it succeeds."""
    record = await installation.tenant(slug)
    if record.status == PENDING and record.reserved_until > time.time():
        raise FailedPrecondition(f"The registration of {slug} is under way. Try again in a minute.")
    domain, tenant = installation.domain, Tenant(slug)
    await domain.tables.tenants.update(MAIN, slug, status=ERASING)
    await clear(installation, tenant, force=force)
    await domain.revocations.cut_off_tenant(slug, time.time() + _SKEW_SECONDS)
    await domain.revocations.set_suspended(slug, False)
    await domain.tables.tenants.delete(MAIN, slug)
    await _scrub(installation.store)


async def clear(installation: Installation, tenant: Tenant, *, force: bool) -> None:
    """Remove all that is kept of a tenant, but for its record in the registry. It is suspended afterwards."""
    await installation.domain.revocations.set_suspended(tenant.slug, True)
    projects = await _projects(installation, tenant)
    left = []
    for service in installation.services.values():
        found = await service.erase(tenant, projects, force=force)
        left += [f"{service.name}: project {project}" for project in found]
        installation.say(f"{service.name}: {'erased' if not found else 'something is left'}")
    if left:
        raise FailedPrecondition(
            "Not all could be removed at the tenant's own providers, or an upload was under way: "
            + "; ".join(left)
            + ". The log of the service says why. Repeat the command, or add --force to leave it there.",
            reason="LEFT_AT_PROVIDER",
        )
    await installation.store.drop_tenant(tenant)
    for collection in of_tenants(installation.collections):
        if collection.level is Level.MAIN:
            await installation.store.delete_where(MAIN, collection, {"tenant": tenant.slug, **NOT_TENANT_WIDE})
    remove_snapshots(installation.settings.store.data_dir, tenant)
    for service in installation.services.values():  # what calls that were under way have written meanwhile
        await service.erase(tenant, [], force=force)
    await _scrub(installation.store)
    installation.say("documents: erased")


async def _scrub(store: DocumentStore) -> None:
    """Overwrite what was deleted from the main database, between the reads of the services."""
    for _ in range(_SCRUB_ATTEMPTS):
        with suppress(Unavailable):
            await store.scrub(MAIN)
            return
        await asyncio.sleep(_SCRUB_SECONDS)
    await store.scrub(MAIN)


async def _projects(installation: Installation, tenant: Tenant) -> Sequence[str]:
    """Ids of the tenant's projects, also of those that are being deleted; none where its documents are gone."""
    tables = installation.domain.tables
    try:
        found = [project.id async for project in tables.projects.scan(tenant)]
    except FailedPrecondition:
        return []
    deleted = [each.project async for each in tables.deletions.scan(MAIN, {"tenant": tenant.slug})]
    return sorted({*found, *deleted})
