"""Chats in OpenAI's form: what reaches the provider, what comes back, and what is metered."""

import pytest

from portico.inference.v1 import model_service_pb2
from tests.support import fake_provider as fake
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import API_KEY, Caller, Harness


class TestChat:
    async def test_an_answer_carries_the_public_model_the_request_id_and_the_providers_fields(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        answer = await caller.chat("Hi", n=1, logit_bias={"5": 1}, top_k=3)
        assert answer["model"] == "m"
        assert answer["request_id"] == "req-1"
        assert answer["choices"][0]["message"]["content"] == "Hello!"
        assert answer["usage"] == fake.USAGE
        (body,) = provider.bodies
        assert body == {
            "model": "upstream-model",
            "messages": [{"role": "user", "content": "Hi"}],
            "n": 1,
            "logit_bias": {"5": 1},
            "top_k": 3,
        }
        assert provider.requests[0].headers["authorization"] == f"Bearer {API_KEY}"
        assert provider.requests[0].target == "/v1/chat/completions"

    async def test_a_call_is_metered_with_its_cost(self, caller: Caller) -> None:
        await caller.chat()
        (record,) = await caller.records(1)
        assert record.status == "success"
        assert record.operation == "chat"
        assert record.model == "m"
        assert record.model_id == "upstream-model"
        assert record.provider_key == "p"
        assert record.request_id == "req-1"
        assert record.finish_reason == "stop"
        assert record.user_id == "u1"
        assert (record.usage.input_tokens, record.usage.output_tokens) == (11, 7)
        assert (record.usage.cached_input_tokens, record.usage.reasoning_tokens) == (4, 2)
        assert record.cost == pytest.approx((7 * 2.0 + 4 * 0.5 + 7 * 8.0) / 1e6, abs=1e-12)
        assert record.latency_ms >= record.first_byte_ms > 0

    async def test_the_callers_own_request_id_comes_back_and_goes_no_further(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        answer = await caller.chat(request_id="mine")
        assert answer["request_id"] == "mine"
        assert "request_id" not in provider.bodies[0]

    async def test_missing_usage_is_estimated(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.answers("12345678", usage=None)
        answer = await caller.chat("1234")
        assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (1, 2)
        (record,) = await caller.records(1)
        assert record.usage.estimated

    async def test_settings_shape_the_request_and_the_answer_says_what_was_dropped(
        self, harness: Harness, caller: Caller, provider: FakeProvider
    ) -> None:
        settings = model_service_pb2.ModelSettings(unsupported_params=["temperature", "top_p"])
        settings.request_defaults.update({"max_tokens": 5, "seed": 1})
        settings.extra_body.update({"top_k": 7})
        await caller.model(key="shaped", settings=settings)
        await caller.chat(model="shaped", temperature=0.5, seed=2, top_k=1)
        body = provider.bodies[0]
        assert body | {"messages": []} == {
            "model": "upstream-model", "messages": [], "max_tokens": 5, "seed": 2, "top_k": 7,
        }  # fmt: skip
        assert caller.headers["x-portico-dropped-params"] == "temperature"
