"""Queries, answers and vector stores of a rag service, as the edge calls them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
import orjson
from google.api.httpbody_pb2 import HttpBody

from portico.rag.v1 import (
    retrieval_service_pb2,
    retrieval_service_pb2_grpc,
    vector_store_service_pb2,
    vector_store_service_pb2_grpc,
)
from tests.support import knowledge
from tests.support.auth_service import Refused
from tests.support.fake_services import FakeChat, FakeEmbedder, FakeVectors
from tests.support.knowledge import KnowledgeClient, Neighbours
from tests.support.rag_client import form
from tests.support.tokens import Signer

T = TypeVar("T")


def neighbours() -> Neighbours:
    """Fakes of the other services that find texts by their words."""
    vectors, chat, embedder = FakeVectors(), FakeChat("An answer [1]."), FakeEmbedder()
    embedder.models["embed"] = embedder.models["words"]
    return Neighbours(embedder, chat, vectors)  # type: ignore[arg-type]


@asynccontextmanager
async def served(folder: Path, signer: Signer, beside: Neighbours, **env: Any) -> AsyncIterator[Any]:
    async with knowledge.served(folder, signer, beside, **env) as running:
        yield running


class RetrievalClient(KnowledgeClient):
    """A KnowledgeClient that queries and has vector stores too. Answers are JSON."""

    def __init__(self, channel: Any, token: str) -> None:
        super().__init__(channel, token)
        self.retrieval = retrieval_service_pb2_grpc.RetrievalServiceStub(channel)
        self._stores = vector_store_service_pb2_grpc.VectorStoreServiceStub(channel)

    async def query(self, query: str, module: str = "kb", **more: Any) -> Any:
        body = HttpBody(data=orjson.dumps({"query": query, **more}))
        request = retrieval_service_pb2.QueryModuleRequest(module_key=module, body=body)
        return orjson.loads((await self.call(self.retrieval.QueryModule, request)).data)["result"]

    async def answer(self, query: str, module: str = "kb", **more: Any) -> list[bytes]:
        """The messages of an answer."""
        body = HttpBody(data=orjson.dumps({"query": query, "model": "chat", **more}))
        request = retrieval_service_pb2.AnswerQuestionRequest(module_key=module, body=body)
        try:
            call = self.retrieval.AnswerQuestion(request, metadata=self.metadata, timeout=60)
            return [message.data async for message in call]
        except grpc.aio.AioRpcError as error:
            raise Refused(error) from None

    async def stores(self, rpc: str, body: dict[str, Any] | None = None, **fields: Any) -> Any:
        """Call VectorStoreService."""
        request = getattr(vector_store_service_pb2, f"{rpc}Request")(**fields)
        if body is not None:
            request.body.CopyFrom(HttpBody(data=orjson.dumps(body)))
        return orjson.loads((await self.call(getattr(self._stores, rpc), request)).data)

    async def openai_file(self, name: str, content: bytes) -> str:
        """The id of a new file of /v1/files."""
        return str((await self.send([form(content, name, purpose="assistants")], bucket=""))["id"])

    async def added(self, store: str, name: str, content: bytes, **more: Any) -> str:
        """The id of a file that was added to a vector store and processed."""
        id = await self.openai_file(name, content)
        await self.stores("CreateVectorStoreFile", {"file_id": id, **more}, vector_store_id=store)
        await self.processed(store, id)
        return id

    async def processed(self, store: str, id: str) -> Any:
        return await eventually(
            lambda: self.stores("GetVectorStoreFile", vector_store_id=store, file_id=id),
            lambda file: file["status"] != "in_progress",
        )


async def eventually(ask: Callable[[], Awaitable[T]], good: Callable[[T], bool], seconds: float = 20.0) -> T:
    """Return what `ask` answers, as soon as it is good."""
    async with asyncio.timeout(seconds):
        while not good(answer := await ask()):
            await asyncio.sleep(0.02)
    return answer
