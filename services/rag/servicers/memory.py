"""MemoryService."""

from core import context as request_context
from core.errors import InvalidInput
from core.offload import in_turns
from core.rpc.call import CallContext
from portico.rag.v1 import memory_service_pb2 as pb
from portico.rag.v1.memory_service_pb2_grpc import MemoryServiceServicer
from services.rag import mapping_memory as mapping
from services.rag.domain.memory.checks import MAX_BATCH
from services.rag.domain.memory.conversations import Conversations
from services.rag.domain.memory.memories import Added, Memories
from services.rag.domain.memory.searches import Searches
from services.rag.domain.memory.stores import MemoryStores
from services.rag.ports import ChatMessage


class MemoryServicer(MemoryServiceServicer):
    def __init__(
        self, stores: MemoryStores, memories: Memories, searches: Searches, conversations: Conversations
    ) -> None:
        self._stores = stores
        self._memories = memories
        self._searches = searches
        self._conversations = conversations

    async def ListMemoryStores(
        self, request: pb.ListMemoryStoresRequest, context: CallContext
    ) -> pb.ListMemoryStoresResponse:
        project = request_context.identity().project
        found, token = await self._stores.page(
            project, status=request.status, search=request.search, size=request.page_size, token=request.page_token
        )
        counts = await self._stores.counts(project) if found else {}
        stores = await in_turns(lambda each: mapping.store(each, counts.get(each.id, 0)), found)
        return pb.ListMemoryStoresResponse(stores=stores, next_page_token=token)

    async def GetMemoryStore(
        self, request: pb.GetMemoryStoreRequest, context: CallContext
    ) -> pb.GetMemoryStoreResponse:
        project = request_context.identity().project
        store = await self._stores.get(project, request.store_key)
        return pb.GetMemoryStoreResponse(store=mapping.store(store, await self._stores.count(project, store)))

    async def CreateMemoryStore(
        self, request: pb.CreateMemoryStoreRequest, context: CallContext
    ) -> pb.CreateMemoryStoreResponse:
        store = await self._stores.create(request_context.identity().project, mapping.new_store(request))
        return pb.CreateMemoryStoreResponse(store=mapping.store(store, 0))

    async def UpdateMemoryStore(
        self, request: pb.UpdateMemoryStoreRequest, context: CallContext
    ) -> pb.UpdateMemoryStoreResponse:
        project = request_context.identity().project
        store = await self._stores.update(project, request.store_key, mapping.store_change(request))
        return pb.UpdateMemoryStoreResponse(store=mapping.store(store, await self._stores.count(project, store)))

    async def DeleteMemoryStore(
        self, request: pb.DeleteMemoryStoreRequest, context: CallContext
    ) -> pb.DeleteMemoryStoreResponse:
        await self._stores.delete(request_context.identity().project, request.store_key)
        return pb.DeleteMemoryStoreResponse(success=True)

    async def AddMemory(self, request: pb.AddMemoryRequest, context: CallContext) -> pb.AddMemoryResponse:
        project = request_context.identity().project
        added = await self._memories.add(project, request.store_key, mapping.new_memory(request))
        return pb.AddMemoryResponse(memory=mapping.memory(added.memory, request.store_key), duplicate=added.duplicate)

    async def AddMemories(self, request: pb.AddMemoriesRequest, context: CallContext) -> pb.AddMemoriesResponse:
        if len(request.memories) > MAX_BATCH:
            raise InvalidInput(f"memories must hold 1 to {MAX_BATCH} entries.", field="memories")
        project = request_context.identity().project
        new = [mapping.new_memory(each, f"memories[{at}].") for at, each in enumerate(request.memories)]
        return pb.AddMemoriesResponse(**_counts(await self._memories.add_batch(project, request.store_key, new)))

    async def AddConversation(
        self, request: pb.AddConversationRequest, context: CallContext
    ) -> pb.AddConversationResponse:
        added = await self._conversations.add(
            request_context.identity().project,
            request.store_key,
            [ChatMessage(each.role, each.content) for each in request.messages],
            scope=request.scope,
            scope_id=request.scope_id,
            tags=tuple(request.tags),
        )
        return pb.AddConversationResponse(**_counts(added))

    async def ListMemories(self, request: pb.ListMemoriesRequest, context: CallContext) -> pb.ListMemoriesResponse:
        limit, skip = request.limit or request.page_size, _position(request)
        found, total = await self._memories.list(
            request_context.identity().project, request.store_key, mapping.listed(request), limit=limit, skip=skip
        )
        following = skip + len(found)
        items = await in_turns(lambda each: mapping.memory(each, request.store_key), found)
        return pb.ListMemoriesResponse(
            items=items, total=total, next_page_token=str(following) if found and following < total else ""
        )

    async def GetMemory(self, request: pb.GetMemoryRequest, context: CallContext) -> pb.Memory:
        project = request_context.identity().project
        found = await self._memories.get(project, request.store_key, request.memory_id)
        return mapping.memory(found, request.store_key)

    async def UpdateMemory(self, request: pb.UpdateMemoryRequest, context: CallContext) -> pb.Memory:
        project = request_context.identity().project
        changed = await self._memories.update(
            project, request.store_key, request.memory_id, mapping.memory_change(request)
        )
        return mapping.memory(changed, request.store_key)

    async def DeleteMemory(self, request: pb.DeleteMemoryRequest, context: CallContext) -> pb.DeleteMemoryResponse:
        await self._memories.delete(request_context.identity().project, request.store_key, request.memory_id)
        return pb.DeleteMemoryResponse(success=True)

    async def DeleteMemories(
        self, request: pb.DeleteMemoriesRequest, context: CallContext
    ) -> pb.DeleteMemoriesResponse:
        deleted = await self._memories.delete_matching(
            request_context.identity().project, request.store_key, mapping.deleted(request), every=request.all
        )
        return pb.DeleteMemoriesResponse(deleted=deleted)

    async def SearchMemories(
        self, request: pb.SearchMemoriesRequest, context: CallContext
    ) -> pb.SearchMemoriesResponse:
        project = request_context.identity().project
        found = await self._searches.search(project, request.store_key, mapping.query(request))
        return pb.SearchMemoriesResponse(
            memories=map(mapping.match, found), query=request.query, store_key=request.store_key
        )

    async def RecallMemories(
        self, request: pb.RecallMemoriesRequest, context: CallContext
    ) -> pb.RecallMemoriesResponse:
        project = request_context.identity().project
        recall = await self._searches.recall(project, request.store_key, mapping.query(request), request.max_tokens)
        return pb.RecallMemoriesResponse(
            context=recall.context,
            memories=map(mapping.match, recall.matches),
            store_key=request.store_key,
            tokens=recall.tokens,
        )


def _counts(added: list[Added]) -> dict[str, int]:
    duplicates = sum(each.duplicate for each in added)
    return {"added": len(added) - duplicates, "duplicates": duplicates}


def _position(request: pb.ListMemoriesRequest) -> int:
    """Number of memories before the page. Raises InvalidInput."""
    if not request.page_token:
        return request.skip
    if not (request.page_token.isascii() and request.page_token.isdigit() and len(request.page_token) < 10):
        raise InvalidInput("The page token is not one of ours.", field="pageToken")
    return int(request.page_token)
