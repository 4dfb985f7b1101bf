"""The registry of tenants, in the main database. Auth keeps it; others only read it."""

from collections.abc import AsyncIterator

from core.storage.ports import TEXT, TIME, Collection, Cond, DocumentStore, Level, Op
from core.storage.scan import scan
from core.tenancy import MAIN, Tenant

TENANTS = Collection("tenants", Level.MAIN, {"slug": TEXT, "createdAt": TIME}, unique=(("slug",),))


RESTORING, ERASING = "restoring", "erasing"
"""States of a tenant whose documents are not all there."""


async def iter_tenants(store: DocumentStore) -> AsyncIterator[Tenant]:
    """Every tenant of the registry, but for those that are being restored or erased. The database of one whose
    registration is under way may not be there yet."""
    whole = {"status": (Cond(Op.NE, RESTORING), Cond(Op.NE, ERASING))}
    async for document in scan(store, MAIN, TENANTS, whole):
        yield Tenant(document["slug"])
