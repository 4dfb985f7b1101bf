"""The registry of tenants, in the main database. Auth keeps it; others only read it."""

from collections.abc import AsyncIterator

from core.storage.ports import TEXT, TIME, Collection, DocumentStore, Level
from core.storage.scan import scan
from core.tenancy import MAIN, Tenant

TENANTS = Collection("tenants", Level.MAIN, {"slug": TEXT, "createdAt": TIME}, unique=(("slug",),))


async def iter_tenants(store: DocumentStore) -> AsyncIterator[Tenant]:
    """Every tenant of the registry. The database of one whose registration is under way may not be there yet."""
    async for document in scan(store, MAIN, TENANTS):
        yield Tenant(document["slug"])
