"""The parts of memory, assembled."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.jobs.jobs import Jobs
from core.storage.ports import DocumentStore
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.memory import cleanup
from services.rag.domain.memory.cleanup import Cleanup
from services.rag.domain.memory.conversations import Conversations
from services.rag.domain.memory.intents import Intents
from services.rag.domain.memory.memories import Memories
from services.rag.domain.memory.records import Memory, MemoryStore
from services.rag.domain.memory.searches import Searches
from services.rag.domain.memory.stores import MemoryStores
from services.rag.domain.memory.summaries import Summaries
from services.rag.domain.memory.tables import MEMORIES, MEMORY_STORES
from services.rag.domain.memory.uses import Uses
from services.rag.ports import ChatModel, Embedder, Vectors


@dataclass(frozen=True, slots=True)
class MemoryParts:
    """The use cases, and what works in the background."""

    stores: MemoryStores
    memories: Memories
    searches: Searches
    conversations: Conversations
    intents: Intents
    cleanup: Cleanup
    uses: Uses
    store: DocumentStore

    async def remove(self, project: Project) -> None:
        """Remove what a deleted project has here. Stores go first: a memory that is being added finds its store gone.
        The vectors go with the project in the vector service."""
        for collection in (MEMORY_STORES, MEMORIES):
            await self.store.delete_where(project, collection, {})
        await self.intents.forget(project)


def assemble(
    store: DocumentStore,
    jobs: Jobs,
    embedder: Embedder,
    chat: ChatModel,
    vectors: Vectors,
    *,
    grace: float,
    clock: Callable[[], float] = time.time,
) -> MemoryParts:
    """The parts on a store, with the handler of their jobs registered. Nothing works in the background yet."""
    stores_table, memories_table = Table(store, MEMORY_STORES, MemoryStore), Table(store, MEMORIES, Memory)
    intents = Intents(store, grace=grace, clock=clock)
    cleaner = Cleanup(intents, stores_table, memories_table, vectors, jobs, clock=clock)
    stores = MemoryStores(store, stores_table, intents, cleaner, embedder, vectors, clock=clock)
    summaries, uses = Summaries(chat), Uses(stores_table, memories_table, clock=clock)
    memories = Memories(stores, memories_table, intents, cleaner, embedder, vectors, summaries, uses, clock=clock)
    jobs.handle(cleanup.KIND, cleaner.run, None, scopes=cleanup.SCOPES)
    return MemoryParts(
        stores=stores,
        memories=memories,
        searches=Searches(stores, memories_table, embedder, vectors, uses, clock=clock),
        conversations=Conversations(stores, memories, summaries),
        intents=intents,
        cleanup=cleaner,
        uses=uses,
        store=store,
    )
