"""Restore of a tenant from an archive, into this or another installation, under its own slug or another one."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path

import msgspec
import orjson

from core.errors import Conflict, FailedPrecondition, InvalidInput
from core.sealing import SealBroken, Sealer
from core.storage.ports import Collection, Document, Level
from core.storage.sealed_values import sealed_values
from core.storage.table import from_document
from core.storage.tenant_registry import RESTORING
from core.tenancy import MAIN, Project, Tenant
from core.tenant_data import MAX_CHUNK, Chunk
from services.auth.domain import inputs
from services.auth.domain.records import ACTIVE, TenantRecord
from services.auth.domain.tenants import RESERVED_SLUGS
from services.auth.operations.archive import DAMAGED, Manifest, contents, verified
from services.auth.operations.backup import DOCUMENTS
from services.auth.operations.documents import Loader, Sealing, documents_of, of_tenants
from services.auth.operations.erasure import clear
from services.auth.operations.installation import Installation
from services.auth.operations.services import Service

_SOURCE_KEYS = (
    "Set PORTICO_SOURCE_ENCRYPTION_KEYS to PORTICO_ENCRYPTION_KEYS of the installation that the backup comes from."
)


async def restore(installation: Installation, path: Path, slug: str = "") -> TenantRecord:
    """Restore a tenant, which becomes visible as the last step. One that was cut off is begun anew by repeating it.
    Raises InvalidInput for a damaged archive, Conflict where the slug is taken, FailedPrecondition where a key is
    missing; nothing is written then."""
    manifest = verified(path)
    tenant = _target(slug or manifest.tenant)
    known = _sections(installation, manifest)
    sealing = _sealing(installation, manifest)
    source = Tenant(manifest.tenant)
    for collection, document in _documents(installation, path):  # before anything is written
        _check_secrets(collection, document, sealing.opener, source)
    await _reserve(installation, manifest, tenant)
    await clear(installation, tenant, force=True)  # what an interrupted restore has left
    await installation.store.create_tenant(tenant)
    await _load_documents(installation, path, Loader(installation.store, source, tenant, sealing))
    for section in manifest.kinds:
        service, kind = known[section]
        count = await service.restore(tenant, kind, _chunks(path, section))
        installation.say(f"{section}: {count} entries")
    await _check_counts(installation, manifest, tenant)
    return await _activate(installation, manifest, tenant)


async def restore_kind(installation: Installation, path: Path, section: str, slug: str = "") -> int:
    """Restore one kind of state alone, such as `tracing/traces`, into a tenant that is there, and return the number of
    entries. Entries of the same names are replaced. Raises InvalidInput for a damaged archive or a kind that it does
    not hold, NotFound."""
    manifest = verified(path)
    tenant = Tenant((await installation.tenant(slug or manifest.tenant)).slug)
    if section not in manifest.kinds:
        raise InvalidInput(f"The archive holds {', '.join(manifest.kinds) or 'no such state'}, and no {section}.")
    service, kind = _sections(installation, manifest)[section]
    return await service.restore(tenant, kind, _chunks(path, section))


def _target(slug: str) -> Tenant:
    checked = inputs.slug(slug, "slug")
    if checked in RESERVED_SLUGS:
        raise InvalidInput(f'The slug "{checked}" is reserved. Choose another with --slug.', field="slug")
    return Tenant(checked)


def _sealing(installation: Installation, manifest: Manifest) -> Sealing:
    """Secrets are bound to the slug and to a key, so all are sealed anew. Raises FailedPrecondition for a key that is
    not here."""
    settings = installation.settings
    sealer = settings.auth.sealing.sealer()
    opener = sealer if settings.commands.source_keys is None else Sealer.from_settings(settings.commands.source_keys)
    if missing := set(manifest.keys) - opener.known:
        raise FailedPrecondition(
            f"Secrets of the backup are sealed with the encryption keys {', '.join(sorted(missing))}, which are not "
            f"here. {_SOURCE_KEYS}",
            reason="MISSING_KEYS",
        )
    return Sealing(opener, sealer)


def _check_secrets(collection: Collection, document: Document, opener: Sealer, source: Tenant) -> None:
    """Check that the secrets of a document open. Raises FailedPrecondition."""
    scope = Project(source, document["project"]) if collection.level is Level.PROJECT else source
    try:
        for holder, name, record_id in sealed_values(collection, document):
            opener.open(scope, record_id, holder[name])
    except SealBroken:
        raise FailedPrecondition(
            f"A secret of {collection.name} {document['id']} does not open with the encryption keys that are here, "
            f"though their ids fit. {_SOURCE_KEYS}",
            reason="WRONG_KEYS",
        ) from None


def _sections(installation: Installation, manifest: Manifest) -> Mapping[str, tuple[Service, str]]:
    """The service and kind of each section. Raises FailedPrecondition for state that no service here keeps."""
    known = {
        f"{service.name}/{kind}": (service, kind)
        for service in installation.services.values()
        for kind in service.kinds
    }
    names = {collection.name for collection in of_tenants(installation.collections)}
    unknown = sorted({*manifest.kinds} - known.keys()) + sorted(manifest.counts.keys() - names)
    if unknown:
        raise FailedPrecondition(
            f"This version of Portico does not know {', '.join(unknown)}, which the backup holds. Restore it with the "
            f"version that wrote it, {manifest.version}, or a later one.",
            reason="ARCHIVE_FORMAT",
        )
    return known


async def _reserve(installation: Installation, manifest: Manifest, tenant: Tenant) -> None:
    registered = from_document(TenantRecord, manifest.registered)
    record = _record(registered, tenant, RESTORING)
    tenants = installation.domain.tables.tenants
    try:
        await tenants.insert(MAIN, record)
    except Conflict:
        known = await tenants.get(MAIN, tenant.slug)
        if known is None or known.status != RESTORING:
            raise Conflict(
                f"There is a tenant {tenant.slug} already. Choose another slug with --slug, or erase it first.",
                field="slug",
            ) from None


def _record(registered: TenantRecord, tenant: Tenant, status: str) -> TenantRecord:
    return msgspec.structs.replace(
        registered, id=tenant.slug, slug=tenant.slug, status=status, attempt="", reserved_until=0.0
    )


async def _load_documents(installation: Installation, path: Path, loader: Loader) -> None:
    counts: Counter[str] = Counter()
    for collection, document in _documents(installation, path):
        await loader.add(collection, document)
        counts[collection.name] += 1
    await loader.flush()
    for name, count in counts.items():
        installation.say(f"{name}: {count} documents")


def _documents(installation: Installation, path: Path) -> Iterator[tuple[Collection, Document]]:
    """The documents of an archive. Raises InvalidInput where it is damaged."""
    by_name = {collection.name: collection for collection in of_tenants(installation.collections)}
    rest, last = b"", ""
    for name, content in contents(path, DOCUMENTS):
        collection = _known(by_name, name)
        if name != last and rest:
            raise _cut_short(last)
        *lines, rest = (rest + content).split(b"\n")
        last = name
        for line in lines:
            yield collection, _document(name, line)
    if rest:
        raise _cut_short(last)


def _known(by_name: dict[str, Collection], name: str) -> Collection:
    if name not in by_name:
        raise InvalidInput(f"The archive holds documents of {name}, which its manifest does not list.", reason=DAMAGED)
    return by_name[name]


def _document(name: str, line: bytes) -> Document:
    try:
        document = orjson.loads(line)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("id"), str):
        raise InvalidInput(f"A document of {name} in the archive is damaged.", reason=DAMAGED)
    return document


def _cut_short(name: str) -> InvalidInput:
    return InvalidInput(f"The documents of {name} in the archive are cut short.", reason=DAMAGED)


async def _chunks(path: Path, section: str) -> AsyncGenerator[Chunk, None]:
    for entry, content in contents(path, section):
        for start in range(0, max(1, len(content)), MAX_CHUNK):
            yield entry, content[start : start + MAX_CHUNK]


async def _check_counts(installation: Installation, manifest: Manifest, tenant: Tenant) -> None:
    """Check that the store has what the manifest says. What has expired meanwhile may be missing."""
    for collection in of_tenants(installation.collections):
        wanted = manifest.counts.get(collection.name, 0)
        if not wanted or collection.expiry or collection.level is Level.MAIN:
            continue
        found = 0
        async for _ in documents_of(installation.store, tenant, collection):
            found += 1
        if found < wanted:
            raise FailedPrecondition(
                f"{collection.name} has {found} documents after the restore, and the backup has {wanted}. The tenant "
                "is not visible; repeat the restore.",
                reason="RESTORE_INCOMPLETE",
            )


async def _activate(installation: Installation, manifest: Manifest, tenant: Tenant) -> TenantRecord:
    domain = installation.domain
    status = str(manifest.registered.get("status", ACTIVE))
    metadata = {"from": manifest.tenant}
    await domain.audit.record_operator(tenant, "tenant.restore", "tenant", tenant.slug, metadata)
    if status == ACTIVE:
        await domain.revocations.set_suspended(tenant.slug, False)
    record = await domain.tables.tenants.update(MAIN, tenant.slug, status=status, where={"status": RESTORING})
    if record is None:
        raise Conflict(f"The tenant {tenant.slug} was changed while it was restored. Repeat the restore.")
    return record
