"""Rerankers of the inference service."""

from collections.abc import Sequence

from core.errors import FailedPrecondition, NotFound
from core.rpc.client import ServiceClient
from portico.inference.v1 import rerank_service_pb2 as pb
from portico.inference.v1 import rerank_service_pb2_grpc
from services.rag.ports import Ranking

_SECONDS = 120.0


class RerankClient:
    """A Reranker of the ports."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._stub = rerank_service_pb2_grpc.RerankServiceStub(client.channel)

    async def rerank(self, reranker_key: str, query: str, documents: Sequence[tuple[str, float]]) -> Ranking:
        request = pb.RerankRequest(
            reranker=reranker_key,
            query=query,
            documents=[pb.RerankDocument(text=text, score=min(1.0, max(0.0, score))) for text, score in documents],
        )
        try:
            answer = await self._client.call(self._stub.Rerank, request, seconds=_SECONDS)
        except NotFound:
            raise FailedPrecondition(
                f"The project has no reranker {reranker_key[:128]}. Create it, or name another one.",
                reason="RERANKER",
                field="rerankerKey",
            ) from None
        places = [(each.index, each.score) for each in answer.results if 0 <= each.index < len(documents)]
        return Ranking(places, answer.unranked, tuple(answer.warnings))
