"""Reads what a search has found: chunks, documents and the text around, each in one read for all matches."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from core.storage.ports import Cond, DocumentStore, Op, Order, Where
from core.storage.table import Record, Table
from core.tenancy import Project
from services.rag.domain.knowledge.records import DELETING, Chunk, Document, TextPiece
from services.rag.domain.knowledge.tables import CHUNKS, DOCUMENTS, TEXTS
from services.rag.domain.knowledge.texts import PIECE_CHARS
from services.rag.domain.retrieval.matches import Match
from services.rag.domain.retrieval.windows import bounds, piece_ids
from services.rag.ports import VectorMatch

_PAGE = 1000
_BY_ID = Order("id", descending=False)
R = TypeVar("R", bound=Record)


class Hydration:
    def __init__(self, store: DocumentStore) -> None:
        self._chunks = Table(store, CHUNKS, Chunk)
        self._documents = Table(store, DOCUMENTS, Document)
        self._texts = Table(store, TEXTS, TextPiece)

    async def filled(self, project: Project, found: Sequence[tuple[VectorMatch, float]]) -> list[Match]:
        """The matches, each with its score, in their order. One that is not of what is indexed of its document now is
        left out: it has been replaced or deleted."""
        chunks = {each.id: each for each in await self._read(self._chunks, project, [each.id for each, _ in found])}
        ids = list(dict.fromkeys(chunk.document_id for chunk in chunks.values()))
        documents = {each.id: each for each in await self._read(self._documents, project, ids)}
        matches = []
        for vector, score in found:
            chunk = chunks.get(vector.id)
            document = None if chunk is None else documents.get(chunk.document_id)
            if chunk is not None and document is not None and _serves(chunk, document):
                matches.append(_match(vector, score, chunk, document))
        return matches

    async def windowed(self, project: Project, matches: Sequence[Match], size: int) -> list[Match]:
        """The matches with the text of `size` characters around each."""
        wanted = {match.id: bounds(match.char_start, match.char_end, size, match.text_length) for match in matches}
        ids = {piece for match in matches for piece in piece_ids(match.text_source, *wanted[match.id])}
        pieces = {piece.id: piece.text for piece in await self._read(self._texts, project, sorted(ids))}
        return [replace(match, window=_part(pieces, match, *wanted[match.id])) for match in matches]

    async def _read(self, table: Table[R], project: Project, ids: Sequence[str]) -> list[R]:
        return await self._all(table, project, {"id": Cond(Op.IN, tuple(ids))}) if ids else []

    async def _all(self, table: Table[R], project: Project, where: Where) -> list[R]:
        found, token = await table.page(project, where, order=_BY_ID, page_size=_PAGE)
        while token:  # pages of large records are shorter
            more, token = await table.page(project, where, order=_BY_ID, page_size=_PAGE, page_token=token)
            found += more
        return found


def _serves(chunk: Chunk, document: Document) -> bool:
    return document.status != DELETING and chunk.version == document.indexed_version


def _match(vector: VectorMatch, score: float, chunk: Chunk, document: Document) -> Match:
    return Match(
        id=vector.id,
        score=score,
        vector_score=vector.score,
        document_id=document.id,
        text_source=document.indexed_source,
        text_length=document.text_length,
        file_name=document.file_name,
        file_id=document.file_id or "",
        chunk_index=chunk.chunk_index,
        content=chunk.content,
        char_start=chunk.char_start,
        char_end=chunk.char_end,
        token_count=chunk.token_count,
        heading_path=chunk.heading_path,
        metadata=document.metadata,
    )


def _part(pieces: Mapping[str, str], match: Match, low: int, high: int) -> str:
    """The text from one character to another; empty where a part of it is gone."""
    ids = piece_ids(match.text_source, low, high)
    if not all(id in pieces for id in ids):
        return ""
    first = low - low % PIECE_CHARS
    return "".join(pieces[id] for id in ids)[low - first : high - first]
