"""The texts of documents, kept in pieces beside their records."""

from collections.abc import Collection

from core.storage.ports import Cond, DocumentStore, Op, Order
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.knowledge.records import Document, TextPiece
from services.rag.domain.knowledge.tables import TEXTS

PIECE_CHARS = 64 * 1024
_BATCH = 16
_IN_ORDER = Order("start", descending=False)


class Texts:
    """Every method takes the project first; what is another's is not there."""

    def __init__(self, store: DocumentStore) -> None:
        self._table = Table(store, TEXTS, TextPiece)

    async def write(self, project: Project, module_id: str, document_id: str, source_id: str, text: str) -> None:
        """Write the text of a source. Safe to repeat with the same text."""
        batch: list[TextPiece] = []
        for start in range(0, len(text), PIECE_CHARS):
            id = f"{source_id}:{start}"
            piece = TextPiece(id, module_id, document_id, source_id, start, text[start : start + PIECE_CHARS])
            batch.append(piece)
            if len(batch) == _BATCH:
                await self._table.insert_many(project, batch)
                batch = []
        if batch:
            await self._table.insert_many(project, batch)

    async def read(
        self, project: Project, document_id: str, source_id: str, start: int = 0, end: int | None = None
    ) -> str:
        """Return the text of a source, or what of it lies from one character to another."""
        first = start - start % PIECE_CHARS
        bounds: tuple[Cond, ...] = (Cond(Op.GTE, first),)
        if end is not None:
            bounds += (Cond(Op.LT, end),)
        where = {"documentId": document_id, "sourceId": source_id, "start": bounds}
        pieces = [piece.text async for piece in self._table.scan(project, where, order=_IN_ORDER)]
        whole = "".join(pieces)
        return whole[start - first : None if end is None else max(0, end - first)]

    async def window(self, project: Project, document: Document, start: int, end: int, size: int) -> tuple[int, str]:
        """Return `size` characters of the indexed text around a chunk of it, and where they begin."""
        missing = max(0, size - (end - start))
        low = max(0, start - missing // 2)
        high = min(document.text_length, max(end, low + size))
        low = max(0, min(low, high - size))
        return low, await self.read(project, document.id, document.indexed_source, low, high)

    async def delete(self, project: Project, document_id: str, *, but: Collection[str] = ()) -> None:
        """Delete the texts of a document, but for those of some sources."""
        where: dict[str, object] = {"documentId": document_id}
        if but:
            where["sourceId"] = tuple(Cond(Op.NE, each) for each in but)
        await self._table.delete_where(project, where)

    async def delete_source(self, project: Project, source_id: str) -> None:
        await self._table.delete_where(project, {"sourceId": source_id})

    async def delete_all(self, project: Project, module_id: str) -> None:
        await self._table.delete_where(project, {"moduleId": module_id})
