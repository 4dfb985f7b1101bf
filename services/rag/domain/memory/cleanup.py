"""Cleanup of what changes that were cut off have left in vector indexes, and of vectors that have expired.

A sweep finds the intents that are due and submits one job for each project, whose token may delete vectors and do
nothing else.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from core import logs
from core.errors import Conflict, NotFound, PorticoError
from core.jobs.jobs import Jobs
from core.jobs.run import JobRun
from core.storage.ports import Cond, Op, Order
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.memory.intents import EXPIRY, STORE, Intent, Intents
from services.rag.domain.memory.records import Memory, MemoryStore
from services.rag.ports import IndexRef, Vectors

log = logs.get(__name__)

KIND: Final = "memory.cleanup"
SCOPES: Final = ("vectors:write",)
"""Token scopes of its jobs."""


class Cleanup:
    """Settles intents. Whatever it does may be done again."""

    def __init__(
        self,
        intents: Intents,
        stores: Table[MemoryStore],
        memories: Table[Memory],
        vectors: Vectors,
        jobs: Jobs,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._intents = intents
        self._stores = stores
        self._memories = memories
        self._vectors = vectors
        self._jobs = jobs
        self._clock = clock

    async def sweep(self) -> int:
        """Submit the jobs for what is due. Returns for how many projects."""
        projects = {intent.scope async for intent in self._intents.due()}
        for project in projects:
            await self.submit(project)
        return len(projects)

    async def submit(self, project: Project) -> None:
        """Have the project's due intents settled, unless that is under way."""
        with suppress(Conflict):
            await self._jobs.submit(project, KIND, {}, unique_key=KIND)

    async def run(self, job: JobRun) -> None:
        """The handler of the jobs. An intent that cannot be settled now falls due again."""
        async for intent in self._intents.due(job.scope):
            claimed = await self._intents.claim(intent)
            if claimed is None:
                continue
            try:
                await self.settle(claimed)
            except PorticoError as error:
                log.warning("vectors are left for later", reason=error.reason, kind=intent.kind)

    async def settle(self, intent: Intent) -> None:
        """Remove what the intent's change has left, and the intent. Raises Unavailable."""
        if intent.kind == STORE:
            await self._settle_store(intent)
        elif intent.kind == EXPIRY:
            await self._settle_expiry(intent)
        else:
            await self._remove_orphans(intent)
        await self._intents.drop(intent)
        if intent.kind == EXPIRY:
            await self._arm_next(intent)

    async def _remove_orphans(self, intent: Intent) -> None:
        where = {"vectorId": Cond(Op.IN, intent.vector_ids)}
        named = {memory.vector_id async for memory in self._memories.scan(intent.scope, where)}
        if orphans := set(intent.vector_ids) - named:
            await self.delete_vectors(intent.index, sorted(orphans))

    async def _settle_store(self, intent: Intent) -> None:
        """Remove a store that is being deleted, or whose creation was cut off. One that is in use stays."""
        store = await self._stores.get(intent.scope, intent.store_id)
        if store is not None and store.closing is None:
            return
        await self._memories.delete_where(intent.scope, {"storeId": intent.store_id})
        await self._vectors.delete_index(intent.index)
        await self._stores.delete(intent.scope, intent.store_id)

    async def _settle_expiry(self, intent: Intent) -> None:
        with suppress(NotFound):  # the index is gone, and the vectors with it
            await self._vectors.delete(intent.index, filter={"expiresAt": {"$lte": self._clock()}})

    async def _arm_next(self, intent: Intent) -> None:
        expiring = {"storeId": intent.store_id, "expiresAt": Cond(Op.GT, 0)}
        order = Order("expiresAt", descending=False)
        found, _ = await self._memories.page(intent.scope, expiring, order=order, page_size=1)
        store = await self._stores.get(intent.scope, intent.store_id)
        if found and store is not None and found[0].expires_at is not None:
            await self._intents.arm(intent.scope, store, found[0].expires_at)

    async def delete_vectors(self, index: IndexRef, ids: list[str]) -> None:
        """Delete vectors by id; an index that is gone has none."""
        with suppress(NotFound):
            await self._vectors.delete(index, ids=ids)
