"""The document-store port. Every method takes the scope first; what the scope does not cover is not there.

A document is a JSON object (`dict[str, Any]`). Its `id` (unique within the collection and scope) is the caller's to
set; `project` is the store's: written from the scope on insert, never from the document. Times are Unix seconds as
float or RFC 3339 text, money is an integer, so that both engines order and sum them alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from core.tenancy import EveryProject, Main, Project, Scope, Tenant

Document = dict[str, Any]


class Level(Enum):
    """Whose the records of a collection are; decides which scope its calls must carry."""

    MAIN = "main"
    TENANT = "tenant"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents. `unique` and `indexes` list groups of top-level fields.

    Unique groups hold within the scope: for a PROJECT collection, two projects may use the same key.
    A document that lacks a field of a unique group is not constrained by it.
    """

    name: str
    level: Level
    unique: tuple[tuple[str, ...], ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()


class Op(Enum):
    """Comparisons a `where` may use; both engines answer them alike."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    CONTAINS = "contains"
    """The array field holds the value."""


@dataclass(frozen=True, slots=True)
class Cond:
    """`where={"createdAt": Cond(Op.GTE, t)}`; a bare value in a `where` means equality, a tuple of Conds means all."""

    op: Op
    value: Any


Where = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `next_token` is opaque; empty: this was the last page. A short one need not be."""

    items: list[Document]
    next_token: str


@dataclass(frozen=True, slots=True)
class Order:
    field: str = "createdAt"
    descending: bool = True


class DocumentStore(Protocol):
    """An adapter is made with the `Schema` of its service, and applies it to each database when it first uses it:
    idempotent, and safe under concurrency and across processes.

    Raises Conflict where a unique group would be broken, InvalidInput for a page token it did not make,
    FailedPrecondition for the scope of a tenant that was never created or was dropped, TypeError for a scope of the
    wrong level or a collection that was not declared (a bug of the caller)."""

    async def create_tenant(self, tenant: Tenant) -> None:
        """Create the tenant's database, unless there is one. For auth alone, which keeps the list of tenants."""

    async def drop_tenant(self, tenant: Tenant) -> None:
        """Remove the tenant's database with all that it holds. For auth alone. Other processes see it at their next
        call."""

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None: ...

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        """All or none durable on return; documents whose id exists already are skipped. Returns how many were new."""

    async def get(self, scope: Scope, collection: Collection, id: str) -> Document | None: ...

    async def find_one(self, scope: Scope, collection: Collection, where: Where) -> Document | None: ...

    async def find(
        self,
        scope: Scope,
        collection: Collection,
        where: Where | None = None,
        *,
        order: Order = Order(),
        page_size: int = 50,
        page_token: str = "",
    ) -> Page:
        """A page in `order`, ties broken by id, stable under inserts. The token binds scope, where and order. A page of
        large documents has fewer than `page_size`: only a token that is empty says that there are no more."""

    async def count(self, scope: Scope, collection: Collection, where: Where | None = None) -> int: ...

    async def update(
        self,
        scope: Scope,
        collection: Collection,
        id: str,
        changes: Mapping[str, Any],
        *,
        where: Where | None = None,
    ) -> Document | None:
        """Atomically sets top-level fields (a value of None removes the field) if the document also meets `where`.
        Returns the new document, or None if there is none that does."""

    async def delete(self, scope: Scope, collection: Collection, id: str) -> bool: ...

    async def delete_where(self, scope: Scope, collection: Collection, where: Where) -> int: ...

    async def totals(
        self,
        scope: Scope,
        collection: Collection,
        where: Where | None,
        *,
        group_by: Sequence[str],
        sums: Sequence[str],
    ) -> list[Document]:
        """One row per distinct combination of `group_by`: those fields, `count`, and the sum of each of `sums`.
        At most 10,000 rows, ordered by the group fields."""

    async def scrub(self, tenant: Tenant) -> None:
        """Lets nothing that was deleted from the tenant's documents be readable on the disk any more, as far as the
        engine can. Raises Unavailable where it is too busy now."""

    async def check(self) -> None:
        """For readiness: raises if the store cannot serve."""

    async def close(self) -> None: ...


def check_level(scope: Scope, collection: Collection, *, write: bool) -> None:
    """Raise TypeError for a scope that calls of the collection must not carry. EveryProject may read, count, total and
    delete, but not write."""
    allowed: tuple[type, ...]
    match collection.level:
        case Level.MAIN:
            allowed = (Main,)
        case Level.TENANT:
            allowed = (Tenant,)
        case Level.PROJECT:
            allowed = (Project,) if write else (Project, EveryProject)
    if not isinstance(scope, allowed):
        raise TypeError(f"{collection.name} is a {collection.level.value} collection, not for {type(scope).__name__}")
