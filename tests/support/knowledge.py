"""Stand-ins for the services that knowledge modules stand on, and a rag service with them."""

import asyncio
import hashlib
import time
from array import array
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from google.api.httpbody_pb2 import HttpBody

from core import context
from core.context import Identity, Kind
from core.errors import Conflict, FailedPrecondition, NotFound
from core.jobs.identity import ServiceToken
from core.jobs.limits import JobLimits
from core.tenancy import Project
from portico.rag.v1 import knowledge_service_pb2 as pb
from portico.rag.v1 import knowledge_service_pb2_grpc
from services.rag.app import serve
from services.rag.app_knowledge import Services
from services.rag.ports import ChatAnswer, ChatMessage, IndexInfo, IndexRef, Vector, VectorMatch, VectorPoint
from services.rag.settings import Settings
from tests.support import serving
from tests.support.fake_services import FakeModels, FakeReranker
from tests.support.rag_client import FORM, RagClient, form
from tests.support.tokens import Signer

DIMENSION = 8
LIMITS = JobLimits(running=8, running_per_tenant=8, poll=0.02, first_retry=0.01, heartbeat=0.5, lease=5.0)
DOCUMENTS = "portico.rag.v1.KnowledgeService"


def caller() -> Project:
    """The project on whose behalf the present call is made, as a service reads it from the token."""
    return context.identity().project


@dataclass
class FakeEmbedder:
    """Vectors that depend on the text alone. `before` is called before each call, and may raise or wait."""

    dimensions: dict[str, int] = field(default_factory=lambda: {"embed": DIMENSION, "embed-2": DIMENSION + 1})
    embedded: Counter[str] = field(default_factory=Counter)
    before: Callable[[Sequence[str]], Any] | None = None
    in_flight: int = 0
    most_in_flight: int = 0

    async def embed(self, model_key: str, texts: Sequence[str]) -> list[Vector]:
        caller()
        if model_key not in self.dimensions:
            raise FailedPrecondition("No such model.", reason="EMBEDDING_MODEL", field="embeddingModelKey")
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.before is not None and (waiting := self.before(texts)) is not None:
                await waiting
            await asyncio.sleep(0)
        finally:
            self.in_flight -= 1
        self.embedded.update(texts)
        return [_vector(text, self.dimensions[model_key]) for text in texts]


def _vector(text: str, dimension: int) -> Vector:
    digest = hashlib.sha256(text.encode()).digest()
    return array("f", [byte / 255 for byte in digest[:dimension]])


class FakeChat:
    """Answers with the last words of the question."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def answer(self, model_key: str, messages: Sequence[ChatMessage], **more: Any) -> ChatAnswer:
        self.asked.append(messages[-1].content)
        return ChatAnswer("About the passage.")

    async def stream(
        self, model_key: str, messages: Sequence[ChatMessage], **more: Any
    ) -> AsyncGenerator[ChatAnswer, None]:
        yield await self.answer(model_key, messages)


@dataclass
class FakeIndex:
    info: IndexInfo
    points: dict[str, VectorPoint] = field(default_factory=dict)


class FakeVectors:
    """Indexes in memory, by project. `before` is called before each call, and may raise."""

    def __init__(self) -> None:
        self.indexes: dict[tuple[Project, IndexRef], FakeIndex] = {}
        self.before: Callable[[str], None] | None = None

    def of(self, module: pb.Module, project: Project) -> dict[str, VectorPoint]:
        return self.indexes[project, IndexRef(module.vector_provider_key, module.vector_index_key)].points

    async def index(self, ref: IndexRef) -> IndexInfo:
        return self._find("index", ref).info

    async def ensure_index(
        self, provider_key: str, name: str, dimension: int, *, metric: str = "cosine", hybrid: bool = False
    ) -> IndexInfo:
        self._called("ensure_index")
        if provider_key != "default":
            raise NotFound("There is no such provider.", reason="PROVIDER_NOT_FOUND", field="providerKey")
        ref = IndexRef(provider_key, name)
        index = self.indexes.setdefault((caller(), ref), FakeIndex(IndexInfo(ref, dimension, metric, hybrid)))
        if index.info.dimension != dimension:
            raise Conflict("Another dimension.", field="name")
        return index.info

    async def delete_index(self, ref: IndexRef) -> None:
        self._called("delete_index")
        self.indexes.pop((caller(), ref), None)

    async def upsert(self, ref: IndexRef, points: Sequence[VectorPoint]) -> None:
        index = self._find("upsert", ref)
        assert all(len(each.values) == index.info.dimension for each in points)
        index.points |= {each.id: each for each in points}

    async def delete(self, ref: IndexRef, *, ids: Sequence[str] = (), filter: Mapping[str, Any] | None = None) -> int:
        points = self._find("delete", ref).points
        gone = [id for id, point in points.items() if id in ids or (filter and _meets(point.metadata, filter))]
        for id in gone:
            del points[id]
        return len(gone)

    async def query(self, ref: IndexRef, vector: Sequence[float], *, top_k: int, **more: Any) -> list[VectorMatch]:
        points = self._find("query", ref).points.values()
        near = sorted(points, key=lambda each: sum((x - y) ** 2 for x, y in zip(each.values, vector, strict=True)))
        return [VectorMatch(each.id, 1.0, each.metadata) for each in near[:top_k]]

    async def fetch(self, ref: IndexRef, ids: Sequence[str]) -> dict[str, Vector]:
        points = self._find("fetch", ref).points
        return {id: array("f", points[id].values) for id in ids if id in points}

    async def count(self, ref: IndexRef, filter: Mapping[str, Any] | None = None) -> int:
        points = self._find("count", ref).points.values()
        return sum(1 for each in points if not filter or _meets(each.metadata, filter))

    def _find(self, name: str, ref: IndexRef) -> FakeIndex:
        self._called(name)
        found = self.indexes.get((caller(), ref))
        if found is None:
            raise NotFound("There is no such index.", reason="INDEX_NOT_FOUND", field="indexId")
        return found

    def _called(self, name: str) -> None:
        if self.before is not None:
            self.before(name)


def _meets(metadata: Mapping[str, Any], filter: Mapping[str, Any]) -> bool:
    return all(
        metadata.get(name) != value["$ne"] if isinstance(value, dict) else metadata.get(name) == value
        for name, value in filter.items()
    )


class FakeTokens:
    """Tokens for jobs that no service verifies."""

    async def get(self, project: Project, scopes: frozenset[str]) -> ServiceToken:
        now = time.time()
        return ServiceToken("token", Identity(project, "rag", Kind.SERVICE, scopes, "t", now, now + 300))


@dataclass
class Neighbours:
    """The stand-ins of one test."""

    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    chat: FakeChat = field(default_factory=FakeChat)
    vectors: FakeVectors = field(default_factory=FakeVectors)
    reranker: FakeReranker = field(default_factory=FakeReranker)
    models: FakeModels = field(default_factory=FakeModels)

    @property
    def services(self) -> Services:
        return Services(self.embedder, self.chat, self.vectors, self.reranker, self.models)


@asynccontextmanager
async def served(
    folder: Path, signer: Signer, neighbours: Neighbours, limits: JobLimits = LIMITS, **env: str
) -> AsyncIterator[Any]:
    build = partial(serve, services=neighbours.services, tokens=FakeTokens(), limits=limits)
    async with serving.served("rag", Settings, build, folder, signer, **env) as running:
        yield running


class KnowledgeClient(RagClient):
    """A RagClient that speaks KnowledgeService too."""

    def __init__(self, channel: Any, token: str) -> None:
        super().__init__(channel, token)
        self.knowledge = knowledge_service_pb2_grpc.KnowledgeServiceStub(channel)

    async def create(self, key: str = "kb", **more: Any) -> pb.Module:
        request = pb.CreateModuleRequest(**{"key": key, "name": key, "embedding_model_key": "embed", **more})
        made: pb.Module = (await self.call(self.knowledge.CreateModule, request)).module
        return made

    async def module(self, key: str = "kb") -> pb.Module:
        found: pb.Module = (await self.call(self.knowledge.GetModule, pb.GetModuleRequest(key=key))).module
        return found

    async def ingest(self, module: str = "kb", **body: Any) -> Any:
        """As JSON; the answer."""
        return await self._send(self.knowledge.IngestDocument, orjson.dumps(body), module_key=module)

    async def ingest_form(self, content: bytes, name: str, module: str = "kb", **fields: str) -> Any:
        data = form(content, name, **fields)
        return await self._send(self.knowledge.IngestDocument, data, FORM, module_key=module)

    async def reingest(self, id: str, module: str = "kb", **body: Any) -> Any:
        data = orjson.dumps(body) if body else b""
        return await self._send(self.knowledge.ReingestDocument, data, module_key=module, document_id=id)

    async def document(self, id: str, module: str = "kb") -> pb.Document:
        request = pb.GetDocumentRequest(module_key=module, document_id=id)
        found: pb.Document = (await self.call(self.knowledge.GetDocument, request)).document
        return found

    async def documents(self, module: str = "kb", **more: Any) -> list[pb.Document]:
        request = pb.ListDocumentsRequest(module_key=module, **more)
        return list((await self.call(self.knowledge.ListDocuments, request)).documents)

    async def chunks(self, id: str, module: str = "kb") -> list[pb.Chunk]:
        request = pb.ListChunksRequest(module_key=module, document_id=id, page_size=1000)
        return list((await self.call(self.knowledge.ListChunks, request)).chunks)

    async def remove(self, id: str, module: str = "kb") -> pb.DeleteDocumentResponse:
        request = pb.DeleteDocumentRequest(module_key=module, document_id=id)
        answer: pb.DeleteDocumentResponse = await self.call(self.knowledge.DeleteDocument, request)
        return answer

    async def reindex(self, module: str = "kb", **more: Any) -> pb.Reindex:
        request = pb.CreateReindexRequest(module_key=module, **more)
        begun: pb.Reindex = (await self.call(self.knowledge.CreateReindex, request)).reindex
        return begun

    async def reindexed(self, id: str, module: str = "kb") -> pb.Reindex:
        """The re-index, when it has ended."""
        request = pb.GetReindexRequest(module_key=module, id=id)
        async with asyncio.timeout(30):
            while True:
                now: pb.Reindex = (await self.call(self.knowledge.GetReindex, request)).reindex
                if now.status not in ("pending", "running"):
                    return now
                await asyncio.sleep(0.02)

    async def settled(self, id: str, module: str = "kb") -> pb.Document:
        """The document, when it is indexed or has failed."""
        async with asyncio.timeout(30):
            while True:
                now = await self.document(id, module)
                if now.status in ("indexed", "failed"):
                    return now
                await asyncio.sleep(0.02)

    async def _send(self, rpc: Any, data: bytes, content_type: str = "application/json", **first: Any) -> Any:
        kind = pb.ReingestDocumentRequest if "document_id" in first else pb.IngestDocumentRequest

        async def messages() -> AsyncIterator[Any]:
            for at in range(0, max(1, len(data)), 1024 * 1024):
                part = HttpBody(content_type="" if at else content_type, data=data[at : at + 1024 * 1024])
                yield kind(body=part, **({} if at else first))

        body = await self.call(rpc, messages())
        return orjson.loads(body.data)
