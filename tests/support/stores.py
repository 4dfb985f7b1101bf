"""Document stores for tests, with everything that the services declare."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from core.collections import CORE_COLLECTIONS
from core.storage import memory
from core.storage.migrations import NO_MIGRATIONS, Migrations
from core.storage.ports import Collection
from core.storage.schema import Schema
from core.storage.sqlite import SqliteStore
from core.tenancy import Tenant
from services.auth.domain import tables as auth
from services.inference.domain import tables as inference
from services.inference.domain.catalogue import migrations as inference_migrations
from services.rag.domain import tables as rag
from services.tracing.domain import tables as tracing
from services.vector.domain import tables as vector

COLLECTIONS = {
    "auth": auth.COLLECTIONS,
    "inference": inference.COLLECTIONS,
    "rag": rag.COLLECTIONS,
    "tracing": tracing.COLLECTIONS,
    "vector": vector.COLLECTIONS,
}
MIGRATIONS = {"inference": inference_migrations.MIGRATIONS}
TENANTS = (Tenant("acme"), Tenant("globex"))


def schema_of(service: str, migrations: Migrations | None = None) -> Schema:
    """Schema of a service, or the same with other migrations. A test's own service has none."""
    own = MIGRATIONS.get(service, NO_MIGRATIONS) if migrations is None else migrations
    return Schema((*CORE_COLLECTIONS, *COLLECTIONS.get(service, ())), own)


def whole_schema(*collections: Collection) -> Schema:
    """Schema of all services, and `collections`."""
    return Schema((*CORE_COLLECTIONS, *(each for some in COLLECTIONS.values() for each in some), *collections))


class MemoryStore(memory.MemoryStore):
    """With the collections of all services, and some of the test's own."""

    def __init__(
        self,
        *collections: Collection,
        tenants: Iterable[Tenant] = TENANTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(whole_schema(*collections), tenants=tenants, clock=clock)


def sqlite_store(folder: Path, *collections: Collection) -> SqliteStore:
    """Without tenants: `create_tenant` makes one."""
    return SqliteStore(folder, whole_schema(*collections))
