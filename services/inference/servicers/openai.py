"""The OpenAI-compatible calls: OpenAI's own bytes in and out."""

from google.api.httpbody_pb2 import HttpBody

from core.errors import PorticoError
from core.rpc.call import CallContext
from core.rpc.error_formats import ErrorContent, openai_body
from portico.inference.v1 import openai_service_pb2 as pb
from portico.inference.v1.openai_service_pb2_grpc import OpenAIServiceServicer
from services.inference.domain.codecs.openai.embeddings import as_json
from services.inference.domain.frontends.openai import OpenAIFrontend
from services.inference.domain.pipeline import requests
from services.inference.domain.pipeline.answer import read_whole
from services.inference.domain.pipeline.pipeline import Pipeline
from services.inference.servicers.http_chat import JSON, HttpChat, add_headers


class OpenAIServicer(HttpChat, OpenAIServiceServicer):
    """The servicer of OpenAIService."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline, OpenAIFrontend(_error_body))

    CreateChatCompletion = HttpChat.chat

    async def CreateEmbedding(self, request: pb.CreateEmbeddingRequest, context: CallContext) -> HttpBody:
        body = await requests.read(request.body.data)
        del request  # it may be large, and the answer may take long
        exchange, answer = await self._pipeline.embeddings(body)
        embedded = await read_whole(answer)
        add_headers(exchange, answer, context)
        return HttpBody(content_type=JSON, data=as_json({**embedded, "request_id": exchange.request_id}))


def _error_body(error: PorticoError, request_id: str) -> dict[str, object]:
    return openai_body(ErrorContent.of(error, request_id))
