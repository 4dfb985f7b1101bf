"""The real inference service in the test's own process, on a real server and a store of its own, without auth."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.rpc import error_details_pb2, status_pb2

from core.app import Platform
from core.rpc.server import ServiceRegistration
from portico.inference.v1 import (
    anthropic_service_pb2,
    anthropic_service_pb2_grpc,
    guardrail_service_pb2,
    guardrail_service_pb2_grpc,
    inference_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    openai_service_pb2,
    openai_service_pb2_grpc,
    pii_service_pb2,
    pii_service_pb2_grpc,
    prompt_service_pb2_grpc,
    provider_service_pb2,
    provider_service_pb2_grpc,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
    reranker_service_pb2,
    reranker_service_pb2_grpc,
    spend_service_pb2_grpc,
    usage_service_pb2,
    usage_service_pb2_grpc,
)
from services.inference.app import Domain, assemble, serve
from services.inference.settings import Settings
from tests.support import serving
from tests.support.serving import connect
from tests.support.tokens import Signer

API_KEY = "sk-marker-0123456789abcdef"  # a test looks for it everywhere


@dataclass
class Caller:
    """One token, and the calls that its bearer makes."""

    harness: "Harness"
    token: str
    rest: bool = False
    request_id: str = "req-1"
    headers: Mapping[str, str | bytes] = field(default_factory=dict)
    """Initial metadata of the last call."""

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        rest = serving.REST if self.rest else ()
        return (("authorization", f"Bearer {self.token}"), ("x-request-id", self.request_id), *rest)

    async def post_chat(self, body: Any) -> list[HttpBody]:
        """All messages of the answer to these bytes, or to this JSON."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        call = self.open_chat(data)
        messages = [message async for message in call]
        self.headers = dict(await call.initial_metadata())
        return messages

    def open_chat(self, data: bytes) -> Any:
        request = openai_service_pb2.CreateChatCompletionRequest(
            body=HttpBody(content_type="application/json", data=data)
        )
        return self.harness.openai.CreateChatCompletion(request, metadata=self.metadata)

    async def post_messages(self, body: Any, *headers: tuple[str, str]) -> list[HttpBody]:
        """All messages of the answer to a request of the Messages API."""
        call = self.open_messages(body, *headers)
        messages = [message async for message in call]
        self.headers = dict(await call.initial_metadata())
        return messages

    def open_messages(self, body: Any, *headers: tuple[str, str]) -> Any:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        request = anthropic_service_pb2.CreateMessageRequest(body=HttpBody(content_type="application/json", data=data))
        return self.harness.anthropic.CreateMessage(request, metadata=(*self.metadata, *headers))

    async def count_message_tokens(self, body: Any) -> int:
        request = anthropic_service_pb2.CountMessageTokensRequest(
            body=HttpBody(content_type="application/json", data=orjson.dumps(body))
        )
        message = await self.harness.anthropic.CountMessageTokens(request, metadata=self.metadata)
        return int(orjson.loads(message.data)["input_tokens"])

    async def chat(self, text: str = "Hi", model: str = "m", **more: Any) -> dict[str, Any]:
        (message,) = await self.post_chat({"model": model, "messages": [{"role": "user", "content": text}], **more})
        assert message.content_type == "application/json"
        answer: dict[str, Any] = orjson.loads(message.data)
        return answer

    async def stream(self, text: str = "Hi", model: str = "m", **more: Any) -> list[dict[str, Any]]:
        """The frames of a streamed chat, checked for their form, without [DONE]."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True, **more}
        return frames_of(await self.post_chat(body))

    async def post_embeddings(self, body: Any) -> dict[str, Any]:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        request = openai_service_pb2.CreateEmbeddingRequest(body=HttpBody(content_type="application/json", data=data))
        call = self.harness.openai.CreateEmbedding(request, metadata=self.metadata)
        message = await call
        self.headers = dict(await call.initial_metadata())
        answer: dict[str, Any] = orjson.loads(message.data)
        return answer

    async def post_rerank(self, body: Any, reranker: str = "") -> dict[str, Any]:
        """The answer to this JSON: of a model, or of a reranker where one is named."""
        content = HttpBody(
            content_type="application/json", data=body if isinstance(body, bytes) else orjson.dumps(body)
        )
        call = (
            self.harness.rerank.RunReranker(
                rerank_service_pb2.RunRerankerRequest(key=reranker, body=content), metadata=self.metadata
            )
            if reranker
            else self.harness.rerank.CreateRerank(
                rerank_service_pb2.CreateRerankRequest(body=content), metadata=self.metadata
            )
        )
        answer: dict[str, Any] = orjson.loads((await call).data)
        return answer

    async def reranker(self, **more: Any) -> Any:
        """Make a reranker: a heuristic one, if nothing else is said."""
        fields = {"key": "r", "name": "R", "strategy": "heuristic"}
        request = reranker_service_pb2.CreateRerankerRequest(**{**fields, **more})
        return (await self.harness.rerankers.CreateReranker(request, metadata=self.metadata)).reranker

    async def provider(self, url: str = "", **more: Any) -> Any:
        """Make a provider: of the fake's URL, or echo."""
        fields = {"driver": "openai-compatible", "credentials": {"apiKey": API_KEY}} if url else {"driver": "echo"}
        request = provider_service_pb2.CreateProviderRequest(**{"key": "p", "label": "P", **fields, **more})
        if url:
            request.settings.update({"baseUrl": url})
        return (await self.harness.providers.CreateProvider(request, metadata=self.metadata)).provider

    async def model(self, **more: Any) -> Any:
        fields = {"key": "m", "name": "M", "category": "llm", "provider_key": "p", "model_id": "upstream-model"}
        request = model_service_pb2.CreateModelRequest(**{**fields, **more})
        return (await self.harness.models.CreateModel(request, metadata=self.metadata)).model

    async def guardrail(self, policy: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """Make a guardrail: of this policy, or a custom one."""
        fields = {"key": "g", "name": "G", "type": "preset" if policy is not None else "custom"}
        request = guardrail_service_pb2.CreateGuardrailRequest(**{**fields, **more})
        if policy is not None:
            request.policy.update(policy)
        return (await self.harness.guardrails.CreateGuardrail(request, metadata=self.metadata)).guardrail

    async def pii_policy(self, **more: Any) -> Any:
        request = pii_service_pb2.CreatePiiPolicyRequest(**{"key": "pii", "name": "PII", **more})
        return (await self.harness.pii.CreatePiiPolicy(request, metadata=self.metadata)).policy

    async def evaluations(self, key: str = "g") -> list[Any]:
        """The evaluation log of a guardrail, newest first."""
        await self.harness.flush()
        request = guardrail_service_pb2.ListGuardrailEvaluationsRequest(key=key)
        return list((await self.harness.guardrails.ListGuardrailEvaluations(request, metadata=self.metadata)).logs)

    async def records(self, count: int, **more: Any) -> list[Any]:
        """The usage records, newest first, once there are `count` of them."""
        await self.harness.flush()
        request = usage_service_pb2.ListUsageRecordsRequest(page_size=1000, **more)
        records = (await self.harness.usage.ListUsageRecords(request, metadata=self.metadata)).records
        assert len(records) == count, records
        return list(records)


@dataclass
class Harness(serving.Harness):
    """The running service, its domain and its stubs."""

    domain: Domain

    def __post_init__(self) -> None:
        self.openai = openai_service_pb2_grpc.OpenAIServiceStub(self.channel)
        self.anthropic = anthropic_service_pb2_grpc.AnthropicServiceStub(self.channel)
        self.typed = inference_service_pb2_grpc.InferenceServiceStub(self.channel)
        self.providers = provider_service_pb2_grpc.ProviderServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.prompts = prompt_service_pb2_grpc.PromptServiceStub(self.channel)
        self.spend = spend_service_pb2_grpc.SpendServiceStub(self.channel)
        self.usage = usage_service_pb2_grpc.UsageServiceStub(self.channel)
        self.guardrails = guardrail_service_pb2_grpc.GuardrailServiceStub(self.channel)
        self.rerank = rerank_service_pb2_grpc.RerankServiceStub(self.channel)
        self.rerankers = reranker_service_pb2_grpc.RerankerServiceStub(self.channel)
        self.pii = pii_service_pb2_grpc.PiiServiceStub(self.channel)

    def caller(self, *, rest: bool = False, request_id: str = "req-1", **claims: Any) -> Caller:
        return Caller(self, self.signer.token(**claims), rest, request_id)

    async def flush(self) -> None:
        """Let everything that has ended be written."""
        await self.domain.meter.flush()
        await self.domain.evaluations.flush()


def frames_of(messages: list[HttpBody]) -> list[dict[str, Any]]:
    """The frames of a streamed answer. Checks that each is `data: <json>` and that [DONE] comes once and last."""
    assert {message.content_type for message in messages} == {"text/event-stream"}
    *frames, done, rest = b"".join(message.data for message in messages).split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    assert all(frame.startswith(b"data: {") for frame in frames)
    return [orjson.loads(frame[6:]) for frame in frames]


def reason_of(error: grpc.aio.AioRpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    for detail in status_of(error).details:
        if detail.Unpack(info):
            return str(info.reason)
    raise AssertionError("no ErrorInfo")


def field_of(error: grpc.aio.AioRpcError) -> str:
    request = error_details_pb2.BadRequest()
    for detail in status_of(error).details:
        if detail.Unpack(request):
            return str(request.field_violations[0].field)
    return ""


def status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    return status_pb2.Status.FromString(dict(error.trailing_metadata() or ())["grpc-status-details-bin"])


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def text_of(frames: list[dict[str, Any]]) -> str:
    return "".join(c["delta"].get("content") or "" for frame in frames for c in frame.get("choices", ()))


@asynccontextmanager
async def inference(folder: Path, **env: str) -> AsyncIterator[Harness]:
    """The service with its data in `folder`; `env` changes its settings."""
    settings = {
        "PORTICO_AUTH_ADDRESS": "127.0.0.1:1",
        "PORTICO_GRACE_SECONDS": "0.2",
        "PORTICO_PROVIDER_RETRY_DELAY_SECONDS": "0.01",
        **env,
    }

    made: list[Domain] = []

    async def build(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
        made.append(assemble(platform, settings))
        return await serve(platform, settings, made[0])

    signer = Signer()
    async with (
        serving.served("inference", Settings, build, folder, signer, **settings) as running,
        connect(running.port) as channel,
    ):
        yield Harness(running, channel, signer, folder, made[0])
