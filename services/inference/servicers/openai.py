"""The OpenAI-compatible calls: OpenAI's own bytes in and out."""

from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody

from core.errors import PorticoError
from core.rpc.call import CallContext
from core.rpc.error_formats import ErrorContent, openai_body
from portico.inference.v1 import openai_service_pb2 as pb
from portico.inference.v1.openai_service_pb2_grpc import OpenAIServiceServicer
from services.inference.domain.codecs.errors import malformed
from services.inference.domain.codecs.openai.chunks import Chunk
from services.inference.domain.codecs.openai.embeddings import Embedded, Embeddings
from services.inference.domain.json_values import NotJson, encode
from services.inference.domain.pipeline import requests
from services.inference.domain.pipeline.chat import Chat, Completion
from services.inference.domain.routing.streams import AnyChatStream

JSON = "application/json"
EVENTS = "text/event-stream"
DROPPED = "x-portico-dropped-params"
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
"""A comment, which clients skip and which tells everybody between that the connection is alive."""


class OpenAIServicer(OpenAIServiceServicer):
    """The servicer of OpenAIService."""

    def __init__(self, chat: Chat, embeddings: Embeddings) -> None:
        self._chat = chat
        self._embeddings = embeddings

    async def CreateChatCompletion(
        self, request: pb.CreateChatCompletionRequest, context: CallContext
    ) -> AsyncIterator[HttpBody]:
        body = await requests.read(request.body.data)
        del request  # it may be large, and the answer may take long
        answer = await self._chat.answer(body)
        if isinstance(answer, Completion):
            _add_headers(answer, context)
            yield HttpBody(content_type=JSON, data=_json(answer))
            return
        try:
            _add_headers(answer, context)
            while not answer.ended:
                chunks = await answer.next()
                data = _events(answer, chunks)
                yield HttpBody(content_type=EVENTS, data=data + _ending(answer) if answer.ended else data or KEEP_ALIVE)
        finally:
            await answer.close()

    async def CreateEmbedding(self, request: pb.CreateEmbeddingRequest, context: CallContext) -> HttpBody:
        body = await requests.read(request.body.data)
        del request  # it may be large, and the answer may take long
        answer = await self._embeddings.answer(body)
        _add_headers(answer, context)
        return HttpBody(content_type=JSON, data=answer.json())


def _add_headers(answer: Completion | Embedded | AnyChatStream, context: CallContext) -> None:
    """Tell the client which parameters were not passed on, and the provider's rate limits."""
    if answer.dropped:
        context.add_header(DROPPED, ",".join(answer.dropped), native=True)
    for name, value in answer.limits:
        context.add_header(name, value, native=True)


def _json(completion: Completion) -> bytes:
    try:
        return encode(completion.body)
    except NotJson:  # nested deeper than can be written
        raise malformed() from None


def _events(stream: AnyChatStream, chunks: list[Chunk]) -> bytes:
    try:
        return b"".join([b"data: %b\n\n" % encode(chunk) for chunk in chunks])
    except NotJson:  # nested deeper than can be written
        stream.fail(malformed())
        return b""


def _ending(stream: AnyChatStream) -> bytes:
    error: PorticoError | None = stream.error
    if error is None:
        return DONE
    return b"data: %b\n\n" % encode(openai_body(ErrorContent.of(error, stream.request_id))) + DONE
