"""Chats over the typed API, whole and streamed."""

from portico.inference.v1 import inference_service_pb2
from tests.support import fake_provider as fake
from tests.support.fake_provider import FakeProvider
from tests.support.inference_world import Caller, field_of, reason_of, refused


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
        answer = await caller.world.typed.Chat(request, metadata=caller.metadata)
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
        assert field_of(await refused(caller.world.typed.Chat(request, metadata=caller.metadata))) == (
            "extra.temperature"
        )

    async def test_a_stream_ends_with_the_usage(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.streams(["Hel", "lo"])
        request = inference_service_pb2.ChatStreamRequest(chat={"model": "m", "messages": [{"role": "user"}]})
        pieces = [piece async for piece in caller.world.typed.ChatStream(request, metadata=caller.metadata)]
        deltas = [delta for piece in pieces for delta in piece.deltas]
        assert deltas[0].role == "assistant"
        assert "".join(delta.content for delta in deltas) == "Hello"
        assert deltas[-1].finish_reason == "stop"
        assert pieces[-1].usage.output_tokens == 7
        assert not any(piece.HasField("usage") for piece in pieces[:-1])
        assert {piece.id for piece in pieces} == {"chatcmpl-upstream"}

    async def test_a_broken_stream_is_an_error(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.sends(fake.chunk({"content": "a"}))
        request = inference_service_pb2.ChatStreamRequest(chat={"model": "m", "messages": [{"role": "user"}]})
        call = caller.world.typed.ChatStream(request, metadata=caller.metadata)
        assert (await call.read()).deltas[0].content == "a"
        assert reason_of(await refused(call.read())) == "UPSTREAM_TRUNCATED"
