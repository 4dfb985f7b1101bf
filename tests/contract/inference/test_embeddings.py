"""Embeddings, in OpenAI's form and typed."""

import base64
import struct
from typing import Any

import pytest

from portico.inference.v1 import inference_service_pb2, model_service_pb2
from tests.support import fake_provider as fake
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, Harness, reason_of, refused


class TestEmbeddings:
    @pytest.fixture
    async def embedder(self, harness: Harness, provider: FakeProvider) -> Caller:
        caller = harness.caller()
        await caller.provider(provider.url)
        await caller.model(category="embedding", pricing=model_service_pb2.ModelPricing(input_token_per_1m=1.0))
        provider.behaviour = fake.embeds()
        return caller

    @pytest.mark.parametrize("given", ["a", ["a", "b"], [1, 2, 3], [[1, 2], [3]]])
    async def test_inputs_of_every_form_pass(self, embedder: Caller, provider: FakeProvider, given: Any) -> None:
        answer = await embedder.post_embeddings({"model": "m", "input": given, "dimensions": 2, "user": "x"})
        assert provider.bodies[0] == {"model": "upstream-model", "input": given, "dimensions": 2, "user": "x"}
        assert (answer["object"], answer["model"], answer["request_id"]) == ("list", "m", "req-1")
        assert answer["data"][0] == {"object": "embedding", "index": 0, "embedding": [0.0, 0.5]}
        (record,) = await embedder.records(1)
        assert (record.operation, record.usage.input_tokens, record.cost) == ("embedding", 5, 5e-6)

    @pytest.mark.parametrize("wanted", ["float", "base64", None])
    @pytest.mark.parametrize("sent_as_base64", [True, False])
    async def test_vectors_come_as_asked_whatever_the_provider_does(
        self, embedder: Caller, provider: FakeProvider, wanted: str | None, sent_as_base64: bool
    ) -> None:
        provider.behaviour = fake.embeds(as_base64=sent_as_base64)
        body: dict[str, Any] = {"model": "m", "input": ["a", "b"]}
        answer = await embedder.post_embeddings(body | ({"encoding_format": wanted} if wanted else {}))
        vectors = [each["embedding"] for each in answer["data"]]
        if wanted == "base64":
            vectors = [list(struct.unpack("<2f", base64.b64decode(each))) for each in vectors]
        assert vectors == [[0.0, 0.5], [1.0, 0.5]]

    async def test_missing_usage_is_estimated(self, embedder: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.embeds(usage=False)
        answer = await embedder.post_embeddings({"model": "m", "input": ["1234", "1234"]})
        assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
        (record,) = await embedder.records(1)
        assert record.usage.estimated

    async def test_typed_embeddings_are_in_order(self, embedder: Caller) -> None:
        request = inference_service_pb2.EmbedRequest(model="m", inputs=["a", "b"])
        answer = await embedder.harness.typed.Embed(request, metadata=embedder.metadata)
        assert [list(each.values) for each in answer.embeddings] == [[0.0, 0.5], [1.0, 0.5]]
        assert answer.usage.input_tokens == 5
        assert answer.model == "m"

    @pytest.mark.parametrize(
        "body",
        [
            *(b"", b"[]", b"{}", b'{"data":[{"embedding":"!"}]}', b'{"data":5}'),
            b'{"data":[],"usage":{"x":"\xff"}}',
            b'{"data":[],"usage":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
            b'{"data":[{"embedding":[1],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
        ],
    )
    async def test_nonsense_is_the_providers_failure(
        self, embedder: Caller, provider: FakeProvider, body: bytes
    ) -> None:
        provider.behaviour = fake.responds(body)
        request = inference_service_pb2.EmbedRequest(model="m", inputs=["a"])
        error = await refused(embedder.harness.typed.Embed(request, metadata=embedder.metadata))
        assert reason_of(error) == "UPSTREAM_MALFORMED"
