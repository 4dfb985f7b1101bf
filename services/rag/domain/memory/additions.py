"""Additions of memories, each with its vector, which is written first."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from core.errors import Conflict, InvalidInput, PorticoError
from core.storage.ports import Cond, Op
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.memory import checks, ranking
from services.rag.domain.memory.changes import Changes, changed_meanwhile
from services.rag.domain.memory.checks import NewMemory
from services.rag.domain.memory.intents import VECTORS, Intents
from services.rag.domain.memory.records import ACTIVE, Memory, MemoryStore, content_hash, dedup_key
from services.rag.domain.memory.removals import Removals
from services.rag.domain.memory.store_vectors import StoreVectors, new_vector_id
from services.rag.domain.memory.stores import MemoryStores
from services.rag.domain.memory.summaries import Summaries
from services.rag.domain.memory.uses import Uses

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Added:
    """`memory` is the new one, or the one that was there."""

    memory: Memory
    duplicate: bool


class Additions:
    """Use cases. Each takes the project and the key of a store first."""

    def __init__(
        self,
        stores: MemoryStores,
        table: Table[Memory],
        intents: Intents,
        vectors: StoreVectors,
        changes: Changes,
        removals: Removals,
        summaries: Summaries,
        uses: Uses,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._table = table
        self._intents = intents
        self._vectors = vectors
        self._changes = changes
        self._removals = removals
        self._summaries = summaries
        self._uses = uses
        self._clock = clock

    async def add(self, project: Project, key: str, new: NewMemory) -> Added:
        """Add a memory, or return the one of the same content and scope. Raises NotFound, InvalidInput,
        FailedPrecondition."""
        store = await self._stores.active(project, key)
        (added,) = await self._add(project, store, [checks.check_new(new, store)])
        return added

    async def add_batch(self, project: Project, key: str, new: Sequence[NewMemory]) -> list[Added]:
        """Add several, or none of them where one is not valid. Raises as `add`."""
        if not 1 <= len(new) <= checks.MAX_BATCH:
            raise InvalidInput(f"memories must hold 1 to {checks.MAX_BATCH} entries.", field="memories")
        store = await self._stores.active(project, key)
        return await self._add(
            project, store, [checks.check_new(each, store, f"memories[{at}].") for at, each in enumerate(new)]
        )

    async def _add(self, project: Project, store: MemoryStore, new: Sequence[NewMemory]) -> list[Added]:
        known = await self._known(project, store, new)
        fresh: dict[str, NewMemory] = {}
        for each in new:
            key = _dedup_key(each) if store.config.deduplication else uuid4().hex
            if key not in known:
                fresh.setdefault(key, each)
        made = await self._make(project, store, list(fresh.values())) if fresh else []
        by_key = known | dict(zip(fresh, made, strict=True))
        if not store.config.deduplication:
            return list(by_key.values())
        results, seen = list[Added](), set[str]()
        for each in new:
            key = _dedup_key(each)
            found = by_key[key]
            results.append(Added(found.memory, found.duplicate or key in seen))
            seen.add(key)
        return results

    async def _known(self, project: Project, store: MemoryStore, new: Sequence[NewMemory]) -> dict[str, Added]:
        """The memories that are there already, by their deduplication keys; those that were archived, or expire, are
        as good as new from now on."""
        if not store.config.deduplication:
            return {}
        wanted = {_dedup_key(each) for each in new}
        hashes = {content_hash(each.content) for each in new}
        where = {"storeId": store.id, "contentHash": Cond(Op.IN, sorted(hashes))}
        found = [memory async for memory in self._table.scan(project, where)]
        known = {dedup_key(each.scope, each.scope_id, each.content): each for each in found}
        return {
            key: Added(await self._renewed(project, store, memory), duplicate=True)
            for key, memory in known.items()
            if key in wanted
        }

    async def _renewed(self, project: Project, store: MemoryStore, memory: Memory) -> Memory:
        expires_at = self._expires_at(store)
        if memory.status == ACTIVE and memory.expires_at is None:
            return memory
        return await self._changes.change(project, store, memory.id, {"status": ACTIVE, "expires_at": expires_at})

    async def _make(self, project: Project, store: MemoryStore, new: Sequence[NewMemory]) -> list[Added]:
        """Embed the new memories and write them, vectors first."""
        values = await self._vectors.embed(store, [each.content for each in new])
        summaries = await self._summaries.of(store, [each.content for each in new])
        records = [self._record(store, each, summary) for each, summary in zip(new, summaries, strict=True)]
        intent = await self._intents.register(project, VECTORS, store, [each.vector_id for each in records])
        if (expires_at := records[0].expires_at) is not None:
            await self._intents.arm(project, store, expires_at)
        await self._vectors.write(store, records, values)
        intent = await self._intents.confirm(intent)
        added = await self._insert_all(project, store, records)
        if any(each.duplicate for each in added):
            await self._vectors.settle(intent)
        else:
            await self._intents.drop(intent)
        self._uses.add(project, store)
        await self._removals.evict(project, store, {each.memory.id for each in added})
        return added

    def _record(self, store: MemoryStore, new: NewMemory, summary: str) -> Memory:
        now = self._clock()
        importance = checks.DEFAULT_IMPORTANCE if new.importance is None else new.importance
        return Memory(
            id=f"mem_{uuid4().hex}",
            store_id=store.id,
            content=new.content,
            content_hash=content_hash(new.content),
            dedup_key=_dedup_key(new) if store.config.deduplication else None,
            summary=summary,
            scope=new.scope,
            scope_id=new.scope_id,
            metadata=new.metadata,
            tags=tuple(new.tags),
            source=new.source,
            importance=importance,
            vector_id=new_vector_id(),
            created_at=now,
            updated_at=now,
            expires_at=self._expires_at(store),
            retention=ranking.retention(importance, 0, now, store.config.ranking.half_life_hours),
        )

    async def _insert_all(self, project: Project, store: MemoryStore, records: Sequence[Memory]) -> list[Added]:
        """Insert the memories, all or none, unless the store is being deleted: it is looked at after the write, so that
        its deletion either sees the memories or is seen here."""
        added = list[Added]()
        try:
            for record in records:
                added.append(await self._insert(project, record))
            await self._stores.get(project, store.key)
        except PorticoError:
            with suppress(PorticoError):
                for each in added:
                    if not each.duplicate:
                        await self._table.delete(project, each.memory.id)
            raise
        return added

    async def _insert(self, project: Project, record: Memory) -> Added:
        """Insert a memory; where another call was faster, its memory is the one."""
        try:
            await self._table.insert(project, record)
        except Conflict:
            where = {"storeId": record.store_id, "dedupKey": record.dedup_key}
            other = await self._table.find_one(project, where)
            if other is None:
                raise changed_meanwhile() from None
            return Added(other, duplicate=True)
        return Added(record, duplicate=False)

    def _expires_at(self, store: MemoryStore) -> float | None:
        days = store.config.ttl_days
        return self._clock() + days * _DAY if days else None


def _dedup_key(new: NewMemory) -> str:
    return dedup_key(new.scope, new.scope_id, new.content)
