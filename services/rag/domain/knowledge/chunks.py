"""The chunks of documents. A chunk's row is written after its vector, so each row has one."""

from collections.abc import Collection, Sequence

from core.storage.ports import Cond, DocumentStore, Op, Order
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.knowledge.records import Chunk, Document
from services.rag.domain.knowledge.tables import CHUNKS

_PAGE = 1000
_IN_ORDER = Order("chunkIndex", descending=False)


class Chunks:
    """Every method takes the project first; what is another's is not there."""

    def __init__(self, store: DocumentStore) -> None:
        self._table = Table(store, CHUNKS, Chunk)

    async def page(
        self, project: Project, document: Document, generation: int, size: int, token: str
    ) -> tuple[list[Chunk], str]:
        """One page of the indexed chunks of a document, in order, and the token of the next."""
        where = {"documentId": document.id, "generation": generation, "version": document.indexed_version}
        return await self._table.page(project, where, order=_IN_ORDER, page_size=size, page_token=token)

    async def written(self, project: Project, document_id: str, generation: int, version: int) -> set[int]:
        """Return the positions of the chunks of a version that are written."""
        where = {"documentId": document_id, "generation": generation, "version": version}
        return {chunk.chunk_index async for chunk in self._table.scan(project, where, order=_IN_ORDER)}

    async def alike(
        self, project: Project, module_id: str, generations: Collection[int], hashes: Collection[str]
    ) -> list[Chunk]:
        """Return chunks of a module that embed the same text, in indexes of these generations."""
        where = {
            "moduleId": module_id,
            "contentHash": Cond(Op.IN, sorted(hashes)),
            "generation": Cond(Op.IN, sorted(generations)),
        }
        return (await self._table.page(project, where, order=_IN_ORDER, page_size=_PAGE))[0]

    async def insert(self, project: Project, chunks: Sequence[Chunk]) -> None:
        await self._table.insert_many(project, chunks)

    async def delete(
        self, project: Project, document_id: str, *, generation: int | None = None, but_version: int | None = None
    ) -> None:
        """Delete chunks of a document: all, or those of one generation, or those of other versions than one."""
        where: dict[str, object] = {"documentId": document_id}
        if generation is not None:
            where["generation"] = generation
        if but_version is not None:
            where["version"] = Cond(Op.NE, but_version)
        await self._table.delete_where(project, where)

    async def delete_generation(self, project: Project, module_id: str, generation: int) -> None:
        await self._table.delete_where(project, {"moduleId": module_id, "generation": generation})

    async def delete_all(self, project: Project, module_id: str) -> None:
        await self._table.delete_where(project, {"moduleId": module_id})
