"""What the service keeps in the tenants' stores."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.providers import records
from core.storage.ports import (
    INTEGER,
    JSON,
    NUMBER,
    TEXT,
    TIME,
    Collection,
    Document,
    DocumentStore,
    Level,
    Page,
    Where,
)
from core.tenancy import AllProjects, Project

PROVIDERS = records.collection("providers")
MODELS = Collection(
    "models",
    Level.PROJECT,
    {"key": TEXT, "category": TEXT, "providerKey": TEXT, "createdAt": TIME, "settings": JSON, "metadata": JSON},
    unique=(("key",),),
    indexes=(("createdAt",), ("providerKey",), ("category",)),
)
USAGE = Collection(
    "usage",
    Level.PROJECT,
    {
        "createdAt": TIME,
        "day": TEXT,
        "tokenId": TEXT,
        "userId": TEXT,
        "model": TEXT,
        "providerKey": TEXT,
        "operation": TEXT,
        "status": TEXT,
        "currency": TEXT,
        "inputTokens": INTEGER,
        "outputTokens": INTEGER,
        "cachedInputTokens": INTEGER,
        "reasoningTokens": INTEGER,
        "totalTokens": INTEGER,
        "costNanos": INTEGER,
        "latencyMs": NUMBER,
    },
    indexes=(("createdAt",), ("model", "createdAt"), ("tokenId", "createdAt")),
)

COLLECTIONS = (PROVIDERS, MODELS, USAGE)

UsageScope = Project | AllProjects


class Table:
    """One collection. Errors are the store's."""

    def __init__(self, store: DocumentStore, collection: Collection) -> None:
        self._store = store
        self._collection = collection

    async def insert(self, scope: Project, document: Document) -> None:
        await self._store.insert(scope, self._collection, document)

    async def get(self, scope: UsageScope, id: str) -> Document | None:
        return await self._store.get(scope, self._collection, id)

    async def find_one(self, scope: UsageScope, where: Where) -> Document | None:
        return await self._store.find_one(scope, self._collection, where)

    async def page(self, scope: UsageScope, where: Where, size: int, token: str) -> Page:
        """Newest first."""
        return await self._store.find(scope, self._collection, where, page_size=size, page_token=token)

    async def count(self, scope: UsageScope, where: Where) -> int:
        return await self._store.count(scope, self._collection, where)

    async def update(
        self, scope: Project, id: str, changes: Mapping[str, Any], where: Where | None = None
    ) -> Document | None:
        return await self._store.update(scope, self._collection, id, changes, where=where)

    async def delete(self, scope: Project, id: str) -> bool:
        return await self._store.delete(scope, self._collection, id)

    async def totals(
        self, scope: UsageScope, where: Where, group_by: Sequence[str], sums: Sequence[str]
    ) -> list[Document]:
        return await self._store.totals(scope, self._collection, where, group_by=group_by, sums=sums)
