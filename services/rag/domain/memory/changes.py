"""Changes of memories. What the vector must show makes another vector, so that a search sees one state whole."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from core import fields
from core.errors import Conflict, InvalidInput, NotFound
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.memory import checks, ranking
from services.rag.domain.memory.intents import VECTORS, Intents
from services.rag.domain.memory.records import ACTIVE, ARCHIVED, Memory, MemoryStore, content_hash, dedup_key
from services.rag.domain.memory.store_vectors import StoreVectors, new_vector_id
from services.rag.domain.memory.stores import MemoryStores
from services.rag.domain.memory.summaries import Summaries

ATTEMPTS = 10
_STATUSES = (ACTIVE, ARCHIVED)


@dataclass(frozen=True, slots=True)
class MemoryChange:
    """New values of a memory; None: as before. Fields of `metadata` are set one by one, None removes one."""

    content: str | None = None
    metadata: Mapping[str, Any] | None = None
    tags: Sequence[str] | None = None
    importance: float | None = None
    status: str | None = None


class Changes:
    """Use cases. Each takes the project and the store first."""

    def __init__(
        self,
        stores: MemoryStores,
        table: Table[Memory],
        intents: Intents,
        vectors: StoreVectors,
        summaries: Summaries,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._table = table
        self._intents = intents
        self._vectors = vectors
        self._summaries = summaries
        self._clock = clock

    async def find(self, project: Project, store: MemoryStore, id: str) -> Memory:
        """Return a memory of the store. Raises NotFound."""
        memory = await self._table.get(project, id)
        if memory is None or memory.store_id != store.id:
            raise NotFound("There is no memory of this id in this store.", reason="MEMORY_NOT_FOUND", field="memoryId")
        return memory

    async def update(self, project: Project, key: str, id: str, change: MemoryChange) -> Memory:
        """Change a memory. Raises NotFound, Conflict, InvalidInput, FailedPrecondition."""
        store = await self._stores.active(project, key)
        memory = await self.find(project, store, id)
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
        return await self.change(project, store, id, changes)

    async def change(self, project: Project, store: MemoryStore, id: str, changes: Mapping[str, Any]) -> Memory:
        """Set fields of a memory, that have been checked. Raises as `update`."""
        for _ in range(ATTEMPTS):
            old = await self.find(project, store, id)
            new = self._changed(store, old, changes)
            if new.vector_metadata == old.vector_metadata and new.content == old.content:
                changed = await self._write(project, old, new)
            else:
                changed = await self._change_vector(project, store, old, new)
            if changed is not None:
                return changed
        raise changed_meanwhile()

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
            (values,) = await self._vectors.embed(store, [new.content])
            (summary,) = await self._summaries.of(store, [new.content])
            new = msgspec.structs.replace(new, summary=summary)
        else:
            values = await self._vectors.read(store, old)
        new = msgspec.structs.replace(new, vector_id=new_vector_id())
        intent = await self._intents.register(project, VECTORS, store, [old.vector_id, new.vector_id])
        if new.expires_at is not None:
            await self._intents.arm(project, store, new.expires_at)
        await self._vectors.write(store, [new], [values])
        intent = await self._intents.confirm(intent)
        try:
            changed = await self._write(project, old, new)
        except Conflict:
            await self._vectors.settle(intent)
            raise
        await self._vectors.settle(intent)
        return changed


def changed_meanwhile() -> Conflict:
    """The error for a memory that others keep changing."""
    return Conflict("The memory is being changed by others. Try again.", reason="CHANGED_MEANWHILE")
