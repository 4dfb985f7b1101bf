"""Queries and answers on a store in memory, with fakes of the other services."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from core import context
from core.context import Identity, Kind, RequestContext
from core.errors import NotFound
from core.storage.table import Table
from core.tenancy import Project, Tenant
from services.rag.domain.knowledge.chunking.config import ChunkConfig
from services.rag.domain.knowledge.records import Chunk, Document, Hybrid, Module, Source
from services.rag.domain.knowledge.tables import CHUNKS, DOCUMENTS
from services.rag.domain.knowledge.texts import Texts
from services.rag.domain.retrieval.answers import Answers
from services.rag.domain.retrieval.hydration import Hydration
from services.rag.domain.retrieval.query_log import QueryLog
from services.rag.domain.retrieval.retriever import Retriever
from services.rag.ports import VectorMatch, VectorPoint
from tests.support.fake_services import DIMENSION, FakeChat, FakeEmbedder, FakeReranker, FakeVectors
from tests.support.stores import MemoryStore

ACME = Project(Tenant("acme"), "p1")
OTHER = Project(Tenant("acme"), "p2")


class RecordingVectors(FakeVectors):
    """Keeps how it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict[str, Any]] = []

    async def query(self, *args: Any, **more: Any) -> list[VectorMatch]:
        self.asked.append({name: more.get(name) for name in ("text", "fusion", "dense_weight")})
        return await super().query(*args, **more)


class NoTasks:
    """Spawns nothing: tests flush the log themselves."""

    def spawn(self, *args: Any) -> None:
        raise AssertionError("nothing to spawn")


class RetrievalHarness:
    """A module `manual` of a project; its documents are written as ingestion would."""

    def __init__(self) -> None:
        self.project = ACME
        self.store: Any = MemoryStore()
        self.embedder, self.chat = FakeEmbedder(), FakeChat("No answer.")
        self.vectors, self.reranker = RecordingVectors(), FakeReranker()
        self.module = Module(
            id="mod_1",
            key="manual",
            name="Manual",
            embedding_model_key="words",
            vector_provider_key="default",
            vector_index_key="rag-1",
            dimension=DIMENSION,
            chunk_config=ChunkConfig(),
            created_at=1.0,
            updated_at=1.0,
        )
        self.log = QueryLog(self.store, cast("Any", NoTasks()), capacity=100, keep_days=30)
        self.retriever = Retriever(cast("Any", self), Hydration(self.store), self, self.log)
        self.answers = Answers(self.retriever, self.chat)
        self._chunks = Table(self.store, CHUNKS, Chunk)
        self._documents = Table(self.store, DOCUMENTS, Document)
        self.act_as(ACME)

    def act_as(self, project: Project) -> None:
        identity = Identity(project, "u", Kind.API, frozenset({"*"}), "t", 0.0, None)
        context.bind(RequestContext("r", identity))

    async def get(self, project: Project, key: str) -> Module:
        """As the modules' own."""
        if (project, key) != (ACME, self.module.key):
            raise NotFound("There is no such module.", field="moduleKey")
        return self.module

    def change(self, *, hybrid: Mapping[str, Any] | None = None, parent_window_size: int = 0, **changes: Any) -> None:
        if hybrid is not None:
            changes["hybrid"] = Hybrid(**hybrid)
        if parent_window_size:
            changes["chunk_config"] = ChunkConfig(parent_window_size=parent_window_size)
        self.module = msgspec.structs.replace(self.module, **changes)

    async def add(
        self, name: str, *texts: str, metadata: Mapping[str, Any] = {"lang": "en"}, module_id: str = "mod_1"
    ) -> None:
        """An indexed document with these chunks, a line each."""
        document = Document(
            id=f"doc_{name}",
            module_id=module_id,
            module_key=self.module.key,
            file_name=name,
            content_type="text/plain",
            size=sum(map(len, texts)),
            source_hash="",
            source=Source("src"),
            created_at=time.time(),
            updated_at=time.time(),
            job_id="job",
            identity=name,
            status="indexed",
            indexed_version=1,
            indexed_source=f"src_{name}",
            text_length=len("\n".join(texts)),
            metadata=metadata,
        )
        await self._documents.insert(self.project, document)
        await Texts(self.store).write(self.project, module_id, document.id, f"src_{name}", "\n".join(texts))
        await self._index(document, 1, texts)

    async def reindex(self, name: str, *texts: str) -> None:
        """A new version, whose old vectors have yet to be removed."""
        document = await self._documents.update(self.project, f"doc_{name}", indexed_version=2)
        assert document is not None
        await self._index(document, 2, texts)

    async def forget(self, name: str) -> None:
        """The first step of a deletion."""
        await self._documents.update(self.project, f"doc_{name}", status="deleting")

    async def _index(self, document: Document, version: int, texts: Sequence[str]) -> None:
        await self.vectors.ensure_index("default", "rag-1", DIMENSION)
        at = 0
        for index, text in enumerate(texts):
            chunk = Chunk(
                id=f"{document.module_id}:{document.id}:{version}:{index}",
                module_id=document.module_id,
                document_id=document.id,
                generation=1,
                version=version,
                chunk_index=index,
                content=text,
                content_hash="",
                char_start=at,
                char_end=at + len(text),
                token_count=len(text.split()),
                file_name=document.file_name,
            )
            at += len(text) + 1
            await self._chunks.insert(self.project, chunk)
            (vector,) = await self.embedder.embed("words", [text])
            metadata = {"_ragModule": document.module_id, **document.metadata}
            await self.vectors.upsert(self.module.index, [VectorPoint(chunk.id, vector, metadata, text)])
