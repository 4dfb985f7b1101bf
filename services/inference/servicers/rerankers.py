"""RerankerService."""

from core import context as request_context
from core.offload import in_turns
from core.rpc.call import CallContext
from portico.inference.v1 import reranker_service_pb2 as pb
from portico.inference.v1.reranker_service_pb2_grpc import RerankerServiceServicer
from services.inference import mapping_rerank as mapping
from services.inference.domain.rerank.store import Rerankers


class RerankerServicer(RerankerServiceServicer):
    """The servicer of RerankerService."""

    def __init__(self, rerankers: Rerankers) -> None:
        self._rerankers = rerankers

    async def ListRerankers(self, request: pb.ListRerankersRequest, context: CallContext) -> pb.ListRerankersResponse:
        records, token = await self._rerankers.list(
            request_context.identity().project,
            strategy=request.strategy,
            status=request.status,
            size=request.page_size,
            token=request.page_token,
        )
        messages = await in_turns(mapping.reranker_message, records)
        return pb.ListRerankersResponse(rerankers=messages, next_page_token=token)

    async def GetReranker(self, request: pb.GetRerankerRequest, context: CallContext) -> pb.GetRerankerResponse:
        record = await self._rerankers.get(request_context.identity().project, request.key)
        return pb.GetRerankerResponse(reranker=mapping.reranker_message(record))

    async def CreateReranker(
        self, request: pb.CreateRerankerRequest, context: CallContext
    ) -> pb.CreateRerankerResponse:
        record = await self._rerankers.create(request_context.identity().project, mapping.new_reranker(request))
        return pb.CreateRerankerResponse(reranker=mapping.reranker_message(record))

    async def UpdateReranker(
        self, request: pb.UpdateRerankerRequest, context: CallContext
    ) -> pb.UpdateRerankerResponse:
        changes = mapping.reranker_changes(request)
        record = await self._rerankers.update(request_context.identity().project, request.key, changes)
        return pb.UpdateRerankerResponse(reranker=mapping.reranker_message(record))

    async def DeleteReranker(
        self, request: pb.DeleteRerankerRequest, context: CallContext
    ) -> pb.DeleteRerankerResponse:
        await self._rerankers.delete(request_context.identity().project, request.key)
        return pb.DeleteRerankerResponse(success=True)
