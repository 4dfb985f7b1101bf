"""Streamed chats: their form, their usage, and how they end when something breaks or someone leaves."""

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from portico.inference.v1 import model_service_pb2, usage_service_pb2
from tests.support import fake_provider as fake
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, frames_of, inference, text_of


async def until_records(caller: Caller, count: int) -> list[Any]:
    """The records once that many have been written: a cancelled call ends after its client has gone."""
    async with asyncio.timeout(5):
        while True:
            await caller.harness.flush()
            request = usage_service_pb2.ListUsageRecordsRequest(page_size=1000)
            answer = await caller.harness.usage.ListUsageRecords(request, metadata=caller.metadata)
            if len(answer.records) >= count:
                return list(answer.records)
            await asyncio.sleep(0.01)


def reasons_of(frames: list[dict[str, Any]]) -> list[str]:
    return [c["finish_reason"] for f in frames for c in f.get("choices", ()) if c.get("finish_reason")]


class TestStream:
    async def test_a_stream_has_the_form_that_strict_clients_want(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.streams(["Hel", "lo"])
        frames = await caller.stream()
        assert frames[0]["choices"][0]["delta"]["role"] == "assistant"
        assert text_of(frames) == "Hello"
        assert reasons_of(frames) == ["stop"]
        assert {frame["id"] for frame in frames} == {"chatcmpl-upstream"}
        assert {frame["model"] for frame in frames} == {"m"}
        assert all(frame["choices"] and "usage" not in frame for frame in frames)
        assert provider.bodies[0]["stream_options"] == {"include_usage": True}

    async def test_the_usage_is_given_to_who_asked_and_recorded_alike(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        *_, last = await caller.stream(stream_options={"include_usage": True})
        assert last["choices"] == []
        assert last["usage"] == fake.USAGE
        await caller.chat()
        streamed, whole = sorted(await caller.records(2), key=lambda each: not each.streamed)
        assert streamed.streamed
        assert not whole.streamed
        assert streamed.usage == whole.usage
        assert streamed.cost == whole.cost > 0

    async def test_usage_is_estimated_where_the_provider_gives_none(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        provider.behaviour = fake.sends(fake.chunk({"content": "12345678"}), fake.chunk({}, "stop"), fake.DONE)
        *_, last = await caller.stream("1234", stream_options={"include_usage": True})
        assert (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == (1, 2)

    async def test_no_usage_is_asked_of_a_model_that_does_not_know_it(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        settings = model_service_pb2.ModelSettings(unsupported_params=["stream_options"])
        await caller.model(key="plain", settings=settings)
        await caller.stream(model="plain")
        assert "stream_options" not in provider.bodies[0]

    async def test_what_the_provider_leaves_out_is_filled_in(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.sends(b": ping\n\n", fake.chunk({"content": "a"}), fake.DONE)
        frames = await caller.stream()
        assert frames[0]["choices"][0]["delta"]["role"] == "assistant"
        assert reasons_of(frames) == ["stop"]

    async def test_the_first_chunk_leaves_before_the_second_arrives(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        go_on = asyncio.Event()

        async def behave(provider: FakeProvider, peer: Any, body: Any) -> None:
            await peer.start()
            await peer.chunk(fake.chunk({"content": "a"}))
            await go_on.wait()
            await peer.chunk(fake.chunk({"content": "b"}, "stop") + fake.DONE)
            await peer.finish()

        provider.behaviour = behave
        call = caller.open_chat(json.dumps({"model": "m", "messages": [{"role": "user"}], "stream": True}).encode())
        first = await call.read()
        assert b'"content":"a"' in first.data
        go_on.set()
        second = await call.read()
        assert await call.read() is grpc.aio.EOF
        assert text_of(frames_of([first, second])) == "ab"

    @pytest.mark.parametrize(
        ("behaviour", "reason"),
        [
            (fake.sends(fake.chunk({"content": "a"}), end="reset"), "upstream_unreachable"),
            (fake.sends(fake.chunk({"content": "a"}), b"data: {broken\n\n"), "upstream_malformed"),
            (fake.sends(fake.chunk({"content": "a"})), "upstream_truncated"),
            (fake.sends(fake.chunk({"content": "a"}), b'data: {"error":{"message":"no"}}\n\n'), "provider_failed"),
        ],
        ids=["reset", "garbage", "truncated", "error frame"],
    )
    async def test_a_stream_that_breaks_ends_with_an_error_frame_and_done(
        self, caller: Caller, provider: FakeProvider, behaviour: fake.Behaviour, reason: str
    ) -> None:
        provider.behaviour = behaviour
        *frames, last = await caller.stream()
        assert text_of(frames) == "a"
        assert last["request_id"] == "req-1"
        assert last["error"]["code"] == reason
        (record,) = await caller.records(1)
        assert (record.status, record.error_reason) == ("error", reason.upper())
        assert provider.asked == 1

    async def test_silence_in_the_middle_ends_the_stream(self, tmp_path: Path, provider: FakeProvider) -> None:
        provider.behaviour = fake.sends(fake.chunk({"content": "a"}), end="hang")
        async with inference(tmp_path / "data", PORTICO_PROVIDER_IDLE_SECONDS="1") as harness:
            caller = harness.caller()
            await caller.provider(provider.url)
            await caller.model()
            *_, last = await caller.stream()
            assert last["error"]["code"] == "upstream_timeout"
            await provider.disconnected.wait()

    async def test_a_client_that_hangs_up_closes_the_providers_connection(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        provider.behaviour = fake.sends(fake.chunk({"content": "12345678"}), end="hang")
        call = caller.open_chat(
            json.dumps({"model": "m", "messages": [{"role": "user", "content": "1234"}], "stream": True}).encode()
        )
        await call.read()
        call.cancel()
        async with asyncio.timeout(5):
            await provider.disconnected.wait()
        (record,) = await until_records(caller, 1)
        assert record.status == "cancelled"
        assert record.usage.estimated
        assert (record.usage.input_tokens, record.usage.output_tokens) == (1, 2)

    async def test_a_client_that_hangs_up_before_the_answer_does_too(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        provider.behaviour = fake.hangs()
        call = caller.open_chat(json.dumps({"model": "m", "messages": [{"role": "user"}]}).encode())
        reading = asyncio.ensure_future(call.read())
        await provider.begun.wait()
        call.cancel()
        async with asyncio.timeout(5):
            await provider.disconnected.wait()
        await asyncio.gather(reading, return_exceptions=True)
        (record,) = await until_records(caller, 1)
        assert record.status == "cancelled"
        assert provider.asked == 1

    async def test_tools_and_stream_can_be_answered_whole(self, caller: Caller, provider: FakeProvider) -> None:
        settings = model_service_pb2.ModelSettings(disable_streaming_with_tools=True)
        await caller.model(key="whole", settings=settings)
        tools = [{"type": "function", "function": {"name": "f"}}]
        frames = await caller.stream(model="whole", tools=tools, stream_options={"include_usage": True})
        assert "stream" not in provider.bodies[0]
        assert "stream_options" not in provider.bodies[0]
        assert text_of(frames) == "Hello!"
        assert reasons_of(frames) == ["stop"]
        assert frames[-1]["usage"] == fake.USAGE
        assert {frame["model"] for frame in frames} == {"whole"}

    async def test_many_streams_at_once_keep_their_own(self, caller: Caller, provider: FakeProvider) -> None:
        async def behave(provider: FakeProvider, peer: Any, body: dict[str, Any]) -> None:
            await peer.start()
            for _ in range(200):
                await peer.chunk(fake.chunk({"content": body["messages"][0]["content"]}))
            await peer.chunk(fake.chunk({}, "stop") + fake.DONE)
            await peer.finish()

        provider.behaviour = behave
        answers = await asyncio.gather(*(caller.stream(f"<{at}>") for at in range(200)))
        assert [text_of(frames) for frames in answers] == [f"<{at}>" * 200 for at in range(200)]
        assert len(await caller.records(200, status="success")) == 200
