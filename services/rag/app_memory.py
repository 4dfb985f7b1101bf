"""Wires memory: the part of the rag service that stands on Portico's other services alone."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.app import Platform
from core.jobs.jobs import Jobs
from core.lifecycle import Phase
from core.rpc.server import ServiceRegistration
from core.storage.ports import DocumentStore
from core.storage.table import Table
from core.tenancy import Project
from portico.rag.v1 import memory_service_pb2_grpc
from services.rag.app_knowledge import Services
from services.rag.domain.memory import cleanup
from services.rag.domain.memory.additions import Additions
from services.rag.domain.memory.changes import Changes
from services.rag.domain.memory.cleanup import Cleanup
from services.rag.domain.memory.conversations import Conversations
from services.rag.domain.memory.intents import Intents
from services.rag.domain.memory.memories import Memories
from services.rag.domain.memory.records import Memory, MemoryStore
from services.rag.domain.memory.removals import Removals
from services.rag.domain.memory.searches import Searches
from services.rag.domain.memory.store_vectors import StoreVectors
from services.rag.domain.memory.stores import MemoryStores
from services.rag.domain.memory.summaries import Summaries
from services.rag.domain.memory.tables import MEMORIES, MEMORY_STORES
from services.rag.domain.memory.uses import FLUSH_SECONDS, Uses
from services.rag.servicers.memory import MemoryServicer
from services.rag.settings import MemorySettings


@dataclass(frozen=True, slots=True)
class MemoryParts:
    """The use cases, and what works in the background."""

    stores: MemoryStores
    memories: Memories
    additions: Additions
    changes: Changes
    searches: Searches
    conversations: Conversations
    intents: Intents
    cleanup: Cleanup
    uses: Uses
    store: DocumentStore

    async def remove(self, project: Project) -> bool:
        """Remove what a deleted project has here. Stores go first: a memory that is being added finds its store gone.
        The vectors go with the project in the vector service."""
        for collection in (MEMORY_STORES, MEMORIES):
            await self.store.delete_where(project, collection, {})
        await self.intents.forget(project)
        return True


def assemble(
    store: DocumentStore,
    jobs: Jobs,
    services: Services,
    settings: MemorySettings,
    *,
    clock: Callable[[], float] = time.time,
) -> MemoryParts:
    """The parts on a store, with the handler of their jobs registered. Nothing works in the background yet."""
    embedder, vectors = services.embedder, services.vectors
    stores_table, memories_table = Table(store, MEMORY_STORES, MemoryStore), Table(store, MEMORIES, Memory)
    intents = Intents(store, grace=settings.grace_seconds, clock=clock)
    cleaner = Cleanup(intents, stores_table, memories_table, vectors, jobs, clock=clock)
    stores = MemoryStores(store, stores_table, intents, cleaner, embedder, vectors, clock=clock)
    summaries, uses = Summaries(services.chat), Uses(stores_table, memories_table, clock=clock)
    store_vectors = StoreVectors(embedder, vectors, cleaner)
    removals = Removals(memories_table, intents, store_vectors)
    changes = Changes(stores, memories_table, intents, store_vectors, summaries, clock=clock)
    additions = Additions(
        stores, memories_table, intents, store_vectors, changes, removals, summaries, uses, clock=clock
    )
    jobs.handle(cleanup.KIND, cleaner.run, None, scopes=cleanup.SCOPES)
    return MemoryParts(
        stores=stores,
        memories=Memories(stores, memories_table, changes, removals),
        additions=additions,
        changes=changes,
        searches=Searches(stores, memories_table, store_vectors, uses, clock=clock),
        conversations=Conversations(stores, additions, summaries),
        intents=intents,
        cleanup=cleaner,
        uses=uses,
        store=store,
    )


def start(platform: Platform, settings: MemorySettings, memory: MemoryParts) -> None:
    """Start what works in the background."""
    platform.singletons.every("clean up memories", settings.sweep_seconds, memory.cleanup.sweep)
    platform.tasks.every("write uses of memories", FLUSH_SECONDS, memory.uses.flush)
    platform.lifecycle.on_stop(Phase.FLUSH, "uses of memories", memory.uses.flush, 5.0)


def registration(memory: MemoryParts) -> ServiceRegistration:
    return ServiceRegistration(
        "portico.rag.v1.MemoryService",
        memory_service_pb2_grpc.add_MemoryServiceServicer_to_server,
        MemoryServicer(
            memory.stores, memory.memories, memory.additions, memory.changes, memory.searches, memory.conversations
        ),
    )
