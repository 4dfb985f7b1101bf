"""Vectors of memories in the indexes of their stores."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from core import logs
from core.errors import FailedPrecondition, NotFound, PorticoError
from services.rag.domain.memory.cleanup import Cleanup
from services.rag.domain.memory.intents import Intent
from services.rag.domain.memory.records import Memory, MemoryStore
from services.rag.domain.memory.stores import index_of
from services.rag.ports import Embedder, VectorMatch, VectorPoint, Vectors

log = logs.get(__name__)


class StoreVectors:
    """Each method takes the store first, and raises FailedPrecondition where its model or its index is gone."""

    def __init__(self, embedder: Embedder, vectors: Vectors, cleanup: Cleanup) -> None:
        self._embedder = embedder
        self._vectors = vectors
        self._cleanup = cleanup

    async def embed(self, store: MemoryStore, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return an embedding of each text, of the dimension of the store's index."""
        values = await self._embedder.embed(store.embedding_model_key, texts)
        if wrong := next((each for each in values if len(each) != store.config.embedding_dimension), None):
            raise FailedPrecondition(
                f"The embedding model {store.embedding_model_key} makes {len(wrong)} numbers by now, and the store's "
                f"index has {store.config.embedding_dimension}. Make another store.",
                reason="EMBEDDING_DIMENSION",
                field="embeddingModelKey",
            )
        return values

    async def write(self, store: MemoryStore, memories: Sequence[Memory], values: Sequence[Sequence[float]]) -> None:
        """Write the vectors of memories, with the metadata that filters see."""
        points = [
            VectorPoint(memory.vector_id, vector, memory.vector_metadata)
            for memory, vector in zip(memories, values, strict=True)
        ]
        try:
            await self._vectors.upsert(index_of(store), points)
        except NotFound:
            raise _index_gone() from None

    async def read(self, store: MemoryStore, memory: Memory) -> Sequence[float]:
        """Return the numbers of a memory's vector, made anew where it is gone."""
        try:
            found = await self._vectors.fetch(index_of(store), [memory.vector_id])
        except NotFound:
            raise _index_gone() from None
        return found.get(memory.vector_id) or (await self.embed(store, [memory.content]))[0]

    async def query(
        self, store: MemoryStore, vector: Sequence[float], top_k: int, filter: Mapping[str, Any]
    ) -> list[VectorMatch]:
        """Return the nearest vectors that meet a filter."""
        try:
            return await self._vectors.query(index_of(store), vector, top_k=top_k, filter=filter)
        except NotFound:
            raise _index_gone() from None

    async def settle(self, intent: Intent) -> None:
        """Remove the intent's vectors that no memory names. What fails is left to the cleanup."""
        try:
            await self._cleanup.settle(intent)
        except PorticoError as error:
            log.warning("vectors are left for later", reason=error.reason)


def new_vector_id() -> str:
    return f"mem-{uuid4().hex}"


def _index_gone() -> FailedPrecondition:
    """The error for a store whose index somebody has deleted."""
    return FailedPrecondition(
        "The vector index of this memory store is gone. Delete the store and make another one.",
        reason="VECTOR_INDEX_GONE",
        field="storeKey",
    )
