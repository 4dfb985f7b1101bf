"""Embeddings and chats of the inference service."""

from array import array
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from google.protobuf.struct_pb2 import Struct

from core.errors import FailedPrecondition, InvalidInput, NotFound, PorticoError
from core.rpc.client import ServiceClient
from portico.inference.v1 import inference_service_pb2 as pb
from portico.inference.v1 import inference_service_pb2_grpc
from services.rag.ports import ChatAnswer, ChatMessage, Vector

SECONDS = 120.0
"""Longest time of one call, retries at the provider included."""


class InferenceClient:
    """An Embedder and a ChatModel of the ports."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._stub = inference_service_pb2_grpc.InferenceServiceStub(client.channel)

    async def embed(self, model_key: str, texts: Sequence[str]) -> list[Vector]:
        request = pb.EmbedRequest(model=model_key, inputs=texts)
        try:
            answer = await self._client.call(self._stub.Embed, request, seconds=SECONDS)
        except (NotFound, InvalidInput) as error:
            raise _without_model(error, model_key, "embedding", "EMBEDDING_MODEL") from None
        vectors = [array("f", each.values) for each in answer.embeddings]
        if len(vectors) != len(texts):
            raise FailedPrecondition(
                f"The embedding model {model_key} answered {len(vectors)} vectors for {len(texts)} texts.",
                reason="EMBEDDING_MODEL",
                field="embeddingModelKey",
            )
        return vectors

    async def answer(
        self,
        model_key: str,
        messages: Sequence[ChatMessage],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        json_schema: Mapping[str, Any] | None = None,
    ) -> ChatAnswer:
        request = _chat(model_key, messages, temperature, max_tokens, json_schema)
        try:
            answer = await self._client.call(self._stub.Chat, request, seconds=SECONDS)
        except (NotFound, InvalidInput) as error:
            raise _without_model(error, model_key, "chat", "CHAT_MODEL") from None
        text = answer.choices[0].message.content if answer.choices else ""
        return ChatAnswer(text, answer.usage.input_tokens, answer.usage.output_tokens)

    async def stream(
        self,
        model_key: str,
        messages: Sequence[ChatMessage],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> AsyncGenerator[ChatAnswer, None]:
        request = pb.ChatStreamRequest(chat=_chat(model_key, messages, temperature, max_tokens, None))
        pieces = self._client.stream(self._stub.ChatStream, request, seconds=SECONDS)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    text = "".join(delta.content for delta in piece.deltas if delta.index == 0)
                    yield ChatAnswer(text, piece.usage.input_tokens, piece.usage.output_tokens)
        except (NotFound, InvalidInput) as error:
            raise _without_model(error, model_key, "chat", "CHAT_MODEL") from None


def _chat(
    model_key: str,
    messages: Sequence[ChatMessage],
    temperature: float | None,
    max_tokens: int | None,
    json_schema: Mapping[str, Any] | None,
) -> pb.ChatRequest:
    request = pb.ChatRequest(
        model=model_key,
        messages=[pb.ChatMessage(role=each.role, content=each.content) for each in messages],
        temperature=temperature,
        max_completion_tokens=max_tokens,
    )
    if json_schema is not None:
        form = Struct()
        form.update({"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(json_schema)}})
        request.response_format.CopyFrom(form)
    return request


def _without_model(error: PorticoError, model_key: str, category: str, reason: str) -> PorticoError:
    """The error for a key that names no model of the category; any other error as it is."""
    if error.reason != "MODEL_NOT_FOUND" and error.field != "model":
        return error
    return FailedPrecondition(
        f"The project has no {category} model {model_key[:128]}. Create it, or name another one.",
        reason=reason,
        field="embeddingModelKey" if category == "embedding" else "model",
    )
