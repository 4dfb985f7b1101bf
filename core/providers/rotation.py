"""The command `rotate-credentials`: seals stored secrets under the primary key, beside the running services."""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from core import config, logs
from core.audit.records import AUDIT_LOG, FAILURE, OPERATOR, SUCCESS, UNKNOWN, Actor, AuditEntry, new_entry
from core.commands import Command
from core.errors import FailedPrecondition, PorticoError
from core.sealing import Sealer, SealingSettings
from core.storage.factory import StoreSettings, make_store
from core.storage.ports import JSON, Collection, Document, DocumentStore
from core.storage.scan import scan
from core.storage.schema import Schema
from core.storage.sealed_values import resealed, sealed_values
from core.storage.table import Table
from core.storage.tenant_registry import TENANTS, iter_tenants
from core.tenancy import AllProjects, Project, Tenant


@dataclass(frozen=True)
class _Settings:
    store: StoreSettings
    sealing: SealingSettings


def command(*collections: Collection) -> Command:
    """The command of a service that keeps its secrets in these collections (`Collection.sealed`)."""

    def run(arguments: argparse.Namespace, env: Mapping[str, str]) -> int:
        """0: all are sealed with the primary key; 1: some could not be."""
        settings = config.load(_Settings, env)
        sealer = settings.sealing.sealer()
        logs.configure("rotate-credentials", "warning", "pretty")
        return asyncio.run(_rotate(settings.store, sealer, collections))

    return Command(
        "rotate-credentials",
        "seal all stored secrets with the first of PORTICO_ENCRYPTION_KEYS",
        "Opens the credentials of every tenant's providers, alert channels and monitored servers, as far as this "
        "service has them, and seals them again with the first key of PORTICO_ENCRYPTION_KEYS. Put the new key first "
        "and keep the old one behind it, restart the services, run this for each service that has secrets (inference, "
        "rag, vector, tracing), then remove the old key. It may run beside the services and may be repeated.",
        run,
    )


async def _rotate(settings: StoreSettings, sealer: Sealer, collections: Sequence[Collection]) -> int:
    store = make_store(settings, Schema([TENANTS, AUDIT_LOG, *collections]))
    failed = 0
    try:
        async for tenant in iter_tenants(store):
            for collection in collections:
                with suppress(FailedPrecondition):  # its registration goes on, or was cut off: there is no database
                    failed += await rotate_tenant(store, sealer, collection, tenant)
    finally:
        await store.close()
    return 1 if failed else 0


async def rotate_tenant(store: DocumentStore, sealer: Sealer, collection: Collection, tenant: Tenant) -> int:
    """Seal the tenant's secrets with the primary key and say how it went. Returns how many documents could not be. The
    tenant's audit log has an entry before the first is sealed, unless there is nothing to seal."""
    audit_log, collection_name = Table(store, AUDIT_LOG, AuditEntry), {"collection": collection.name}
    entry = new_entry(
        Actor(kind=OPERATOR), "credentials.rotate", UNKNOWN, "provider", "", at=time.time(), metadata=collection_name
    )
    await audit_log.insert(tenant, entry)
    sealed = kept = failed = 0
    async for document in scan(store, AllProjects(tenant), collection):
        try:
            changed = await _reseal(store, sealer, collection, Project(tenant, document["project"]), document)
        except PorticoError as error:
            failed += 1
            name = document.get("key") or document["id"]
            sys.stderr.write(f"{tenant.slug}: {name} of {document['project']} in {collection.name}: {error.reason}\n")
        else:
            sealed, kept = sealed + changed, kept + (not changed)
    if sealed or failed:
        counts = {"sealed": str(sealed), "failed": str(failed)}
        outcome = FAILURE if failed else SUCCESS
        await audit_log.update(tenant, entry.id, outcome=outcome, metadata={**collection_name, **counts})
    else:
        await audit_log.delete(tenant, entry.id)
    sys.stdout.write(
        f"{tenant.slug}: {collection.name}: {sealed} sealed anew, {kept} left as they are, {failed} failed\n"
    )
    return failed


async def _reseal(
    store: DocumentStore, sealer: Sealer, collection: Collection, project: Project, document: Document
) -> bool:
    """Seal a document's secrets anew, unless they are sealed with the primary key or the document has changed since.
    Returns whether it did."""
    if not any(sealer.needs_reseal(holder[name]) for holder, name, _ in sealed_values(collection, document)):
        return False
    fresh = resealed(collection, document, sealer, project, sealer, project)
    names = {path.partition(".")[0] for path in collection.sealed}
    comparable = {name for name in names if collection.types.get(name) is not JSON}
    unchanged = {name: document[name] for name in (comparable or {"updatedAt"})}
    changes = {name: fresh[name] for name in names}
    return await store.update(project, collection, document["id"], changes, where=unchanged) is not None
