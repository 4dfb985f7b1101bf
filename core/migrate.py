"""The command `migrate` of every service: bring all databases up to date before the service starts.

Without it a service brings each tenant's database up to date when it first uses it. A migration that fails is then
found by the tenant; here it fails an upgrade before anything was replaced.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping

from core import config, logs
from core.audit.records import AUDIT_LOG
from core.commands import Command
from core.errors import FailedPrecondition, PorticoError
from core.storage.factory import StoreSettings, make_store
from core.storage.ports import DocumentStore
from core.storage.schema import Schema
from core.storage.tenant_registry import TENANTS, iter_tenants
from core.tenancy import MAIN


async def migrate(store: DocumentStore) -> int:
    """Apply the schema to the databases of the installation and of all tenants. Returns the number of tenants, and
    raises what a migration raises."""
    await store.get(MAIN, TENANTS, "")
    count = 0
    async for tenant in iter_tenants(store):
        try:
            await store.get(tenant, AUDIT_LOG, "")
        except FailedPrecondition:  # its registration or removal is under way
            continue
        count += 1
    return count


def command(service: str, schema: Schema) -> Command:
    """The command for a service with this schema."""

    async def work(settings: StoreSettings) -> int:
        store = make_store(settings, schema)
        try:
            return await migrate(store)
        finally:
            await store.close()

    def run(_: argparse.Namespace, env: Mapping[str, str]) -> int:
        settings = config.load(StoreSettings, env)
        logs.configure(service, "info", "json")
        try:
            count = asyncio.run(work(settings))
        except PorticoError as error:
            sys.stderr.write(f"{error.message}\n")
            return 1
        sys.stdout.write(f"The databases of {count} tenants are up to date.\n")
        return 0

    return Command(
        "migrate",
        "bring the databases of all tenants up to date",
        "Applies this version's indexes and migrations to the databases of all tenants, as the service would at its "
        "first use of each. Repeating it is safe, beside running services too.",
        run,
    )
