"""Chat and embeddings for callers that speak gRPC, over the same pipeline as the OpenAI-compatible calls."""

from collections.abc import AsyncIterator

from core.offload import offload, offload_request
from core.rpc.call import CallContext
from portico.inference.v1 import inference_service_pb2 as pb
from portico.inference.v1.inference_service_pb2_grpc import InferenceServiceServicer
from services.inference import mapping_chat as mapping
from services.inference.domain.pipeline.answer import read_whole
from services.inference.domain.pipeline.exchange import Body
from services.inference.domain.pipeline.pipeline import Pipeline


class InferenceServicer(InferenceServiceServicer):
    """The servicer of InferenceService."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def Chat(self, request: pb.ChatRequest, context: CallContext) -> pb.ChatResponse:
        body = await _chat_body(request)
        del request  # it may be large, and the answer may take long
        _, answer = await self._pipeline.chat(body)
        return mapping.chat_response(await read_whole(answer), answer.usage)

    async def ChatStream(
        self, request: pb.ChatStreamRequest, context: CallContext
    ) -> AsyncIterator[pb.ChatStreamResponse]:
        body = await _chat_body(request.chat) | {"stream": True}
        del request  # it may be large, and the answer may take long
        _, answer = await self._pipeline.chat(body)
        response = pb.ChatStreamResponse()
        try:
            while not answer.ended:
                if chunks := await answer.next():
                    response = mapping.stream_response(chunks)
                    yield response
            await answer.settled()
            if answer.error is not None:
                raise answer.error
            yield mapping.usage_response(response, answer.usage)
        finally:
            await answer.close()

    async def Embed(self, request: pb.EmbedRequest, context: CallContext) -> pb.EmbedResponse:
        _, answer = await self._pipeline.embeddings(mapping.embedding_body(request))
        embedded = await read_whole(answer)
        return await offload(lambda: mapping.embed_response(embedded, answer.usage), len(embedded["data"]))


async def _chat_body(request: pb.ChatRequest) -> Body:
    return await offload_request(lambda: mapping.chat_body(request), request.ByteSize())
