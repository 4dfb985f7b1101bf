"""The document-store port. Every method takes the scope first; what the scope does not cover is not there.

A document is a JSON object (`dict[str, Any]`). Its `id` (unique within the collection and scope) is the caller's to
set; `project` is the store's: written from the scope on insert, never from the document. Times are Unix seconds, money
is an integer, so that all engines order and sum them alike.

The port takes what every engine can hold. Fields that are ordered, grouped, summed, unique or indexed are declared with
one scalar type, and values of another type are refused (InvalidInput). The names of nested objects must not be empty,
begin with `$` or hold a dot or NUL, nested integers have at most 64 bits, and nothing lies deeper than 64 levels. A
field of `FieldType.JSON` is free of that: it holds whatever JSON there is and gives it back unchanged, and no query may
look into it. A document has at most `documents.MAX_DOCUMENT_BYTES`, as JSON and as BSON.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import NoneType
from typing import Any, Protocol

from core.tenancy import AllProjects, Main, Project, Scope, Tenant

Document = dict[str, Any]


class Level(Enum):
    """Owner of a collection's records, which decides the scope that its calls must carry."""

    MAIN = "main"
    TENANT = "tenant"
    PROJECT = "project"


class FieldType(Enum):
    """Type of a declared field's values that are neither missing nor None."""

    TEXT = "text"
    INTEGER = "integer"
    """An integer of 64 bits. 1.0 is none."""
    NUMBER = "number"
    """Integer or float, finite. It cannot be grouped by."""
    BOOLEAN = "boolean"
    TIME = "time"
    """Unix seconds, integer or float."""
    JSON = "json"
    """Any JSON value, given back unchanged. No query may look into it."""


TEXT, INTEGER, NUMBER = FieldType.TEXT, FieldType.INTEGER, FieldType.NUMBER
BOOLEAN, TIME, JSON = FieldType.BOOLEAN, FieldType.TIME, FieldType.JSON

_USUAL: Mapping[FieldType, frozenset[type]] = {
    TEXT: frozenset({str, NoneType}),
    INTEGER: frozenset({int, NoneType}),
    NUMBER: frozenset({int, float, NoneType}),
    BOOLEAN: frozenset({bool, NoneType}),
    TIME: frozenset({int, float, NoneType}),
    JSON: frozenset({str, int, float, bool, NoneType, list, dict}),
}


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents. `fields` declares types, `unique` and `indexes` list groups of declared fields.

    Unique groups hold within the scope: for a PROJECT collection, two projects may use the same key. A document that
    lacks a field of a unique group is not constrained by it. `expiry` names a TIME field: from that time on, the
    document is gone from every read and stands in no other's way; `DocumentStore.sweep` deletes it.

    For backups: `sealed` maps the dotted path of a sealed text (`*`: of each item of a list) to the record id that it
    was sealed for, in which `{id}` stands for the id of the object that holds the text; `hidden` names fields that
    prove a secret, which no export shows. A MAIN collection whose documents belong to tenants declares the TEXT field
    `tenant`, their slug.
    """

    name: str
    level: Level
    fields: Mapping[str, FieldType] = field(default_factory=dict, hash=False)
    unique: tuple[tuple[str, ...], ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    expiry: str = ""
    sealed: Mapping[str, str] = field(default_factory=dict, hash=False)
    hidden: tuple[str, ...] = ()
    types: Mapping[str, FieldType] = field(init=False, repr=False, compare=False)
    """`fields`, and those that every document of the level has."""
    usual: Mapping[str, frozenset[type]] = field(init=False, repr=False, compare=False)
    """Classes of values that each field holds as they are, but for integers of more than 64 bits."""

    def __post_init__(self) -> None:
        own = {"id": TEXT, "project": TEXT} if self.level is Level.PROJECT else {"id": TEXT}
        types = {**self.fields, **own}
        object.__setattr__(self, "types", types)
        object.__setattr__(self, "usual", {name: _USUAL[type_] for name, type_ in types.items()})


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


@dataclass(frozen=True, slots=True)
class Increment:
    """Amounts to be added to the INTEGER fields of the document `id`, which begins with the fields of `initial`."""

    id: str
    amounts: Mapping[str, int]
    initial: Mapping[str, Any]


Counting = Callable[[Sequence[Document]], Iterable[Increment]]
"""Makes increments of documents, at most one for each id. It must not raise, and may be called in another thread."""


class DocumentStore(Protocol):
    """An adapter is made with the `Schema` of its service, and applies it to each database when it first uses it:
    idempotent, and safe under concurrency and across processes.

    Raises Conflict where a unique group would be broken, InvalidInput for a page token it did not make,
    FailedPrecondition for the scope of a tenant that was never created or was dropped; TypeError for a bug of the
    caller: a scope of the wrong level, a collection that was not declared, an order, group or sum of a field whose type
    was not declared. A call that raises Unavailable may have been carried out: it is for the caller to make its
    repetition harmless."""

    async def create_tenant(self, tenant: Tenant) -> None:
        """Create the tenant's database, unless there is one. For auth alone, which keeps the list of tenants."""

    async def drop_tenant(self, tenant: Tenant) -> None:
        """Remove the tenant's database with all that it holds. For auth alone. Other processes see it at their next
        call."""

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None: ...

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        """Insert the documents whose ids are not known yet; how many those were. Durable on return.

        Not a transaction: where a document breaks a unique group, the others are inserted all the same before Conflict
        is raised, and a process that dies half-way leaves a part. To repeat the call is safe, and completes it.
        """

    async def insert_counted(
        self,
        scope: Scope,
        collection: Collection,
        documents: Sequence[Document],
        counters: Collection,
        counting: Counting,
        *,
        texts: Sequence[str] | None = None,
    ) -> int:
        """Insert the documents whose ids are not known yet, and carry out the increments that `counting` makes of those
        on `counters`; how many those were. Durable on return.

        A document is counted once, however often the call is repeated: both are one transaction, or, where the engine
        has none, what a call that ended half-way has left is completed by the next one with any of its documents.
        Calls at the same time must not have documents in common. Neither collection may have unique groups or an
        expiry. Raises InvalidInput where a sum would not fit into 64 bits, and changes nothing then.

        `texts` are the documents as `documents.encode` writes them, their project included, from a caller that has
        them and vouches for them: an engine that keeps texts takes them as they are.
        """

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

    async def increment(
        self,
        scope: Scope,
        collection: Collection,
        id: str,
        amounts: Mapping[str, int],
        *,
        initial: Mapping[str, Any] | None = None,
    ) -> Document:
        """Atomically add to INTEGER fields, a missing one counting as 0, and return the new document. Where there is
        none with this id (or it has expired), it is inserted with the amounts and the fields of `initial`. Raises
        InvalidInput where a sum would not fit into 64 bits, and changes nothing then."""

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
        At most 10,000 rows, ordered by the group fields. Groups are of TEXT, INTEGER or BOOLEAN fields, sums of INTEGER
        or NUMBER fields."""

    async def sweep(self) -> int:
        """Delete what has expired in the databases that are in use; how many documents. To be called now and then."""

    async def scrub(self, database: Main | Tenant) -> None:
        """Overwrite deleted documents of a database, so that they cannot be read from the disk any more, as far as the
        engine can. Raises Unavailable where it is too busy now."""

    async def check(self) -> None:
        """Check that the store can serve, for readiness. Raises if it cannot."""

    async def close(self) -> None: ...


def check_level(scope: Scope, collection: Collection, *, write: bool) -> None:
    """Raise TypeError for a scope that calls of the collection must not carry. AllProjects may read, count, total and
    delete, but not write."""
    allowed: tuple[type, ...]
    match collection.level:
        case Level.MAIN:
            allowed = (Main,)
        case Level.TENANT:
            allowed = (Tenant,)
        case Level.PROJECT:
            allowed = (Project,) if write else (Project, AllProjects)
    if not isinstance(scope, allowed):
        raise TypeError(f"{collection.name} is a {collection.level.value} collection, not for {type(scope).__name__}")
