"""Export of a tenant's data for people to read: JSON lines and files, without secrets. It cannot be restored."""

import os
import tarfile
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from core.storage.ports import Level
from core.storage.sealed_values import without_secrets
from core.storage.snapshots import snapshot
from core.tenancy import Tenant
from core.tenant_data import entries_of
from services.auth.operations.documents import MIGRATIONS, documents_of, encoded, of_tenants
from services.auth.operations.installation import Installation

_SPOOL_BYTES = 8 * 1024 * 1024


async def export(installation: Installation, slug: str, path: Path) -> None:
    """Write a tar file with `<collection>.jsonl` for each collection and a folder for each other kind of state. Raises
    NotFound, Unavailable."""
    tenant = Tenant((await installation.whole(slug)).slug)
    await installation.settle(tenant)
    await installation.domain.audit.record_operator(tenant, "tenant.export", "tenant", slug)
    partial = path.with_name(path.name + ".partial")
    try:
        with (
            os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
            tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            await _write(installation, tenant, tar)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


async def _write(installation: Installation, tenant: Tenant, tar: tarfile.TarFile) -> None:
    async with snapshot(installation.settings.store, installation.store, installation.schema, tenant) as copied:
        for collection in of_tenants(installation.collections):
            if collection is MIGRATIONS or collection.level is Level.MAIN:
                continue
            documents = documents_of(copied, tenant, collection)
            lines = (encoded(without_secrets(collection, document)) async for document in documents)
            async with aclosing(lines):
                await _add(tar, f"documents/{collection.name}.jsonl", lines)
    for service in installation.services.values():
        for kind in service.kinds:
            async with aclosing(service.export(tenant, kind)) as chunks:
                count = 0
                async for entry, content in entries_of(chunks):
                    await _add(tar, f"{kind}/{entry}", content)
                    count += 1
            if count:
                installation.say(f"{kind}: {count} entries")


async def _add(tar: tarfile.TarFile, name: str, content: AsyncIterator[bytes]) -> None:
    """Add a file, whose size must be known before its content: what is large waits on the disk."""
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
        async for part in content:
            spool.write(part)
        info = tarfile.TarInfo(name)
        info.size, info.mode = spool.tell(), 0o600
        spool.seek(0)
        if info.size or not name.endswith(".jsonl"):
            tar.addfile(info, spool)
