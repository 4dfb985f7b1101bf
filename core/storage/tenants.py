"""The registry of tenants, in the main database. Auth keeps it; others only read it."""

from collections.abc import AsyncIterator

from core.storage.every import every
from core.storage.ports import Collection, DocumentStore, Level
from core.tenancy import MAIN, Tenant

TENANTS = Collection("tenants", Level.MAIN, unique=(("slug",),))


async def every_tenant(store: DocumentStore) -> AsyncIterator[Tenant]:
    await store.prepare(MAIN, [TENANTS])
    async for document in every(store, MAIN, TENANTS):
        yield Tenant(document["slug"])
