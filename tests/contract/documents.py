"""The collections and scopes of the document stores' contract."""

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
ACME, GLOBEX = Tenant("acme"), Tenant("globex")
RED, BLUE = Project(ACME, "red"), Project(ACME, "blue")
ALIEN = Project(GLOBEX, "red")
EVERY = AllProjects(ACME)
NEWEST, OLDEST = Order(), Order(descending=False)


SCHEMA = Schema([TENANTS, USERS, NOTES, LEASES])


async def put(store: DocumentStore, *documents: Document, scope: Scope = RED) -> None:
    for document in documents:
        await store.insert(scope, NOTES, document)


async def ids(store: DocumentStore, where: dict[str, Any] | None, scope: Scope = RED) -> set[str]:
    return {item["id"] for item in (await store.find(scope, NOTES, where, page_size=1000)).items}
