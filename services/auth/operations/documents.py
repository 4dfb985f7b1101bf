"""A tenant's documents, from one store to another, whatever engines the two run on."""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import orjson

from core.errors import Conflict
from core.sealing import Sealer
from core.storage.ports import Collection, Document, DocumentStore, Level, Order, Where
from core.storage.scan import scan
from core.storage.sealed_values import key_ids, resealed
from core.storage.tenant_registry import TENANTS
from core.tenancy import MAIN, AllProjects, Project, Scope, Tenant

BATCH = 500
MIGRATIONS = Collection("portico_migrations", Level.TENANT)
"""Migrations that a tenant's documents have been through: those that a later version adds run after a restore."""
_LEASE = ".lease"
NOT_TENANT_WIDE = {"everything": None, "suspended": None}
"""A `where` without the revocations that say that a tenant is suspended or was erased: they are a state of its slug
here, and no part of its data."""
BY_ID = Order("id", descending=False)
_TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Sealing:
    """Keys for secrets that change their scope: opened with `opener`, sealed with the primary key of `sealer`."""

    opener: Sealer
    sealer: Sealer


def of_tenants(collections: Sequence[Collection]) -> list[Collection]:
    """The collections with a tenant's documents, in the order in which they are restored: those of the main database
    last, since they make services act."""
    own = [each for each in collections if each.level is not Level.MAIN]
    main = [each for each in collections if each.level is Level.MAIN and _TENANT in each.fields]
    return [MIGRATIONS, *sorted(own, key=_name), *sorted(main, key=_name)]


def of_installation(collections: Sequence[Collection]) -> list[Collection]:
    """The collections of the main database that belong to no tenant, but for the registry of tenants."""
    main = [each for each in collections if each.level is Level.MAIN and _TENANT not in each.fields]
    return sorted((each for each in main if each.name != TENANTS.name), key=_name)


async def documents_of(
    store: DocumentStore, tenant: Tenant, collection: Collection, *, tenant_wide: bool = False
) -> AsyncGenerator[Document, None]:
    """Every document of the tenant in a collection, by id; with `tenant_wide` also whether it is suspended."""
    where: Where | None = None
    if collection.level is Level.MAIN:
        where = {_TENANT: tenant.slug, **({} if tenant_wide else NOT_TENANT_WIDE)}
    async for document in scan(store, scope_of(tenant, collection), collection, where, order=BY_ID):
        if not (collection is MIGRATIONS and document["id"].endswith(_LEASE)):
            yield document


def scope_of(tenant: Tenant, collection: Collection) -> Scope:
    """The scope of a tenant's documents in a collection."""
    match collection.level:
        case Level.MAIN:
            return MAIN
        case Level.TENANT:
            return tenant
        case Level.PROJECT:
            return AllProjects(tenant)


def encoded(document: Document) -> bytes:
    """A line of JSON that `decoded` gives back."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS) + b"\n"


class Loader:
    """Writes documents of one tenant into a store, for a tenant that may have another slug."""

    def __init__(self, store: DocumentStore, source: Tenant, target: Tenant, sealing: Sealing | None = None) -> None:
        """Without `sealing`, secrets stay as they are; they open for the same slug only."""
        self._store = store
        self._source = source
        self._target = target
        self._sealing = sealing
        self._held: dict[Scope, list[Document]] = {}
        self._collection: Collection | None = None

    async def add(self, collection: Collection, document: Document) -> None:
        """Add a document, which is written with others. Raises SealBroken, Conflict."""
        if collection is not self._collection:
            await self.flush()
            self._collection = collection
        scope, source = self._scopes(collection, document)
        if collection.level is Level.MAIN:
            document = self._renamed(document)
        if self._sealing is not None:
            document = resealed(collection, document, self._sealing.opener, source, self._sealing.sealer, scope)
        held = self._held.setdefault(scope, [])
        held.append(document)
        if len(held) >= BATCH:
            await self._write(scope)

    async def flush(self) -> None:
        """Write what is held."""
        for scope in list(self._held):
            await self._write(scope)

    async def _write(self, scope: Scope) -> None:
        assert self._collection is not None
        documents = self._held.pop(scope)
        try:
            await self._store.insert_many(scope, self._collection, documents)
        except Conflict as error:
            raise Conflict(
                f"The documents of {self._collection.name} do not fit together: {error.message}", reason=error.reason
            ) from None

    def _scopes(self, collection: Collection, document: Document) -> tuple[Scope, Scope]:
        """The scopes of a document at the target and at the source."""
        match collection.level:
            case Level.MAIN:
                return MAIN, MAIN
            case Level.TENANT:
                return self._target, self._source
            case Level.PROJECT:
                project = document["project"]
                return Project(self._target, project), Project(self._source, project)

    def _renamed(self, document: Document) -> Document:
        """A document of the main database for the target, whose slug may begin its id."""
        prefix, id = f"{self._source.slug}/", document["id"]
        new_id = f"{self._target.slug}/{id.removeprefix(prefix)}" if id.startswith(prefix) else id
        return {**document, "id": new_id, _TENANT: self._target.slug}


class Tally:
    """The number of documents of a collection, and a digest of them that does not depend on their order."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, document: Document) -> None:
        self.count += 1
        digest = hashlib.sha256(encoded({name: value for name, value in document.items() if value is not None}))
        self._sum = (self._sum + int.from_bytes(digest.digest())) % (1 << 256)

    @property
    def digest(self) -> str:
        return f"{self._sum:064x}"


def keys_of(collection: Collection, document: Document) -> set[str]:
    """Ids of the encryption keys that the document's secrets are sealed with."""
    return key_ids(collection, document) if collection.sealed else set()


def _name(collection: Collection) -> str:
    return collection.name
