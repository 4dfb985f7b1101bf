"""Auth's collections, each as a table of records."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from core.storage.ports import JSON, TEXT, TIME, Collection, DocumentStore, Level, Order, Where
from core.storage.scan import scan
from core.storage.tenants import TENANTS
from core.tenancy import Scope
from services.auth.domain.records import (
    ApiToken,
    Deletion,
    DirectoryEntry,
    InstallationValue,
    Invitation,
    ProjectRecord,
    RevocationRecord,
    SessionRecord,
    SigningKey,
    TenantRecord,
    User,
    camel,
    from_document,
    to_document,
)

T = TypeVar("T")

_DIRECTORY = Collection(
    "directory",
    Level.MAIN,
    {"emailLower": TEXT, "tenant": TEXT, "createdAt": TIME},
    indexes=(("emailLower", "createdAt"), ("tenant",)),
)
_INSTALLATION = Collection("installation", Level.MAIN)
_SIGNING_KEYS = Collection("signing_keys", Level.MAIN, {"slot": TEXT, "createdAt": TIME}, unique=(("slot",),))
_REVOCATIONS = Collection(
    "revocations",
    Level.MAIN,
    {"tenant": TEXT, "createdAt": TIME, "expiresAt": TIME, "issuedAt": TIME},
    indexes=(("createdAt",), ("expiresAt",), ("tenant", "createdAt"), ("tenant", "issuedAt")),
)
_DELETIONS = Collection("project_deletions", Level.MAIN, {"createdAt": TIME, "actor": JSON}, indexes=(("createdAt",),))
_USERS = Collection(
    "users",
    Level.TENANT,
    {"emailLower": TEXT, "createdAt": TIME, "overrides": JSON},
    unique=(("emailLower",),),
    indexes=(("createdAt",),),
)
_PROJECTS = Collection(
    "projects", Level.TENANT, {"key": TEXT, "createdAt": TIME}, unique=(("key",),), indexes=(("createdAt",),)
)
_API_TOKENS = Collection(
    "api_tokens",
    Level.TENANT,
    {"userId": TEXT, "projectId": TEXT, "parentId": TEXT, "createdAt": TIME, "expiresAt": TIME},
    indexes=(
        ("createdAt",),
        ("userId", "createdAt"),
        ("projectId", "createdAt"),
        ("parentId", "createdAt"),
        ("expiresAt",),
    ),
)
_SESSIONS = Collection(
    "sessions",
    Level.TENANT,
    {"userId": TEXT, "projectId": TEXT, "createdAt": TIME, "issuedAt": TIME, "expiresAt": TIME},
    indexes=(("projectId",), ("expiresAt",), ("userId", "issuedAt")),
)
_INVITATIONS = Collection(
    "invitations",
    Level.TENANT,
    {"emailLower": TEXT, "secretHash": TEXT, "createdAt": TIME, "expiresAt": TIME, "overrides": JSON},
    unique=(("emailLower",), ("secretHash",)),
)

COLLECTIONS = (
    _DIRECTORY,
    _INSTALLATION,
    _SIGNING_KEYS,
    _REVOCATIONS,
    _DELETIONS,
    _USERS,
    _PROJECTS,
    _API_TOKENS,
    _SESSIONS,
    _INVITATIONS,
)

_PAGE = 50


class Table(Generic[T]):
    """One collection. Changes are written as keywords in snake_case; errors are the store's."""

    def __init__(self, store: DocumentStore, collection: Collection, record: type[T]) -> None:
        self._store = store
        self._collection = collection
        self._record = record

    async def get(self, scope: Scope, id: str) -> T | None:
        document = await self._store.get(scope, self._collection, id) if id else None
        return None if document is None else from_document(self._record, document)

    async def find_one(self, scope: Scope, where: Where) -> T | None:
        document = await self._store.find_one(scope, self._collection, where)
        return None if document is None else from_document(self._record, document)

    async def page(
        self, scope: Scope, where: Where, *, order: Order = Order(), page_size: int = 0, page_token: str = ""
    ) -> tuple[list[T], str]:
        """One page and the next page's token; a size of 0 means 50."""
        page = await self._store.find(
            scope, self._collection, where, order=order, page_size=page_size or _PAGE, page_token=page_token
        )
        return [from_document(self._record, each) for each in page.items], page.next_token

    async def every(self, scope: Scope, where: Where) -> AsyncIterator[T]:
        """All that match, so that no number of them is too many."""
        async for document in scan(self._store, scope, self._collection, where):
            yield from_document(self._record, document)

    async def count(self, scope: Scope, where: Where) -> int:
        return await self._store.count(scope, self._collection, where)

    async def insert(self, scope: Scope, record: T) -> None:
        await self._store.insert(scope, self._collection, to_document(record))

    async def insert_many(self, scope: Scope, records: list[T]) -> None:
        await self._store.insert_many(scope, self._collection, [to_document(each) for each in records])

    async def update(self, scope: Scope, id: str, *, where: Where | None = None, **changes: Any) -> T | None:
        """The record as it is now, or None if there is none that meets `where`. None removes a field."""
        document = await self._store.update(
            scope, self._collection, id, {camel(name): _plain(value) for name, value in changes.items()}, where=where
        )
        return None if document is None else from_document(self._record, document)

    async def delete(self, scope: Scope, id: str) -> bool:
        return await self._store.delete(scope, self._collection, id)

    async def delete_where(self, scope: Scope, where: Where) -> int:
        return await self._store.delete_where(scope, self._collection, where)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything that auth keeps. The first six belong to the installation, the others to a tenant."""

    tenants: Table[TenantRecord]
    directory: Table[DirectoryEntry]
    installation: Table[InstallationValue]
    signing_keys: Table[SigningKey]
    revocations: Table[RevocationRecord]
    deletions: Table[Deletion]
    users: Table[User]
    projects: Table[ProjectRecord]
    tokens: Table[ApiToken]
    sessions: Table[SessionRecord]
    invitations: Table[Invitation]

    @classmethod
    def of(cls, store: DocumentStore) -> "Tables":
        return cls(
            tenants=Table(store, TENANTS, TenantRecord),
            directory=Table(store, _DIRECTORY, DirectoryEntry),
            installation=Table(store, _INSTALLATION, InstallationValue),
            signing_keys=Table(store, _SIGNING_KEYS, SigningKey),
            revocations=Table(store, _REVOCATIONS, RevocationRecord),
            deletions=Table(store, _DELETIONS, Deletion),
            users=Table(store, _USERS, User),
            projects=Table(store, _PROJECTS, ProjectRecord),
            tokens=Table(store, _API_TOKENS, ApiToken),
            sessions=Table(store, _SESSIONS, SessionRecord),
            invitations=Table(store, _INVITATIONS, Invitation),
        )
