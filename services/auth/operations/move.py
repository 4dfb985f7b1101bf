"""Move of tenants between SQLite and MongoDB: document by document, compared afterwards."""

from dataclasses import dataclass

from core.errors import Conflict, FailedPrecondition
from core.storage.ports import Collection, DocumentStore
from core.storage.scan import scan
from core.storage.table import from_document, to_document
from core.storage.tenant_registry import RESTORING, TENANTS
from core.tenancy import MAIN, Tenant
from services.auth.domain.records import SUSPENDED, TenantRecord
from services.auth.operations.documents import BY_ID, Loader, Tally, documents_of, of_installation, of_tenants
from services.auth.operations.installation import Installation


@dataclass(frozen=True, slots=True)
class Moved:
    """The documents of a tenant that the other store has now."""

    tenant: str
    documents: int


async def move(installation: Installation, target: DocumentStore, slug: str) -> Moved:
    """Copy a suspended tenant's documents to the other store, and compare the two. What is there already stays, so a
    move that was cut off goes on where it was. The tenant stays in the old store too, suspended.

    Raises NotFound; FailedPrecondition for a tenant that is not suspended, or whose documents differ afterwards."""
    record = await installation.tenant(slug)
    if record.status != SUSPENDED:
        raise FailedPrecondition(f"The tenant {slug} is {record.status}. Suspend it first: `tenant suspend {slug}`.")
    tenant = Tenant(slug)
    await installation.settle(tenant)
    await _reserve(target, record)
    await target.create_tenant(tenant)
    total = 0
    for collection in of_tenants(installation.collections):
        total += await _move_collection(installation, target, tenant, collection)
    await target.update(MAIN, TENANTS, slug, {"status": SUSPENDED}, where={"status": RESTORING})
    return Moved(slug, total)


async def move_installation(installation: Installation, target: DocumentStore) -> int:
    """Copy what belongs to no tenant: signing keys, and values of the installation. Returns the number of documents."""
    total = 0
    for collection in of_installation(installation.collections):
        documents = [document async for document in scan(installation.store, MAIN, collection, order=BY_ID)]
        await target.insert_many(MAIN, collection, documents)
        total += len(documents)
    return total


async def _reserve(target: DocumentStore, record: TenantRecord) -> None:
    """Register the tenant at the target as one that is not whole yet."""
    try:
        await target.insert(MAIN, TENANTS, {**to_document(record), "status": RESTORING})
    except Conflict:
        found = await target.get(MAIN, TENANTS, record.slug)
        if found is None or from_document(TenantRecord, found).created_at != record.created_at:
            raise Conflict(f"The other store has another tenant {record.slug}. Erase that one first.") from None


async def _move_collection(
    installation: Installation, target: DocumentStore, tenant: Tenant, collection: Collection
) -> int:
    loader, wanted = Loader(target, tenant, tenant), Tally()
    async for document in documents_of(installation.store, tenant, collection, tenant_wide=True):
        await loader.add(collection, document)
        wanted.add(document)
    await loader.flush()
    found = Tally()
    async for document in documents_of(target, tenant, collection, tenant_wide=True):
        found.add(document)
    if (found.count, found.digest) != (wanted.count, wanted.digest):
        raise FailedPrecondition(
            f"{collection.name} of {tenant.slug}: {wanted.count} documents were read and {found.count} are in the "
            "other store, or some of them differ. Remove the tenant there, and move it again.",
            reason="MOVE_DIFFERS",
        )
    if found.count:
        installation.say(f"{tenant.slug}: {collection.name}: {found.count} documents")
    return found.count
