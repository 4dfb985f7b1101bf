"""Backup of a tenant, while it runs, into one archive."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from core.storage.snapshots import snapshot
from core.storage.table import to_document
from core.tenancy import Tenant
from services.auth.operations.archive import FORMAT, ArchiveWriter, Manifest
from services.auth.operations.documents import documents_of, encoded, keys_of, of_tenants
from services.auth.operations.installation import Installation

DOCUMENTS = "documents"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """The result: documents by collection, entries of other state by section, ids of the keys that secrets need."""

    path: Path
    size: int
    documents: dict[str, int]
    entries: dict[str, int]
    keys: list[str]


async def backup(installation: Installation, slug: str, path: Path) -> BackedUp:
    """Write the archive, which appears when it is whole. Raises NotFound, FailedPrecondition, Unavailable.

    The documents go first, so that whatever they refer to and was not removed meanwhile is in the archive."""
    record = await installation.whole(slug)
    tenant = Tenant(record.slug)
    await installation.settle(tenant)
    await installation.domain.audit.record_operator(tenant, "tenant.backup", "tenant", slug)
    async with _writing(path) as archive:
        documents, keys = await _write_documents(installation, tenant, archive)
        entries = await _write_kinds(installation, tenant, archive)
        archive.flush()
        manifest = Manifest(
            format=FORMAT,
            version=version("portico"),
            tenant=record.slug,
            company_name=record.company_name,
            created_at=time.time(),
            provider=installation.settings.store.provider,
            registered=to_document(record),
            keys=sorted(keys),
            counts=dict(documents),
            kinds=list(entries),
            members=archive.members,
        )
        archive.finish(manifest)
    return BackedUp(path, archive.size, dict(documents), dict(entries), sorted(keys))


@asynccontextmanager
async def _writing(path: Path) -> AsyncIterator[ArchiveWriter]:
    archive = ArchiveWriter(path)
    try:
        yield archive
    finally:
        archive.discard()


async def _write_documents(
    installation: Installation, tenant: Tenant, archive: ArchiveWriter
) -> tuple[Counter[str], set[str]]:
    counts: Counter[str] = Counter()
    keys: set[str] = set()
    store, schema = installation.store, installation.schema
    async with snapshot(installation.settings.store, store, schema, tenant) as copied:
        for collection in of_tenants(installation.collections):
            source = store if collection.level.value == "main" else copied
            async for document in documents_of(source, tenant, collection):
                archive.add(DOCUMENTS, collection.name, encoded(document))
                counts[collection.name] += 1
                keys |= keys_of(collection, document)
            if counts[collection.name]:
                installation.say(f"{collection.name}: {counts[collection.name]} documents")
    return counts, keys


async def _write_kinds(installation: Installation, tenant: Tenant, archive: ArchiveWriter) -> Counter[str]:
    entries: Counter[str] = Counter()
    for service in installation.services.values():
        for kind in service.kinds:
            section, last = f"{service.name}/{kind}", None
            async for entry, content in service.export(tenant, kind):
                entries[section] += entry != last
                last = entry
                archive.add(section, entry, content)
            if entries[section]:
                installation.say(f"{section}: {entries[section]} entries")
    return entries
