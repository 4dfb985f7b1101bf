"""Memories of a store: added, changed, listed and removed, each with its vector.

The record decides: it is written after its vector and removed before it. See intents.py for what happens to a vector
whose change is cut off.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec

from core import fields, logs
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound, PorticoError
from core.storage.ports import Cond, Op, Order
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.memory import checks, ranking
from services.rag.domain.memory.checks import Filter, NewMemory
from services.rag.domain.memory.cleanup import Cleanup
from services.rag.domain.memory.intents import VECTORS, Intents
from services.rag.domain.memory.records import (
    ACTIVE,
    ARCHIVED,
    Memory,
    MemoryStore,
    content_hash,
    dedup_key,
)
from services.rag.domain.memory.stores import MemoryStores, index_of
from services.rag.domain.memory.summaries import Summaries
from services.rag.domain.memory.uses import Uses
from services.rag.ports import Embedder, VectorPoint, Vectors

log = logs.get(__name__)

_DAY = 86_400.0
_BATCH = 500
_ATTEMPTS = 10
_STATUSES = (ACTIVE, ARCHIVED)


@dataclass(frozen=True, slots=True)
class Added:
    """`memory` is the new one, or the one that was there."""

    memory: Memory
    duplicate: bool


@dataclass(frozen=True, slots=True)
class MemoryChange:
    """New values of a memory; None: as before. Fields of `metadata` are set one by one, None removes one."""

    content: str | None = None
    metadata: Mapping[str, Any] | None = None
    tags: Sequence[str] | None = None
    importance: float | None = None
    status: str | None = None


class Memories:
    """Use cases. Each takes the project and the key of a store first; what is another's does not exist for them."""

    def __init__(
        self,
        stores: MemoryStores,
        table: Table[Memory],
        intents: Intents,
        cleanup: Cleanup,
        embedder: Embedder,
        vectors: Vectors,
        summaries: Summaries,
        uses: Uses,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._table = table
        self._intents = intents
        self._cleanup = cleanup
        self._embedder = embedder
        self._vectors = vectors
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
        return await self._change(project, store, memory.id, {"status": ACTIVE, "expires_at": expires_at})

    async def _make(self, project: Project, store: MemoryStore, new: Sequence[NewMemory]) -> list[Added]:
        """Embed the new memories and write them, vectors first."""
        values = await self._embedded(store, [each.content for each in new])
        summaries = await self._summaries.of(store, [each.content for each in new])
        records = [self._record(store, each, summary) for each, summary in zip(new, summaries, strict=True)]
        intent = await self._intents.register(project, VECTORS, store, [each.vector_id for each in records])
        if (expires_at := records[0].expires_at) is not None:
            await self._intents.arm(project, store, expires_at)
        await self._upsert(store, [_point(record, vector) for record, vector in zip(records, values, strict=True)])
        intent = await self._intents.confirm(intent)
        added = await self._insert_all(project, store, records)
        if any(each.duplicate for each in added):
            await self._settle(intent)
        else:
            await self._intents.drop(intent)
        self._uses.add(project, store)
        await self._evict(project, store, {each.memory.id for each in added})
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
            vector_id=_vector_id(),
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
                raise _changed_meanwhile() from None
            return Added(other, duplicate=True)
        return Added(record, duplicate=False)

    async def get(self, project: Project, key: str, id: str) -> Memory:
        """One memory of the store. Raises NotFound."""
        store = await self._stores.get(project, key)
        return await self._find(project, store, id)

    async def _find(self, project: Project, store: MemoryStore, id: str) -> Memory:
        memory = await self._table.get(project, id)
        if memory is None or memory.store_id != store.id:
            raise NotFound("There is no memory of this id in this store.", reason="MEMORY_NOT_FOUND", field="memoryId")
        return memory

    async def update(self, project: Project, key: str, id: str, change: MemoryChange) -> Memory:
        """Change a memory. Raises NotFound, Conflict, InvalidInput, FailedPrecondition."""
        store = await self._stores.active(project, key)
        memory = await self._find(project, store, id)
        changes: dict[str, Any] = {}
        if change.content is not None:
            content = checks.check_content("content", change.content)
            if content != memory.content:
                changes["content"] = content
        if change.tags is not None:
            changes["tags"] = checks.check_tags("tags", change.tags)
        if change.importance is not None:
            changes["importance"] = checks.share("importance", change.importance)
        if change.status is not None:
            changes["status"] = fields.one_of("status", change.status, _STATUSES)
        if change.metadata is not None:
            changes["metadata"] = dict(change.metadata)
        if not changes and change == MemoryChange():
            raise InvalidInput(
                "Nothing is to be changed. Send content, metadata, tags, importance or status.", field="body"
            )
        return await self._change(project, store, id, changes)

    async def _change(self, project: Project, store: MemoryStore, id: str, changes: Mapping[str, Any]) -> Memory:
        for _ in range(_ATTEMPTS):
            old = await self._find(project, store, id)
            new = self._changed(store, old, changes)
            if new.vector_metadata == old.vector_metadata and new.content == old.content:
                changed = await self._write(project, old, new)
            else:
                changed = await self._change_vector(project, store, old, new)
            if changed is not None:
                return changed
        raise _changed_meanwhile()

    def _changed(self, store: MemoryStore, old: Memory, changes: Mapping[str, Any]) -> Memory:
        changes = dict(changes)
        if "metadata" in changes:
            merged = {**old.metadata, **changes["metadata"]}
            kept = {name: value for name, value in merged.items() if changes["metadata"].get(name, value) is not None}
            changes["metadata"] = fields.small_json("metadata", kept)
        new = msgspec.structs.replace(old, **changes, updated_at=max(self._clock(), old.updated_at + 1e-6))
        if new.content != old.content:
            new = msgspec.structs.replace(
                new,
                content_hash=content_hash(new.content),
                dedup_key=dedup_key(new.scope, new.scope_id, new.content) if store.config.deduplication else None,
                embedding_version=old.embedding_version + 1,
            )
        half_life = store.config.ranking.half_life_hours
        retained = ranking.retention(new.importance, new.access_count, ranking.used_at(new), half_life)
        return msgspec.structs.replace(new, retention=retained)

    async def _write(self, project: Project, old: Memory, new: Memory) -> Memory | None:
        """None: the memory is not as it was. Raises Conflict where another one has this content."""
        changes = {name: value for name, value in msgspec.structs.asdict(new).items() if value != getattr(old, name)}
        where = {"updatedAt": old.updated_at, "vectorId": old.vector_id}
        try:
            return await self._table.update(project, old.id, where=where, **changes)
        except Conflict:
            raise Conflict(
                "Another memory of this scope has this content. Delete one of the two.",
                reason="MEMORY_EXISTS",
                field="content",
            ) from None

    async def _change_vector(self, project: Project, store: MemoryStore, old: Memory, new: Memory) -> Memory | None:
        """The new vector is another point, so that a search sees the memory as it was or as it is."""
        if new.content != old.content:
            (values,) = await self._embedded(store, [new.content])
            (summary,) = await self._summaries.of(store, [new.content])
            new = msgspec.structs.replace(new, summary=summary)
        else:
            values = await self._values(store, old)
        new = msgspec.structs.replace(new, vector_id=_vector_id())
        intent = await self._intents.register(project, VECTORS, store, [old.vector_id, new.vector_id])
        if new.expires_at is not None:
            await self._intents.arm(project, store, new.expires_at)
        await self._upsert(store, [_point(new, values)])
        intent = await self._intents.confirm(intent)
        try:
            changed = await self._write(project, old, new)
        except Conflict:
            await self._settle(intent)
            raise
        await self._settle(intent)
        return changed

    async def _values(self, store: MemoryStore, memory: Memory) -> Sequence[float]:
        """The numbers of its vector, or made anew where that is gone."""
        try:
            found = await self._vectors.fetch(index_of(store), [memory.vector_id])
        except NotFound:
            raise index_gone() from None
        return found.get(memory.vector_id) or (await self._embedded(store, [memory.content]))[0]

    async def delete(self, project: Project, key: str, id: str) -> None:
        """Delete a memory. Raises NotFound."""
        store = await self._stores.get(project, key)
        for _ in range(_ATTEMPTS):
            memory = await self._find(project, store, id)
            if await self._remove(project, store, [memory]):
                return
        raise _changed_meanwhile()

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
            if len(batch) == _BATCH:
                deleted += await self._remove(project, store, batch)
                batch = []
        return deleted + (await self._remove(project, store, batch) if batch else 0)

    async def _remove(self, project: Project, store: MemoryStore, memories: Sequence[Memory]) -> int:
        """Remove memories that are as they were, and their vectors; how many memories."""
        vector_ids = [memory.vector_id for memory in memories]
        intent = await self._intents.register(project, VECTORS, store, vector_ids)
        where = {"storeId": store.id, "vectorId": Cond(Op.IN, vector_ids)}
        removed = await self._table.delete_where(project, where)
        await self._settle(intent)
        return removed

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

    async def _evict(self, project: Project, store: MemoryStore, fresh: set[str]) -> None:
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
                if len(weakest) == min(excess, _BATCH):
                    break
            if weakest:
                excess -= await self._remove(project, store, weakest)

    async def _embedded(self, store: MemoryStore, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return await embedded(self._embedder, store, texts)

    async def _upsert(self, store: MemoryStore, points: Sequence[VectorPoint]) -> None:
        try:
            await self._vectors.upsert(index_of(store), points)
        except NotFound:
            raise index_gone() from None

    async def _settle(self, intent: Any) -> None:
        """Remove the vectors that no record names. What fails is left to the cleanup."""
        try:
            await self._cleanup.settle(intent)
        except PorticoError as error:
            log.warning("vectors are left for later", reason=error.reason)

    def _expires_at(self, store: MemoryStore) -> float | None:
        days = store.config.ttl_days
        return self._clock() + days * _DAY if days else None


async def embedded(embedder: Embedder, store: MemoryStore, texts: Sequence[str]) -> Sequence[Sequence[float]]:
    """Embeddings for the store's index. Raises FailedPrecondition where the model makes others by now."""
    values = await embedder.embed(store.embedding_model_key, texts)
    if wrong := next((each for each in values if len(each) != store.config.embedding_dimension), None):
        raise FailedPrecondition(
            f"The embedding model {store.embedding_model_key} makes {len(wrong)} numbers by now, and the store's index "
            f"has {store.config.embedding_dimension}. Make another store.",
            reason="EMBEDDING_DIMENSION",
            field="embeddingModelKey",
        )
    return values


def index_gone() -> FailedPrecondition:
    """The error for a store whose index somebody has deleted."""
    return FailedPrecondition(
        "The vector index of this memory store is gone. Delete the store and make another one.",
        reason="VECTOR_INDEX_GONE",
        field="storeKey",
    )


def _changed_meanwhile() -> Conflict:
    return Conflict("The memory is being changed by others. Try again.", reason="CHANGED_MEANWHILE")


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


def _point(memory: Memory, values: Sequence[float]) -> VectorPoint:
    return VectorPoint(memory.vector_id, values, memory.vector_metadata)


def _vector_id() -> str:
    return f"mem-{uuid4().hex}"


def _dedup_key(new: NewMemory) -> str:
    return dedup_key(new.scope, new.scope_id, new.content)
