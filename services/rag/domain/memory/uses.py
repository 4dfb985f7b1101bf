"""Counts of how often memories were found, written behind the answers of searches.

A search does not wait for them. What is held when the process is killed, some seconds' worth, is lost.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from core import logs
from core.errors import PorticoError
from core.storage.ports import Cond, Op
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.memory import ranking
from services.rag.domain.memory.records import Memory, MemoryStore

log = logs.get(__name__)

FLUSH_SECONDS: Final = 2.0
_MAX_HELD = 10_000
_ACTIVITY_SECONDS = 60.0


class Uses:
    """Uses that are not written yet, by project and store."""

    def __init__(
        self, stores: Table[MemoryStore], memories: Table[Memory], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._stores = stores
        self._memories = memories
        self._clock = clock
        self._held: dict[tuple[Project, str], dict[str, int]] = {}
        self._half_lives: dict[str, float] = {}
        self._count = 0

    def add(self, project: Project, store: MemoryStore, found: Sequence[Memory] = ()) -> None:
        """Note a use of the store, and of the memories that were found in it. Never waits and never raises; what is too
        much is not counted."""
        if self._count + len(found) + 1 > _MAX_HELD:
            return
        held = self._held.setdefault((project, store.id), {})
        self._half_lives[store.id] = store.config.ranking.half_life_hours
        for memory in found:
            held[memory.id] = held.get(memory.id, 0) + 1
        self._count += len(found) + 1

    async def flush(self) -> None:
        """Write what is held. What cannot be written is lost."""
        held, half_lives = self._held, self._half_lives
        self._held, self._half_lives, self._count = {}, {}, 0
        for (project, store_id), counts in held.items():
            try:
                await self._write(project, store_id, counts, half_lives[store_id])
            except PorticoError as error:
                log.warning("uses of memories lost", reason=error.reason)

    async def _write(self, project: Project, store_id: str, counts: dict[str, int], half_life: float) -> None:
        now = self._clock()
        store = await self._stores.get(project, store_id)
        if store is None:
            return
        if now - (store.last_activity_at or 0.0) >= _ACTIVITY_SECONDS:
            await self._stores.update(project, store_id, last_activity_at=now)
        if not counts:
            return
        async for memory in self._memories.scan(project, {"id": Cond(Op.IN, list(counts))}):
            count = memory.access_count + counts[memory.id]
            await self._memories.update(
                project,
                memory.id,
                where={"accessCount": memory.access_count},
                access_count=count,
                last_accessed_at=now,
                retention=ranking.retention(memory.importance, count, now, half_life),
            )
