"""From a text to chunks in an index: cut, embed what is new, write vectors, then rows.

Several batches are under way at a time, so that the embedding model always has one to work on. Everything may be done
twice: what is written is skipped, and ids say what is what.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec

from core.errors import FailedPrecondition, InvalidInput, NotFound, Unprocessable
from core.offload import offload
from core.tenancy import Project
from services.rag.domain.knowledge.chunking.chunker import Piece, estimated_tokens, join_similar, sentences, split
from services.rag.domain.knowledge.chunking.config import SEMANTIC, ChunkConfig
from services.rag.domain.knowledge.chunks import Chunks
from services.rag.domain.knowledge.headers import HeaderWriter
from services.rag.domain.knowledge.records import Chunk, Document
from services.rag.ports import Embedder, IndexRef, Vector, VectorPoint, Vectors

MAX_CHUNKS = 50_000
BATCH_TEXTS = 32
BATCH_CHARS = 64_000
_LONGEST_EMBEDDED = 100_000
"""Characters of a chunk with its header that the vector service takes as text."""

Progress = Callable[[int, int], Awaitable[None]]
"""Called with the chunks that are written and those that there are. May raise, which ends the work."""


@dataclass(frozen=True, slots=True)
class Target:
    """The index that chunks are made for. `filterable`: fields of metadata that filters see; empty: all. `reusable`:
    indexes with vectors of the same model, by generation."""

    generation: int
    index: IndexRef
    embedding_model_key: str
    dimension: int
    chunk_config: ChunkConfig
    filterable: tuple[str, ...] = ()
    reusable: Mapping[int, IndexRef] = field(default_factory=dict)


class Indexer:
    """`in_flight`: batches that are embedded at a time, of all documents together."""

    def __init__(
        self, chunks: Chunks, embedder: Embedder, headers: HeaderWriter, vectors: Vectors, *, in_flight: int = 4
    ) -> None:
        self._chunks = chunks
        self._embedder = embedder
        self._headers = headers
        self._vectors = vectors
        self._in_flight = in_flight
        self._embedding = asyncio.Semaphore(in_flight)

    async def index(self, project: Project, target: Target, document: Document, text: str, progress: Progress) -> int:
        """Write the chunks of the document's version into the index; return how many there are. Raises Unprocessable
        for a text without content or with too many chunks, NotFound where there is no such index, FailedPrecondition
        where the model's dimension has changed, and what the models and indexes raise."""
        pieces = await self._pieces(target, text)
        if not pieces:
            raise Unprocessable("There is no text in the document.", reason="NO_TEXT", field="content")
        if len(pieces) > MAX_CHUNKS:
            raise Unprocessable(
                f"The document has {len(pieces)} chunks, and may have {MAX_CHUNKS}. Choose larger chunks, or split it.",
                reason="TOO_MANY_CHUNKS",
                field="content",
            )
        written = await self._chunks.written(project, document.id, target.generation, document.version)
        chunks = [
            _chunk(target, document, at, piece, piece.of(text)) for at, piece in enumerate(pieces) if at not in written
        ]
        work = _Work(self, project, target, document, text, progress, total=len(pieces), done=len(written))
        await work.run(chunks, self._in_flight + 1)
        return len(pieces)

    async def _pieces(self, target: Target, text: str) -> list[Piece]:
        config = target.chunk_config
        if config.strategy != SEMANTIC:
            return await offload(lambda: split(text, config), len(text))
        parts = await offload(lambda: sentences(text, config.chunk_size), len(text))
        wanted = [at for at, (start, end) in enumerate(parts) if text[start:end].strip()]
        parts = [parts[at] for at in wanted]
        vectors: list[Vector] = []
        for at in range(0, len(parts), BATCH_TEXTS):
            batch = [text[start:end] for start, end in parts[at : at + BATCH_TEXTS]]
            vectors += await self.embed(target.embedding_model_key, batch)
        return await offload(lambda: join_similar(text, parts, vectors, config), len(text))

    async def embed(self, model_key: str, texts: Sequence[str]) -> list[Vector]:
        async with self._embedding:
            return await self._embedder.embed(model_key, texts)

    async def reused(self, project: Project, target: Target, chunks: Sequence[Chunk]) -> dict[str, tuple[str, Vector]]:
        """Return header and vector of what is embedded already, by the hash of the content."""
        alike = await self._chunks.alike(
            project, chunks[0].module_id, target.reusable.keys(), {chunk.content_hash for chunk in chunks}
        )
        found: dict[str, tuple[str, Vector]] = {}
        for generation, index in target.reusable.items():
            known = {chunk.id: chunk for chunk in alike if chunk.generation == generation}
            if known:
                vectors = await self._fetch(index, list(known))
                found |= {known[id].content_hash: (known[id].header, vector) for id, vector in vectors.items()}
        return found

    async def headers(self, target: Target, text: str, chunks: Sequence[Chunk]) -> list[str]:
        return await self._headers.write(target.chunk_config.contextual_header, text, chunks)

    async def write(self, project: Project, target: Target, points: list[VectorPoint], chunks: list[Chunk]) -> None:
        """Write vectors, then their rows."""
        await self._vectors.upsert(target.index, points)
        await self._chunks.insert(project, chunks)

    async def _fetch(self, index: IndexRef, ids: Sequence[str]) -> Mapping[str, Vector]:
        try:
            return await self._vectors.fetch(index, ids)
        except NotFound:  # the index went with a re-index that has just ended
            return {}


class _Work:
    """The work on one document's missing chunks."""

    def __init__(
        self,
        indexer: Indexer,
        project: Project,
        target: Target,
        document: Document,
        text: str,
        progress: Progress,
        *,
        total: int,
        done: int,
    ) -> None:
        self._indexer = indexer
        self._project = project
        self._target = target
        self._document = document
        self._text = text
        self._progress = progress
        self._total = total
        self._done = done

    async def run(self, chunks: Sequence[Chunk], at_a_time: int) -> None:
        batches = _batches(chunks)

        async def worker() -> None:
            for batch in batches:  # each worker takes the next one that there is
                await self._batch(batch)

        workers = [asyncio.create_task(worker()) for _ in range(at_a_time)]
        try:
            await asyncio.gather(*workers)
        finally:
            for each in workers:
                each.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _batch(self, chunks: list[Chunk]) -> None:
        known = await self._indexer.reused(self._project, self._target, chunks)
        unknown = list({chunk.content_hash: chunk for chunk in chunks if chunk.content_hash not in known}.values())
        if unknown:
            headers = await self._indexer.headers(self._target, self._text, unknown)
            texts = [_with(chunk, header).embedded_text for chunk, header in zip(unknown, headers, strict=True)]
            vectors = await self._indexer.embed(self._target.embedding_model_key, texts)
            _check_dimension(vectors, self._target.dimension)
            for chunk, header, vector in zip(unknown, headers, vectors, strict=True):
                known[chunk.content_hash] = header, vector
        rows = [_with(chunk, known[chunk.content_hash][0]) for chunk in chunks]
        points = [
            VectorPoint(
                chunk.id, known[chunk.content_hash][1], self._metadata(chunk), chunk.embedded_text[:_LONGEST_EMBEDDED]
            )
            for chunk in rows
        ]
        await self._indexer.write(self._project, self._target, points, rows)
        self._done += len(rows)
        await self._progress(self._done, self._total)

    def _metadata(self, chunk: Chunk) -> Mapping[str, Any]:
        given, seen = self._document.metadata, self._target.filterable
        own = {
            "_ragModule": chunk.module_id,
            "_documentId": chunk.document_id,
            "_fileName": chunk.file_name,
            "_chunkIndex": chunk.chunk_index,
            "_version": chunk.version,
        }
        return {**{name: value for name, value in given.items() if not seen or name in seen}, **own}


async def ensure_index(vectors: Vectors, index: IndexRef, dimension: int) -> bool:
    """Create a module's own index, with keyword search where the engine has it. Return whether it has."""
    try:
        made = await vectors.ensure_index(index.provider_key, index.index_key, dimension, hybrid=True)
    except InvalidInput as error:
        if error.field != "hybrid":
            raise
        made = await vectors.ensure_index(index.provider_key, index.index_key, dimension)
    return made.hybrid


def _batches(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    batch: list[Chunk] = []
    size = 0
    for chunk in chunks:
        if batch and (len(batch) == BATCH_TEXTS or size + len(chunk.content) > BATCH_CHARS):
            yield batch
            batch, size = [], 0
        batch.append(chunk)
        size += len(chunk.content)
    if batch:
        yield batch


def _chunk(target: Target, document: Document, at: int, piece: Piece, content: str) -> Chunk:
    header = target.chunk_config.contextual_header
    writer = header.model_key if header.enabled else ""
    hashed = "\0".join((target.embedding_model_key, writer, *piece.heading_path, content))
    return Chunk(
        id=f"{document.id}:{target.generation}.{document.version}.{at}",
        module_id=document.module_id,
        document_id=document.id,
        generation=target.generation,
        version=document.version,
        chunk_index=at,
        content=content,
        content_hash=sha256(hashed.encode("utf-8", "surrogatepass")).hexdigest(),
        char_start=piece.start,
        char_end=piece.end,
        token_count=estimated_tokens(content),
        file_name=document.file_name,
        heading_path=piece.heading_path,
    )


def _with(chunk: Chunk, header: str) -> Chunk:
    return msgspec.structs.replace(chunk, header=header) if header else chunk


def _check_dimension(vectors: Sequence[Vector], dimension: int) -> None:
    if wrong := next((len(each) for each in vectors if len(each) != dimension), 0):
        raise FailedPrecondition(
            f"The embedding model makes vectors of {wrong} numbers now, and the index has {dimension}. Re-index the "
            "module.",
            reason="DIMENSION_CHANGED",
            field="embeddingModelKey",
        )
