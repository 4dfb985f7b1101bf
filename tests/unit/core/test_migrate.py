"""The command that brings all databases up to date."""

import argparse
from pathlib import Path

from core import migrate
from core.collections import CORE_COLLECTIONS
from core.storage.migrations import Migration, Migrations
from core.storage.ports import DocumentStore
from core.storage.schema import Schema
from core.storage.sqlite import SqliteStore
from core.storage.tenant_registry import TENANTS
from core.tenancy import MAIN, Main, Tenant


async def register(store: DocumentStore, *slugs: str) -> None:
    for slug in slugs:
        await store.insert(MAIN, TENANTS, {"id": slug, "slug": slug, "createdAt": 0.0})


async def test_every_tenant_is_migrated_before_anybody_uses_it(tmp_path: Path) -> None:
    old = SqliteStore(tmp_path, Schema(CORE_COLLECTIONS))
    await register(old, "acme", "globex", "unfinished")
    for slug in ("acme", "globex"):
        await old.create_tenant(Tenant(slug))
    await old.close()
    migrated: list[str] = []

    async def note(store: DocumentStore, of: Main | Tenant) -> None:
        assert isinstance(of, Tenant)
        migrated.append(of.slug)

    migrations = Migrations("test", tenant=(Migration(1, "note", note),))
    new = SqliteStore(tmp_path, Schema(CORE_COLLECTIONS, migrations))
    try:
        assert await migrate.migrate(new) == 2
    finally:
        await new.close()
    assert sorted(migrated) == ["acme", "globex"]


def test_the_command_works_where_there_is_no_tenant_yet(tmp_path: Path) -> None:
    command = migrate.command("auth", Schema(CORE_COLLECTIONS))
    assert command.run(argparse.Namespace(), {"PORTICO_DATA_DIR": str(tmp_path)}) == 0
