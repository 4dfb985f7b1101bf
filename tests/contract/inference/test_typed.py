"""Chats over the typed API, whole and streamed."""

import json

import grpc
import pytest

from core.rpc.values import json_of
from portico.inference.v1 import inference_service_pb2
from tests.support import fake_provider as fake
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, field_of, reason_of, refused


class TestTyped:
    async def test_a_chat(self, caller: Caller, provider: FakeProvider) -> None:
        request = inference_service_pb2.ChatRequest(
            model="m",
            messages=[
                {"role": "user", "parts": [{"text": "Hi"}, {"image_url": {"url": "https://x/y.png"}}]},
                {"role": "assistant", "tool_calls": [{"id": "c", "name": "f", "arguments": "{}"}]},
                {"role": "tool", "content": "42", "tool_call_id": "c"},
            ],
            temperature=0.0,
            max_completion_tokens=9,
            stop=["x"],
            tools=[{"name": "f", "strict": True}],
            tool_choice="f",
        )
        request.extra.update({"top_k": 4, "half": 0.5})
        answer = await caller.harness.typed.Chat(request, metadata=caller.metadata)
        assert answer.choices[0].message.content == "Hello!"
        assert answer.choices[0].finish_reason == "stop"
        assert (answer.model, answer.usage.total_tokens, answer.usage.reasoning_tokens) == ("m", 18, 2)
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        image = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
        assert provider.bodies[0] == {
            "model": "upstream-model",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hi"}, image]},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "content": "42", "tool_call_id": "c"},
            ],
            "temperature": 0.0,
            "max_completion_tokens": 9,
            "stop": ["x"],
            "tools": [{"type": "function", "function": {"name": "f", "strict": True}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "top_k": 4,
            "half": 0.5,
        }

    async def test_extra_must_not_repeat_a_field(self, caller: Caller) -> None:
        request = inference_service_pb2.ChatRequest(model="m", messages=[{"role": "user"}])
        request.extra.update({"temperature": 1})
        assert field_of(await refused(caller.harness.typed.Chat(request, metadata=caller.metadata))) == (
            "extra.temperature"
        )

    async def test_a_stream_ends_with_the_usage(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.streams(["Hel", "lo"])
        request = inference_service_pb2.ChatStreamRequest(chat={"model": "m", "messages": [{"role": "user"}]})
        pieces = [piece async for piece in caller.harness.typed.ChatStream(request, metadata=caller.metadata)]
        deltas = [delta for piece in pieces for delta in piece.deltas]
        assert deltas[0].role == "assistant"
        assert "".join(delta.content for delta in deltas) == "Hello"
        assert deltas[-1].finish_reason == "stop"
        assert pieces[-1].usage.output_tokens == 7
        assert not any(piece.HasField("usage") for piece in pieces[:-1])
        assert {piece.id for piece in pieces} == {"chatcmpl-upstream"}

    @pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
    async def test_reasoning_comes_typed_whatever_the_provider_calls_it(
        self, caller: Caller, provider: FakeProvider, name: str
    ) -> None:
        """DeepSeek says reasoning_content, vLLM reasoning. Over REST both pass as they are."""
        message = {"role": "assistant", "content": "42", name: "Hm"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        provider.behaviour = fake.responds(json.dumps(fake.completion(choices=[choice])).encode())
        request = inference_service_pb2.ChatRequest(model="m", messages=[{"role": "user", "content": "?"}])
        answer = await caller.harness.typed.Chat(request, metadata=caller.metadata)
        assert answer.choices[0].message.reasoning_content == "Hm"
        assert (await caller.chat())["choices"][0]["message"] == message
        provider.behaviour = fake.sends(fake.chunk({name: "Hm"}), fake.chunk({"content": "42"}, "stop"), fake.DONE)
        stream = caller.harness.typed.ChatStream(
            inference_service_pb2.ChatStreamRequest(chat=request), metadata=caller.metadata
        )
        deltas = [delta async for piece in stream for delta in piece.deltas]
        assert "".join(delta.reasoning_content for delta in deltas) == "Hm"
        assert (await caller.stream())[0]["choices"][0]["delta"] == {name: "Hm", "role": "assistant"}

    async def test_reasoning_goes_back_to_the_provider(self, caller: Caller, provider: FakeProvider) -> None:
        message = {"role": "assistant", "content": "42", "reasoning_content": "Hm"}
        request = inference_service_pb2.ChatRequest(model="m", messages=[message])
        await caller.harness.typed.Chat(request, metadata=caller.metadata)
        assert provider.bodies[0]["messages"] == [message]

    async def test_content_in_parts_is_its_texts(self, caller: Caller, provider: FakeProvider) -> None:
        """Mistral's reasoning models answer with a list."""
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
        parts = [thinking, {"type": "text", "text": "4"}, {"type": "text", "text": "2"}]
        provider.behaviour = fake.sends(fake.chunk({"content": parts}, "stop"), fake.DONE)
        request = inference_service_pb2.ChatStreamRequest(chat={"model": "m", "messages": [{"role": "user"}]})
        stream = caller.harness.typed.ChatStream(request, metadata=caller.metadata)
        deltas = [delta async for piece in stream for delta in piece.deltas]
        assert (deltas[0].content, deltas[0].reasoning_content) == ("42", "Hm")

    async def test_a_streams_logprobs_come_typed(self, caller: Caller, provider: FakeProvider) -> None:
        logprobs = {"content": [{"token": "a", "logprob": -0.5}]}
        choice = {"index": 0, "delta": {"content": "a"}, "logprobs": logprobs, "finish_reason": None}
        provider.behaviour = fake.sends(fake.chunk({}, choices=[choice]), fake.chunk({}, "stop"), fake.DONE)
        request = inference_service_pb2.ChatStreamRequest(chat={"model": "m", "messages": [{"role": "user"}]})
        stream = caller.harness.typed.ChatStream(request, metadata=caller.metadata)
        first, *_ = [delta async for piece in stream for delta in piece.deltas]
        assert json_of(first.logprobs, "logprobs") == logprobs

    async def test_an_error_before_the_first_chunk_has_its_own_code(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        provider.behaviour = fake.sends(b'data: {"error":{"code":429,"message":"slow down"}}\n\n')
        request = inference_service_pb2.ChatStreamRequest(chat={"model": "m", "messages": [{"role": "user"}]})
        call = caller.harness.typed.ChatStream(request, metadata=caller.metadata)
        error = await refused(call.read())
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (reason_of(error), error.details()) == ("RATE_LIMIT_EXCEEDED", "slow down")

    async def test_a_broken_stream_is_an_error(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.sends(fake.chunk({"content": "a"}))
        request = inference_service_pb2.ChatStreamRequest(chat={"model": "m", "messages": [{"role": "user"}]})
        call = caller.harness.typed.ChatStream(request, metadata=caller.metadata)
        assert (await call.read()).deltas[0].content == "a"
        assert reason_of(await refused(call.read())) == "UPSTREAM_TRUNCATED"
