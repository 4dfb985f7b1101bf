"""The collections and scopes of the document stores' contract."""

from collections.abc import Sequence
from typing import Any

from core.storage.ports import (
    BOOLEAN,
    INTEGER,
    JSON,
    NUMBER,
    TEXT,
    TIME,
    Collection,
    Document,
    DocumentStore,
    Increment,
    Level,
    Order,
)
from core.storage.schema import Schema
from core.tenancy import AllProjects, Project, Scope, Tenant

TENANTS = Collection("tenants", Level.MAIN, {"slug": TEXT, "createdAt": TIME, "secret": TEXT}, unique=(("slug",),))
USERS = Collection(
    "users", Level.TENANT, {"email": TEXT, "n": INTEGER, "createdAt": TIME, "secret": TEXT}, unique=(("email",),)
)
NOTES = Collection(
    "notes",
    Level.PROJECT,
    {
        "key": TEXT,
        "kind": TEXT,
        "number": NUMBER,
        "createdAt": TIME,
        "text": TEXT,
        "n": INTEGER,
        "model": TEXT,
        "ok": BOOLEAN,
        "tokens": INTEGER,
        "cost": NUMBER,
        "secret": TEXT,
        "deep": JSON,
    },
    unique=(("key",), ("kind", "number")),
    indexes=(("createdAt",), ("kind",)),
)
LEASES = Collection(
    "leases", Level.PROJECT, {"key": TEXT, "until": TIME, "n": INTEGER}, unique=(("key",),), expiry="until"
)
CALLS = Collection("calls", Level.PROJECT, {"kind": TEXT, "tokens": INTEGER, "secret": TEXT})
LOGINS = Collection("logins", Level.TENANT, {"kind": TEXT, "calls": INTEGER, "tokens": INTEGER})
COUNTS = Collection("counts", Level.PROJECT, {"kind": TEXT, "calls": INTEGER, "tokens": INTEGER})
ACME, GLOBEX = Tenant("acme"), Tenant("globex")
RED, BLUE = Project(ACME, "red"), Project(ACME, "blue")
ALIEN = Project(GLOBEX, "red")
EVERY = AllProjects(ACME)
NEWEST, OLDEST = Order(), Order(descending=False)


SCHEMA = Schema([TENANTS, USERS, NOTES, LEASES, CALLS, COUNTS, LOGINS])


def counting(calls: Sequence[Document]) -> list[Increment]:
    """Count calls and their tokens by kind."""
    kinds = sorted({call.get("kind", "") for call in calls})
    of = {kind: [call.get("tokens", 0) for call in calls if call.get("kind", "") == kind] for kind in kinds}
    return [
        Increment(f"c{kind}", {"calls": len(tokens), "tokens": sum(tokens)}, {"kind": kind})
        for kind, tokens in of.items()
    ]


async def put(store: DocumentStore, *documents: Document, scope: Scope = RED) -> None:
    for document in documents:
        await store.insert(scope, NOTES, document)


async def ids(store: DocumentStore, where: dict[str, Any] | None, scope: Scope = RED) -> set[str]:
    return {item["id"] for item in (await store.find(scope, NOTES, where, page_size=1000)).items}
