"""The command `rotate-credentials`: seals credentials under the primary key, beside the running services."""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from core import config, logs
from core.audit.records import AUDIT_LOG, FAILURE, OPERATOR, SUCCESS, UNKNOWN, Actor, AuditEntry, new_entry
from core.commands import Command
from core.errors import FailedPrecondition, PorticoError
from core.http.guard import OutboundGuard
from core.providers.drivers import Driver
from core.providers.providers import Providers
from core.providers.records import Provider
from core.sealing import Sealer, SealingSettings
from core.storage.factory import StoreSettings, make_store
from core.storage.ports import Collection, DocumentStore
from core.storage.scan import scan
from core.storage.schema import Schema
from core.storage.table import Table, from_document
from core.storage.tenant_registry import TENANTS, iter_tenants
from core.tenancy import AllProjects, Project, Tenant


@dataclass(frozen=True)
class _Settings:
    store: StoreSettings
    sealing: SealingSettings


def command(collection: Collection) -> Command:
    """The command of the service that keeps its providers in this collection."""

    def run(arguments: argparse.Namespace, env: Mapping[str, str]) -> int:
        """0: all are sealed with the primary key; 1: some could not be."""
        settings = config.load(_Settings, env)
        sealer = settings.sealing.sealer()
        logs.configure("rotate-credentials", "warning", "pretty")
        return asyncio.run(_rotate(settings.store, sealer, collection))

    return Command(
        "rotate-credentials",
        "seal all providers' credentials with the first of PORTICO_ENCRYPTION_KEYS",
        "Opens the credentials of every tenant's providers and seals them again with the first key of "
        "PORTICO_ENCRYPTION_KEYS. Put the new key first and keep the old one behind it, restart the services, run this "
        "for each service that has providers (inference, rag, vector), then remove the old key. It may run beside the "
        "services and may be repeated.",
        run,
    )


async def _rotate(settings: StoreSettings, sealer: Sealer, collection: Collection) -> int:
    store = make_store(settings, Schema([TENANTS, AUDIT_LOG, collection]))
    failed = 0
    try:
        async for tenant in iter_tenants(store):
            with suppress(FailedPrecondition):  # its registration goes on, or was cut off: there is no database
                failed += await rotate_tenant(store, sealer, collection, tenant)
    finally:
        await store.close()
    return 1 if failed else 0


async def rotate_tenant(store: DocumentStore, sealer: Sealer, collection: Collection, tenant: Tenant) -> int:
    """Seal the tenant's credentials with the primary key and say how it went. Returns how many could not be. The
    tenant's audit log has an entry before the first is sealed, unless there is nothing to seal."""
    audit_log, collection_name = Table(store, AUDIT_LOG, AuditEntry), {"collection": collection.name}
    entry = new_entry(
        Actor(kind=OPERATOR), "credentials.rotate", UNKNOWN, "provider", "", at=time.time(), metadata=collection_name
    )
    await audit_log.insert(tenant, entry)
    providers = Providers[Driver](store, collection, sealer, {}, OutboundGuard(), users="")
    sealed = kept = failed = 0
    async for document in scan(store, AllProjects(tenant), collection):
        provider, project = from_document(Provider, document), Project(tenant, document["project"])
        try:
            changed = await providers.reseal(project, provider)
        except PorticoError as error:
            failed += 1
            sys.stderr.write(f"{tenant.slug}: provider {provider.key} of {project.id}: {error.reason}\n")
        else:
            sealed, kept = sealed + changed, kept + (not changed)
    if sealed or failed:
        counts = {"sealed": str(sealed), "failed": str(failed)}
        outcome = FAILURE if failed else SUCCESS
        await audit_log.update(tenant, entry.id, outcome=outcome, metadata={**collection_name, **counts})
    else:
        await audit_log.delete(tenant, entry.id)
    sys.stdout.write(f"{tenant.slug}: {sealed} sealed anew, {kept} left as they are, {failed} failed\n")
    return failed
