"""Memories of the rag service."""

from collections.abc import Sequence

from core.rpc.client import ServiceClient
from portico.rag.v1 import memory_service_pb2 as pb
from portico.rag.v1.memory_service_pb2_grpc import MemoryServiceStub
from services.inference.domain.memory.uses import MemoryUse
from services.inference.ports import Recall


class RagMemories:
    """The Memories of the ports. Calls are made with the token of the present request."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._stub = MemoryServiceStub(client.channel)

    async def recall(self, use: MemoryUse, query: str, seconds: float) -> Recall:
        request = pb.RecallMemoriesRequest(
            store_key=use.store_key,
            query=query,
            top_k=use.top_k,
            scope=use.scope,
            scope_id=use.scope_id,
            max_tokens=use.max_tokens,
            tags=use.tags,
            min_score=use.min_score,
        )
        answer = await self._client.call(self._stub.RecallMemories, request, seconds=seconds)
        return Recall(answer.context, len(answer.memories))

    async def store(self, use: MemoryUse, messages: Sequence[tuple[str, str]], seconds: float) -> None:
        request = pb.AddConversationRequest(
            store_key=use.store_key,
            messages=[pb.ConversationMessage(role=role, content=content) for role, content in messages],
            scope=use.scope,
            scope_id=use.scope_id,
            tags=use.tags,
        )
        await self._client.call(self._stub.AddConversation, request, seconds=seconds)
