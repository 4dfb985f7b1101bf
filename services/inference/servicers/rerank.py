"""RerankService."""

from google.api.httpbody_pb2 import HttpBody

from core import context as request_context
from core.errors import InvalidInput
from core.offload import offload_request
from core.rpc.call import CallContext
from portico.inference.v1 import rerank_service_pb2 as pb
from portico.inference.v1.rerank_service_pb2_grpc import RerankServiceServicer
from services.inference import mapping_rerank as mapping
from services.inference.domain.frontends import rerank as frontend
from services.inference.domain.json_values import encode
from services.inference.domain.pipeline import requests
from services.inference.domain.rerank.reranking import Query, Ranked, Reranking
from services.inference.servicers.http_chat import JSON, add_headers


class RerankServicer(RerankServiceServicer):
    """The servicer of RerankService."""

    def __init__(self, reranking: Reranking) -> None:
        self._reranking = reranking

    async def Rerank(self, request: pb.RerankRequest, context: CallContext) -> pb.RerankResponse:
        if bool(request.model) == bool(request.reranker):
            raise InvalidInput("Name either a model or a reranker.", field="model")
        size = request.ByteSize()
        if request.model:
            body = await offload_request(lambda: mapping.rerank_body(request), size)
            _, _, ranked = await self._reranking.by_model(body)
        else:
            query = await offload_request(lambda: mapping.rerank_query(request), size)
            ranked = await self._run(request.reranker, query)
        return mapping.rerank_response(ranked)

    async def CreateRerank(self, request: pb.CreateRerankRequest, context: CallContext) -> HttpBody:
        call = frontend.read(await requests.read(request.body.data), return_documents=False)
        exchange, answer, ranked = await self._reranking.by_model(call.request)
        add_headers(exchange, answer, context)
        return HttpBody(content_type=JSON, data=encode(frontend.model_answer(ranked, call, exchange.request_id)))

    async def RunReranker(self, request: pb.RunRerankerRequest, context: CallContext) -> HttpBody:
        call = frontend.read(await requests.read(request.body.data), return_documents=True)
        body = call.request
        requests.check_rerank({"model": request.key, **body})
        query = Query(body["query"], body["documents"], call.scores, body.get("top_n"))
        ranked = await self._run(request.key, query)
        current = request_context.current()
        request_id = requests.own_request_id(body, "" if current is None else current.request_id)
        answer = frontend.reranker_answer(ranked, call, request_id)
        return HttpBody(content_type=JSON, data=encode(answer))

    async def _run(self, key: str, query: Query) -> Ranked:
        return await self._reranking.by_reranker(request_context.identity().project, key, query)
