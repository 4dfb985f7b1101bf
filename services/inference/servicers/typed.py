"""Chat and embeddings for callers that speak gRPC, over the same pipeline as the OpenAI-compatible calls."""

from collections.abc import AsyncIterator

from core.offload import offload, offload_request
from core.rpc.call import CallContext
from portico.inference.v1 import inference_service_pb2 as pb
from portico.inference.v1.inference_service_pb2_grpc import InferenceServiceServicer
from services.inference import convert_chat as convert
from services.inference.domain.codecs.openai.embeddings import Embeddings
from services.inference.domain.pipeline.chat import Chat, Completion
from services.inference.domain.pipeline.requests import Body


class InferenceServicer(InferenceServiceServicer):
    """The servicer of InferenceService."""

    def __init__(self, chat: Chat, embeddings: Embeddings) -> None:
        self._chat = chat
        self._embeddings = embeddings

    async def Chat(self, request: pb.ChatRequest, context: CallContext) -> pb.ChatResponse:
        body = await _chat_body(request)
        del request  # it may be large, and the answer may take long
        answer = await self._chat.answer(body)
        if not isinstance(answer, Completion):
            raise TypeError("a request without `stream` has a whole answer")
        return convert.chat_response(answer)

    async def ChatStream(
        self, request: pb.ChatStreamRequest, context: CallContext
    ) -> AsyncIterator[pb.ChatStreamResponse]:
        body = await _chat_body(request.chat) | {"stream": True}
        del request  # it may be large, and the answer may take long
        stream = await self._chat.answer(body)
        if isinstance(stream, Completion):
            raise TypeError("a request with `stream` has a streamed answer")
        response = pb.ChatStreamResponse()
        try:
            while not stream.ended:
                if chunks := await stream.next():
                    response = convert.stream_response(chunks)
                    yield response
            if stream.error is not None:
                raise stream.error
            yield convert.usage_response(response, stream.usage)
        finally:
            await stream.close()

    async def Embed(self, request: pb.EmbedRequest, context: CallContext) -> pb.EmbedResponse:
        answer = await self._embeddings.answer(convert.embedding_body(request))
        return await offload(lambda: convert.embed_response(answer), answer.size)


async def _chat_body(request: pb.ChatRequest) -> Body:
    return await offload_request(lambda: convert.chat_body(request), request.ByteSize())
