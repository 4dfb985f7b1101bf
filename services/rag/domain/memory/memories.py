"""Memories of a store: read, listed and deleted.

The record decides: it is written after its vector and removed before it. See intents.py for what happens to a vector
whose change is cut off.
"""

from collections.abc import AsyncIterator
from typing import Any

from core import fields
from core.errors import InvalidInput
from core.storage.ports import Cond, Op, Order
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.memory import checks
from services.rag.domain.memory.changes import ATTEMPTS, Changes, changed_meanwhile
from services.rag.domain.memory.checks import Filter
from services.rag.domain.memory.records import Memory, MemoryStore
from services.rag.domain.memory.removals import BATCH, Removals
from services.rag.domain.memory.stores import MemoryStores


class Memories:
    """Use cases. Each takes the project and the key of a store first; what is another's does not exist for them."""

    def __init__(self, stores: MemoryStores, table: Table[Memory], changes: Changes, removals: Removals) -> None:
        self._stores = stores
        self._table = table
        self._changes = changes
        self._removals = removals

    async def get(self, project: Project, key: str, id: str) -> Memory:
        """One memory of the store. Raises NotFound."""
        store = await self._stores.get(project, key)
        return await self._changes.find(project, store, id)

    async def delete(self, project: Project, key: str, id: str) -> None:
        """Delete a memory. Raises NotFound."""
        store = await self._stores.get(project, key)
        for _ in range(ATTEMPTS):
            memory = await self._changes.find(project, store, id)
            if await self._removals.remove(project, store, [memory]):
                return
        raise changed_meanwhile()

    async def delete_matching(self, project: Project, key: str, given: Filter, *, every: bool = False) -> int:
        """Delete all memories that meet a filter, archived ones too; how many. `every`: there need be no filter. Raises
        NotFound, InvalidInput."""
        store = await self._stores.get(project, key)
        wanted = checks.check_filter(given)
        if not (wanted.scope or wanted.scope_id or wanted.tags or wanted.before is not None or every):
            raise InvalidInput(
                "Name scope, scopeId, tags or before. To delete all memories of the store, send all=true.",
                field="scope",
            )
        deleted, batch = 0, list[Memory]()
        async for memory in self._matching(project, store, wanted, any_status=True):
            batch.append(memory)
            if len(batch) == BATCH:
                deleted += await self._removals.remove(project, store, batch)
                batch = []
        return deleted + (await self._removals.remove(project, store, batch) if batch else 0)

    async def list(
        self, project: Project, key: str, given: Filter, *, limit: int = 0, skip: int = 0
    ) -> tuple[list[Memory], int]:
        """Some memories, newest first, and how many there are in all. Raises NotFound, InvalidInput."""
        store = await self._stores.get(project, key)
        size = fields.page_size(limit, field="limit")
        checks.number("skip", skip, 0, checks.MAX_SKIP)
        wanted = checks.check_filter(given)
        counted = not wanted.search and len(wanted.tags) <= 1
        total = await self._table.count(project, _where(store, wanted)) if counted else 0
        found, at = list[Memory](), 0
        async for memory in self._matching(project, store, wanted):
            if skip <= at < skip + size:
                found.append(memory)
            at += 1
            if counted and at >= skip + size:
                break
        return found, total if counted else at

    async def _matching(
        self, project: Project, store: MemoryStore, wanted: Filter, *, any_status: bool = False
    ) -> AsyncIterator[Memory]:
        """Newest first."""
        text, tags = wanted.search.casefold(), set(wanted.tags)
        where = _where(store, wanted, any_status=any_status)
        async for memory in self._table.scan(project, where, order=Order()):
            if (not tags or tags & set(memory.tags)) and text in memory.content.casefold():
                yield memory


def _where(store: MemoryStore, wanted: Filter, *, any_status: bool = False) -> dict[str, Any]:
    where: dict[str, Any] = {"storeId": store.id}
    if wanted.scope:
        where["scope"] = wanted.scope
    if wanted.scope_id:
        where["scopeId"] = wanted.scope_id
    if wanted.status != "all" and not any_status:
        where["status"] = wanted.status
    if wanted.before is not None:
        where["createdAt"] = Cond(Op.LT, wanted.before)
    if len(wanted.tags) == 1:
        where["tags"] = Cond(Op.CONTAINS, wanted.tags[0])
    return where
