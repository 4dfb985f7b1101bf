"""Removal of memories with their vectors, and eviction."""

from collections.abc import Sequence

from core.storage.ports import Cond, Op, Order
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.memory.intents import VECTORS, Intents
from services.rag.domain.memory.records import ACTIVE, ARCHIVED, Memory, MemoryStore
from services.rag.domain.memory.store_vectors import StoreVectors

BATCH = 500


class Removals:
    """The record goes first: from then on the vector is nobody's."""

    def __init__(self, table: Table[Memory], intents: Intents, vectors: StoreVectors) -> None:
        self._table = table
        self._intents = intents
        self._vectors = vectors

    async def remove(self, project: Project, store: MemoryStore, memories: Sequence[Memory]) -> int:
        """Remove memories that are as they were, and their vectors; how many memories."""
        vector_ids = [memory.vector_id for memory in memories]
        intent = await self._intents.register(project, VECTORS, store, vector_ids)
        where = {"storeId": store.id, "vectorId": Cond(Op.IN, vector_ids)}
        removed = await self._table.delete_where(project, where)
        await self._vectors.settle(intent)
        return removed

    async def evict(self, project: Project, store: MemoryStore, fresh: set[str]) -> None:
        """Remove the weakest memories beyond the store's limit: archived ones before active ones, then by retention.
        The new ones stay, unless there are more of them than the limit."""
        most = store.config.max_memories
        if not most:
            return
        excess = await self._table.count(project, {"storeId": store.id}) - most
        kept = fresh if len(fresh) <= most else set[str]()
        for status in (ARCHIVED, ACTIVE):
            if excess <= 0:
                return
            where = {"storeId": store.id, "status": status}
            weakest = list[Memory]()
            async for memory in self._table.scan(project, where, order=Order("retention", descending=False)):
                if memory.id not in kept:
                    weakest.append(memory)
                if len(weakest) == min(excess, BATCH):
                    break
            if weakest:
                excess -= await self.remove(project, store, weakest)
