"""A copy of one tenant's documents as of one moment, while services go on writing."""

import asyncio
import glob
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from core.errors import FailedPrecondition
from core.storage import sqlite_files
from core.storage.factory import StoreSettings
from core.storage.ports import DocumentStore
from core.storage.schema import Schema
from core.storage.sqlite import SqliteStore
from core.tenancy import Tenant

_PAGES = 2048
"""Pages that are copied at a time, between which the services may write."""


@asynccontextmanager
async def snapshot(
    settings: StoreSettings, store: DocumentStore, schema: Schema, tenant: Tenant
) -> AsyncIterator[DocumentStore]:
    """A store that holds the tenant's documents. On SQLite they are those of one moment, copied by its online backup;
    on MongoDB they are the store's own, each as it is when it is read. Raises FailedPrecondition for a tenant that is
    not there."""
    if settings.provider != "sqlite":
        yield store
        return
    folder = await asyncio.to_thread(_copied, settings.data_dir, tenant)
    copied = SqliteStore(folder, schema.as_it_is())
    try:
        yield copied
    finally:
        await copied.close()
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def remove_snapshots(data_dir: Path, tenant: Tenant) -> None:
    """Remove the copies that killed commands have left."""
    for folder in data_dir.glob(f"{glob.escape(_prefix(tenant))}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _prefix(tenant: Tenant) -> str:
    return f".snapshot-{tenant.slug}."  # no slug has a dot


def _copied(data_dir: Path, tenant: Tenant) -> Path:
    name = f"tenant_{tenant.slug}.sqlite"
    try:
        source, _ = sqlite_files.connect(data_dir / name, query_only=True)
    except FileNotFoundError:
        raise FailedPrecondition("This tenant is not known here.", reason="UNKNOWN_TENANT") from None
    folder = Path(tempfile.mkdtemp(prefix=_prefix(tenant), dir=data_dir))
    try:
        with closing(source):
            sqlite_files.create(folder / name)
            with closing(sqlite3.connect(folder / name)) as target:
                source.backup(target, pages=_PAGES)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder
