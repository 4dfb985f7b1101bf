"""The OpenAI-compatible calls: OpenAI's own bytes in and out."""

from collections.abc import AsyncIterator

import orjson
from google.api.httpbody_pb2 import HttpBody
from grpc.aio import ServicerContext

from core.errors import PorticoError
from core.rpc.errors import body_of
from portico.inference.v1 import openai_service_pb2 as pb
from portico.inference.v1.openai_service_pb2_grpc import OpenAIServiceServicer
from services.inference.domain.chat import AnyChatStream, Chat, Completion
from services.inference.domain.chunks import Chunk
from services.inference.domain.embeddings import Embeddings
from services.inference.domain.errors import malformed
from services.inference.domain.requests import read_json

JSON = "application/json"
EVENTS = "text/event-stream"
DROPPED = "x-portico-dropped-params"
DONE = b"data: [DONE]\n\n"


class OpenAIServicer(OpenAIServiceServicer):
    """See the contract."""

    def __init__(self, chat: Chat, embeddings: Embeddings) -> None:
        self._chat = chat
        self._embeddings = embeddings

    async def CreateChatCompletion(  # noqa: N802  # the contract's name
        self, request: pb.CreateChatCompletionRequest, context: ServicerContext
    ) -> AsyncIterator[HttpBody]:
        answer = await self._chat.answer(read_json(request.body.data))
        if answer.dropped:
            await context.send_initial_metadata(((DROPPED, ",".join(answer.dropped)),))
        if isinstance(answer, Completion):
            yield HttpBody(content_type=JSON, data=_json(answer))
            return
        try:
            while not answer.ended:
                chunks = await answer.next()
                data = _events(answer, chunks)
                yield HttpBody(content_type=EVENTS, data=data + _ending(answer) if answer.ended else data)
        finally:
            await answer.close()

    async def CreateEmbedding(  # noqa: N802  # the contract's name
        self, request: pb.CreateEmbeddingRequest, context: ServicerContext
    ) -> HttpBody:
        answer = await self._embeddings.answer(read_json(request.body.data))
        if answer.dropped:
            await context.send_initial_metadata(((DROPPED, ",".join(answer.dropped)),))
        return HttpBody(content_type=JSON, data=answer.json())


def _json(completion: Completion) -> bytes:
    try:
        return orjson.dumps(completion.body)
    except orjson.JSONEncodeError:  # nested deeper than can be written
        raise malformed() from None


def _events(stream: AnyChatStream, chunks: list[Chunk]) -> bytes:
    try:
        return b"".join([b"data: %b\n\n" % orjson.dumps(chunk) for chunk in chunks])
    except orjson.JSONEncodeError:  # nested deeper than can be written
        stream.fail(malformed())
        return b""


def _ending(stream: AnyChatStream) -> bytes:
    error: PorticoError | None = stream.error
    if error is None:
        return DONE
    return b"data: %b\n\n" % orjson.dumps(body_of(error, stream.request_id)) + DONE
