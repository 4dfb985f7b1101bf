"""The inference service on a real server, against a provider that behaves, misbehaves and attacks."""

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from portico.inference.v1 import inference_service_pb2, model_service_pb2, provider_service_pb2, usage_service_pb2
from tests.support import fake_provider as fake
from tests.support.fake_provider import FakeProvider
from tests.support.inference_world import API_KEY, Caller, World, frames_of, inference


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with inference(tmp_path / "data") as running:
        yield running


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as running:
        yield running


@pytest.fixture
async def caller(world: World, provider: FakeProvider) -> Caller:
    """Of a project with the model `m` at the fake provider."""
    made = world.caller()
    await made.provider(provider.url)
    pricing = model_service_pb2.ModelPricing(input_token_per_1m=2.0, output_token_per_1m=8.0, cached_token_per_1m=0.5)
    await made.model(pricing=pricing)
    return made


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


def reasons_of(frames: list[dict[str, Any]]) -> list[str]:
    return [c["finish_reason"] for f in frames for c in f.get("choices", ()) if c.get("finish_reason")]


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
        self, world: World, caller: Caller, provider: FakeProvider
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

    async def test_the_first_piece_leaves_before_the_second_arrives(
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
        async with inference(tmp_path / "data", PORTICO_PROVIDER_IDLE_SECONDS="1") as world:
            caller = world.caller()
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

    async def test_tools_and_stream_can_be_answered_in_one_piece(self, caller: Caller, provider: FakeProvider) -> None:
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


async def until_records(caller: Caller, count: int) -> list[Any]:
    """The records once that many have been written: a cancelled call ends after its client has gone."""
    async with asyncio.timeout(5):
        while True:
            await caller.world.flush()
            request = usage_service_pb2.ListUsageRecordsRequest(page_size=1000)
            answer = await caller.world.usage.ListUsageRecords(request, metadata=caller.metadata)
            if len(answer.records) >= count:
                return list(answer.records)
            await asyncio.sleep(0.01)


class TestProvidersErrors:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_provider_that_fails_twice_is_asked_three_times(
        self, caller: Caller, provider: FakeProvider, stream: bool
    ) -> None:
        provider.behaviour = fake.in_turn(fake.refuses(503), fake.resets(), fake.answers("ok"))
        if stream:
            assert text_of(await caller.stream()) == "ok"
        else:
            assert (await caller.chat())["choices"][0]["message"]["content"] == "ok"
        assert provider.asked == 3
        await caller.records(1, status="success")

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_provider_that_goes_on_failing_is_asked_no_more_than_that(
        self, caller: Caller, provider: FakeProvider, stream: bool
    ) -> None:
        provider.behaviour = fake.refuses(500)
        error = await refused(caller.stream() if stream else caller.chat())
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(error) == "PROVIDER_FAILED"
        assert provider.asked == 3
        (record,) = await caller.records(1)
        assert (record.status, record.error_reason) == ("error", "PROVIDER_FAILED")

    @pytest.mark.parametrize(
        ("status", "code", "reason"),
        [
            (400, grpc.StatusCode.INVALID_ARGUMENT, "BAD_VALUE"),
            (401, grpc.StatusCode.UNAVAILABLE, "PROVIDER_REJECTED_CREDENTIALS"),
            (403, grpc.StatusCode.UNAVAILABLE, "PROVIDER_REJECTED_CREDENTIALS"),
            (404, grpc.StatusCode.NOT_FOUND, "BAD_VALUE"),
            (409, grpc.StatusCode.ALREADY_EXISTS, "BAD_VALUE"),
            (413, grpc.StatusCode.INVALID_ARGUMENT, "BAD_VALUE"),
            (422, grpc.StatusCode.INVALID_ARGUMENT, "BAD_VALUE"),
        ],
    )
    async def test_a_refusal_is_not_repeated_and_keeps_its_meaning(
        self, caller: Caller, provider: FakeProvider, status: int, code: grpc.StatusCode, reason: str
    ) -> None:
        provider.behaviour = fake.refuses(status)
        error = await refused(caller.chat())
        assert (error.code(), reason_of(error)) == (code, reason)
        assert provider.asked == 1
        if code is grpc.StatusCode.INVALID_ARGUMENT:
            assert error.details() == f"provider says {status}"
            assert field_of(error) == "temperature"

    async def test_a_rate_limit_says_when_to_come_back(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.refuses(429, headers={"Retry-After": "17"})
        caller.rest = True
        error = await refused(caller.chat())
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        trailers = dict(error.trailing_metadata() or ())
        assert trailers["x-http-status"] == "429"
        assert trailers["retry-after"] == "17"

    async def test_bad_credentials_of_the_provider_are_not_the_callers(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        provider.behaviour = fake.refuses(401)
        caller.rest = True
        error = await refused(caller.stream())
        assert dict(error.trailing_metadata() or ())["x-http-status"] == "502"

    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"[]", b"null", b'{"choices":[]}', b'{"choices":[1]}', b"[" * 2000, b"\xff{}"]
    )
    async def test_an_answer_that_is_none_is_the_providers_failure(
        self, caller: Caller, provider: FakeProvider, body: bytes
    ) -> None:
        provider.behaviour = fake.responds(body)
        assert reason_of(await refused(caller.chat())) == "UPSTREAM_MALFORMED"

    async def test_a_page_of_a_proxy_does_not_reach_the_caller(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.refuses(400, b"<html>internal-host-17</html>")
        assert "internal-host-17" not in str((await refused(caller.chat())).details())

    async def test_the_callers_deadline_ends_the_call_at_the_provider_too(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        provider.behaviour = fake.hangs()
        request = inference_service_pb2.ChatRequest(model="m", messages=[{"role": "user", "content": "Hi"}])
        error = await refused(caller.world.typed.Chat(request, metadata=caller.metadata, timeout=0.3))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        async with asyncio.timeout(5):
            await provider.disconnected.wait()

    async def test_the_models_own_limit_is_a_504(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.hangs()
        await caller.model(key="hasty", settings=model_service_pb2.ModelSettings(timeout_seconds=1))
        caller.rest = True
        error = await refused(caller.chat(model="hasty"))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert dict(error.trailing_metadata() or ())["x-http-status"] == "504"
        assert provider.asked == 1


class TestCircuit:
    async def test_one_tenants_failures_leave_anothers_calls_alone(
        self, world: World, caller: Caller, provider: FakeProvider
    ) -> None:
        """The circuit was keyed by provider key alone: one tenant's bad account cut off all who used that name."""
        other = world.caller(tenant="globex")
        await other.provider(provider.url)
        await other.model()
        provider.behaviour = fake.refuses(500)
        for _ in range(5):
            await refused(caller.chat())
        provider.behaviour = fake.answers()
        asked = provider.asked
        error = await refused(caller.chat())
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert provider.asked == asked
        await other.chat()

    async def test_callers_mistakes_do_not_open_the_circuit(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.refuses(400)
        for _ in range(8):
            await refused(caller.chat())
        provider.behaviour = fake.answers()
        await caller.chat()

    async def test_after_the_pause_one_call_alone_tries_the_provider(
        self, tmp_path: Path, provider: FakeProvider
    ) -> None:
        async with inference(
            tmp_path / "data",
            PORTICO_PROVIDER_BREAKER_RESET_SECONDS="0.2",
            PORTICO_PROVIDER_BREAKER_THRESHOLD="1",
            PORTICO_PROVIDER_ATTEMPTS="1",
        ) as world:
            caller = world.caller()
            await caller.provider(provider.url)
            await caller.model()
            provider.behaviour = fake.refuses(500)
            await refused(caller.chat())
            release = asyncio.Event()

            async def slow(provider: FakeProvider, peer: Any, body: Any) -> None:
                await release.wait()
                await fake.answers()(provider, peer, body)

            provider.behaviour = slow
            await asyncio.sleep(0.25)  # the pause itself
            provider.begun.clear()
            calls = [asyncio.ensure_future(caller.chat()) for _ in range(10)]
            await provider.begun.wait()
            waiting, done = set(calls), set()
            async with asyncio.timeout(5):
                while len(waiting) > 1:
                    ended, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    done |= ended
            assert provider.asked == 2
            release.set()
            await asyncio.gather(*waiting)
            await asyncio.gather(*done, return_exceptions=True)
            await caller.chat()


class TestRefusedRequests:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (b"", "body"),
            (b"{", "body"),
            (b"[]", "body"),
            (b'"x"', "body"),
            (b'{"model":"m","messages":[{"role":"user"}],"temperature":NaN}', "body"),
            (b'{"model":"m","messages":' + b"[" * 5000 + b"]" * 5000 + b"}", "body"),
            (b'{"model":"m","messages":[{"role":"user","content":' + b"[" * 400 + b"]" * 400 + b"}]}", "body"),
            (b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', "body"),
            (b"{}", "model"),
            (b'{"model":5,"messages":[{"role":"user"}]}', "model"),
            (b'{"model":" ","messages":[{"role":"user"}]}', "model"),
            (b'{"model":"m"}', "messages"),
            (b'{"model":"m","messages":[]}', "messages"),
            (b'{"model":"m","messages":"hi"}', "messages"),
            (b'{"model":"m","messages":["hi"]}', "messages[0]"),
            (b'{"model":"m","messages":[{"role":"user"},{"content":"x"}]}', "messages[1].role"),
            (b'{"model":"m","messages":[{"role":"user"}],"stream":"yes"}', "stream"),
            (b'{"model":"m","messages":[{"role":"user"}],"stream_options":1}', "stream_options"),
            (b'{"model":"m","messages":[{"role":"user"}],"tools":{}}', "tools"),
        ],
    )
    async def test_a_bad_chat_names_its_field(
        self, caller: Caller, provider: FakeProvider, body: bytes, field: str
    ) -> None:
        error = await refused(caller.post_chat(body))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert field_of(error) == field
        assert provider.asked == 0

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"model": "e"}, "input"),
            ({"model": "e", "input": []}, "input"),
            ({"model": "e", "input": [""] * 2049}, "input"),
            ({"model": "e", "input": {"a": 1}}, "input"),
            ({"model": "e", "input": ["a", 1]}, "input"),
            ({"model": "e", "input": [[]]}, "input"),
            ({"model": "e", "input": "a", "encoding_format": "hex"}, "encoding_format"),
            ({"model": "e", "input": "a", "dimensions": 0}, "dimensions"),
        ],
    )
    async def test_a_bad_embedding_names_its_field(self, caller: Caller, body: Any, field: str) -> None:
        assert field_of(await refused(caller.post_embeddings(body))) == field

    @pytest.mark.parametrize("key", ["nope", "n" * 100, "n" * 100_000, "../m", "\u0000", "モデル"])
    async def test_an_unknown_model_is_a_404_however_its_key_looks(self, caller: Caller, key: str) -> None:
        caller.rest = True
        error = await refused(caller.chat(model=key))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert reason_of(error) == "MODEL_NOT_FOUND"
        trailers = dict(error.trailing_metadata() or ())
        assert trailers["x-http-status"] == "404"
        assert json.loads(trailers["x-error-body"])["error"]["code"] == "model_not_found"
        (record,) = await caller.records(1)
        assert (record.status, record.error_reason, record.model_id) == ("error", "MODEL_NOT_FOUND", "")

    async def test_a_model_of_another_category_is_a_400(self, caller: Caller) -> None:
        await caller.model(key="e", category="embedding")
        assert reason_of(await refused(caller.chat(model="e"))) == "WRONG_MODEL_CATEGORY"
        error = await refused(caller.post_embeddings({"model": "m", "input": "a"}))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert field_of(error) == "model"

    async def test_a_huge_body_is_answered(self, caller: Caller, provider: FakeProvider) -> None:
        text = "x" * (8 * 1024 * 1024)
        await caller.chat(text)
        assert provider.bodies[0]["messages"][0]["content"] == text

    async def test_another_tenants_and_projects_models_are_not_there(self, world: World, caller: Caller) -> None:
        for stranger in (world.caller(tenant="globex"), world.caller(project="p2")):
            error = await refused(stranger.chat())
            assert error.code() is grpc.StatusCode.NOT_FOUND
        await caller.chat()
        await caller.records(1)


class TestChanges:
    async def test_the_next_call_uses_what_a_provider_was_changed_to(
        self, world: World, caller: Caller, provider: FakeProvider
    ) -> None:
        await caller.chat()
        update = provider_service_pb2.UpdateProviderRequest(id="p", credentials={"apiKey": "new-key"})
        await world.providers.UpdateProvider(update, metadata=caller.metadata)
        await caller.chat()
        assert provider.requests[-1].headers["authorization"] == "Bearer new-key"
        async with FakeProvider(fake.answers("elsewhere")) as other:
            update = provider_service_pb2.UpdateProviderRequest(id="p")
            update.settings.update({"baseUrl": other.url})
            await world.providers.UpdateProvider(update, metadata=caller.metadata)
            assert (await caller.chat())["choices"][0]["message"]["content"] == "elsewhere"
            assert other.requests[0].headers["authorization"] == "Bearer new-key"

    async def test_a_disabled_provider_is_not_called(
        self, world: World, caller: Caller, provider: FakeProvider
    ) -> None:
        await caller.chat()
        update = provider_service_pb2.UpdateProviderRequest(id="p", status="disabled")
        await world.providers.UpdateProvider(update, metadata=caller.metadata)
        error = await refused(caller.chat())
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert provider.asked == 1

    async def test_a_removed_model_is_gone_at_once(self, world: World, caller: Caller) -> None:
        await caller.chat()
        await world.models.DeleteModel(model_service_pb2.DeleteModelRequest(id="m"), metadata=caller.metadata)
        assert reason_of(await refused(caller.chat())) == "MODEL_NOT_FOUND"


class TestEmbeddings:
    @pytest.fixture
    async def embedder(self, world: World, provider: FakeProvider) -> Caller:
        caller = world.caller()
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
        answer = await embedder.world.typed.Embed(request, metadata=embedder.metadata)
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
        error = await refused(embedder.world.typed.Embed(request, metadata=embedder.metadata))
        assert reason_of(error) == "UPSTREAM_MALFORMED"


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


class TestEcho:
    @pytest.fixture
    async def echo(self, world: World) -> Caller:
        caller = world.caller()
        await caller.provider()
        await caller.model()
        await caller.model(key="e", category="embedding")
        return caller

    async def test_it_answers_with_the_question_without_any_key(self, echo: Caller) -> None:
        answer = await echo.chat("What is it?")
        assert answer["choices"][0]["message"]["content"] == "What is it?"
        assert answer["usage"] == {"prompt_tokens": 6, "completion_tokens": 3, "total_tokens": 9}

    async def test_it_streams_word_by_word(self, echo: Caller) -> None:
        frames = await echo.stream("What is it?", stream_options={"include_usage": True})
        assert [c["delta"].get("content") for f in frames for c in f["choices"]] == ["", "What", " is", " it?", None]
        assert frames[-1]["usage"]["completion_tokens"] == 3

    async def test_it_embeds(self, echo: Caller) -> None:
        answer = await echo.post_embeddings({"model": "e", "input": ["a b", "a c", "x y"], "dimensions": 64})
        first, near, far = (each["embedding"] for each in answer["data"])
        assert len(first) == 64
        assert sum(x * x for x in first) == pytest.approx(1)
        assert sum(x * y for x, y in zip(first, near, strict=True)) > sum(
            x * y for x, y in zip(first, far, strict=True)
        )


class TestProvidersAndModels:
    async def test_credentials_never_come_out(
        self, world: World, caller: Caller, provider: FakeProvider, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Looks for the key everywhere: in answers, errors, logs and all files."""
        provider.behaviour = fake.in_turn(
            fake.refuses(400, json.dumps({"error": {"message": f"bad key {API_KEY} here"}}).encode()),
            fake.sends(b'data: {"error":{"message":"bad key ' + API_KEY.encode() + b'"}}\n\n'),
            fake.answers(),
        )
        error = await refused(caller.chat())
        seen = [error.details(), str(error.trailing_metadata())]
        seen.append(str(await caller.stream()))
        seen.append(str(await caller.chat()))
        listed = await world.providers.ListProviders(
            provider_service_pb2.ListProvidersRequest(), metadata=caller.metadata
        )
        assert listed.providers[0].has_credentials
        models = model_service_pb2.ListModelsRequest(include_providers=True)
        seen += [str(listed), str(await world.models.ListModels(models, metadata=caller.metadata))]
        seen.append(str(await caller.records(3)))
        await world.running.platform.store.check()
        files = [path.read_bytes() for path in world.folder.rglob("*") if path.is_file()]
        assert files
        assert not any(API_KEY in text for text in seen if text)
        assert not any(API_KEY.encode() in data for data in files)
        out, err = capfd.readouterr()
        assert API_KEY not in out + err

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"driver": "nope"}, "driver"),
            ({"label": ""}, "label"),
            ({"label": "x" * 201}, "label"),
            ({"key": "Not Ok"}, "key"),
            ({"key": "-x"}, "key"),
            ({"driver": "openai", "credentials": {}}, "credentials.apiKey"),
            ({"driver": "echo", "credentials": {"apiKey": "x"}}, "credentials.apiKey"),
            ({"driver": "openai", "credentials": {"apiKey": "a\r\nX-Evil: 1"}}, "credentials.apiKey"),
            ({"driver": "openai-compatible", "settings": {}}, "settings.baseUrl"),
            ({"driver": "openai-compatible", "settings": {"baseUrl": "ftp://x"}}, "settings.baseUrl"),
            ({"driver": "openai-compatible", "settings": {"baseUrl": "http://u:p@h/"}}, "settings.baseUrl"),
            ({"driver": "openai-compatible", "settings": {"baseUrl": "http://169.254.169.254/v1"}}, "settings.baseUrl"),
            ({"driver": "openai-compatible", "settings": {"baseUrl": "http://10.0.0.1"}}, "settings.baseUrl"),
            ({"driver": "azure-openai", "credentials": {"apiKey": "k"}}, "settings.instanceName"),
            ({"settings": {"other": 1}}, "settings.other"),
            ({"settings": {"delayMs": -1}}, "settings.delayMs"),
            ({"status": "broken"}, "status"),
            ({"metadata": {"x": "y" * 20_000}}, "metadata"),
        ],
    )
    async def test_a_bad_provider_names_its_field(self, world: World, changes: dict[str, Any], field: str) -> None:
        error = await refused(world.caller().provider(**changes))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert field_of(error) == field

    @pytest.mark.parametrize(
        ("changes", "code", "field"),
        [
            ({"provider_key": "nope"}, grpc.StatusCode.NOT_FOUND, "providerKey"),
            ({"category": "video"}, grpc.StatusCode.INVALID_ARGUMENT, "category"),
            ({"name": " "}, grpc.StatusCode.INVALID_ARGUMENT, "name"),
            ({"key": "with space"}, grpc.StatusCode.INVALID_ARGUMENT, "key"),
            ({"key": "k" * 129}, grpc.StatusCode.INVALID_ARGUMENT, "key"),
            ({"model_id": ""}, grpc.StatusCode.INVALID_ARGUMENT, "modelId"),
            ({"settings": {"extra_body": {"model": "x"}}}, grpc.StatusCode.INVALID_ARGUMENT, "settings.extraBody"),
            (
                {"settings": {"unsupported_params": ["messages"]}},
                grpc.StatusCode.INVALID_ARGUMENT,
                "settings.unsupportedParams",
            ),
            ({"settings": {"timeout_seconds": -1}}, grpc.StatusCode.INVALID_ARGUMENT, "settings.timeoutSeconds"),
            ({"pricing": {"currency": "dollars"}}, grpc.StatusCode.INVALID_ARGUMENT, "pricing.currency"),
            (
                {"pricing": {"input_token_per_1m": float("nan")}},
                grpc.StatusCode.INVALID_ARGUMENT,
                "pricing.inputTokenPer1M",
            ),
        ],
    )
    async def test_a_bad_model_names_its_field(
        self, caller: Caller, changes: dict[str, Any], code: grpc.StatusCode, field: str
    ) -> None:
        error = await refused(caller.model(**{"key": "new", **changes}))
        assert (error.code(), field_of(error)) == (code, field)

    async def test_keys_are_unique_in_a_project_and_made_up_where_missing(self, world: World, caller: Caller) -> None:
        assert (await refused(caller.model())).code() is grpc.StatusCode.ALREADY_EXISTS
        made = await asyncio.gather(*(caller.model(key="", name="My Möddel") for _ in range(3)))
        assert sorted(each.key for each in made) == ["my-moddel", "my-moddel-2", "my-moddel-3"]
        elsewhere = world.caller(project="p2")
        await elsewhere.provider()
        await elsewhere.model()

    async def test_the_list_offers_what_can_be_used(self, world: World, caller: Caller) -> None:
        await caller.model(key="e", category="embedding")
        await caller.model(key="o", category="ocr")
        await caller.provider(key="off", status="disabled")
        await caller.model(key="idle", provider_key="off")
        listed = await world.models.ListModels(model_service_pb2.ListModelsRequest(), metadata=caller.metadata)
        assert listed.object == "list"
        assert {each.id for each in listed.data} == {"m", "e"}
        assert {each.key for each in listed.models} == {"m", "e", "o", "idle"}
        assert {each.owned_by for each in listed.data} == {"p"}
        request = model_service_pb2.ListModelsRequest(category="llm", provider_driver="echo")
        listed = await world.models.ListModels(request, metadata=caller.metadata)
        assert [each.key for each in listed.models] == ["idle"]

    async def test_providers_are_listed_to_who_may_see_them(self, world: World, caller: Caller) -> None:
        request = model_service_pb2.ListModelsRequest(include_providers=True)
        reader = world.caller(scopes=["inference:read"])
        error = await refused(world.models.ListModels(request, metadata=reader.metadata))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        listed = await world.models.ListModels(request, metadata=caller.metadata)
        assert [each.key for each in listed.providers] == ["p"]

    async def test_a_provider_in_use_stays(self, world: World, caller: Caller) -> None:
        delete = provider_service_pb2.DeleteProviderRequest(id="p")
        error = await refused(world.providers.DeleteProvider(delete, metadata=caller.metadata))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        await world.models.DeleteModel(model_service_pb2.DeleteModelRequest(id="m"), metadata=caller.metadata)
        assert (await world.providers.DeleteProvider(delete, metadata=caller.metadata)).success
        error = await refused(world.providers.DeleteProvider(delete, metadata=caller.metadata))
        assert error.code() is grpc.StatusCode.NOT_FOUND

    async def test_an_update_changes_what_it_names(self, world: World, caller: Caller) -> None:
        update = model_service_pb2.UpdateModelRequest(id="m", name="New")
        model = (await world.models.UpdateModel(update, metadata=caller.metadata)).model
        assert (model.name, model.model_id, model.pricing.input_token_per_1m) == ("New", "upstream-model", 2.0)
        by_id = model_service_pb2.GetModelRequest(id=model.id)
        got = await world.models.GetModel(by_id, metadata=caller.metadata)
        assert (got.id, got.object, got.owned_by, got.model.name) == ("m", "model", "p", "New")

    async def test_strangers_see_nothing(self, world: World, caller: Caller) -> None:
        for stranger in (world.caller(tenant="globex"), world.caller(project="p2")):
            for call in (
                world.models.GetModel(model_service_pb2.GetModelRequest(id="m"), metadata=stranger.metadata),
                world.providers.GetProvider(
                    provider_service_pb2.GetProviderRequest(id="p"), metadata=stranger.metadata
                ),
                world.models.UpdateModel(
                    model_service_pb2.UpdateModelRequest(id="m", name="x"), metadata=stranger.metadata
                ),
                world.models.DeleteModel(model_service_pb2.DeleteModelRequest(id="m"), metadata=stranger.metadata),
            ):
                assert (await refused(call)).code() is grpc.StatusCode.NOT_FOUND


class TestUsage:
    async def test_totals_are_the_sums_of_the_records(
        self, world: World, caller: Caller, provider: FakeProvider
    ) -> None:
        await caller.model(key="euro", pricing=model_service_pb2.ModelPricing(currency="EUR", output_token_per_1m=1.0))
        await caller.chat()
        await caller.stream()
        await caller.chat(model="euro")
        await refused(caller.chat(model="nope"))
        records = await caller.records(4)
        request = usage_service_pb2.GetUsageRequest(group_by="model,status")
        usage = await world.usage.GetUsage(request, metadata=caller.metadata)
        rows = {(row.group["model"], row.group["status"]): row for row in usage.rows}
        assert rows["m", "success"].requests == 2
        assert rows["m", "success"].total_tokens == 36
        assert rows["nope", "error"].errors == 1
        totals = {row.currency: row for row in usage.totals}
        for currency, row in totals.items():
            mine = [each for each in records if each.currency == currency]
            assert row.requests == len(mine)
            assert row.cost == pytest.approx(sum(each.cost for each in mine), abs=1e-12)
            assert row.input_tokens == sum(each.usage.input_tokens for each in mine)
            assert row.mean_latency_ms == pytest.approx(sum(each.latency_ms for each in mine) / len(mine))
        assert set(totals) == {"USD", "EUR"}

    async def test_all_projects_need_an_administrator(self, world: World, caller: Caller) -> None:
        await caller.chat()
        other = world.caller(project="p2")
        await other.provider()
        await other.model()
        await other.chat()
        await world.flush()
        request = usage_service_pb2.GetUsageRequest(all_projects=True, group_by="project")
        reader = world.caller(scopes=["usage:read"])
        error = await refused(world.usage.GetUsage(request, metadata=reader.metadata))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        usage = await world.usage.GetUsage(request, metadata=caller.metadata)
        assert {row.group["project"]: row.requests for row in usage.rows} == {"p1": 1, "p2": 1}
        records = usage_service_pb2.ListUsageRecordsRequest(all_projects=True)
        listed = await world.usage.ListUsageRecords(records, metadata=caller.metadata)
        assert {each.project_id for each in listed.records} == {"p1", "p2"}

    @pytest.mark.parametrize(("group", "field"), [("nope", "groupBy"), ("model;drop", "groupBy")])
    async def test_an_unknown_group_is_refused(self, caller: Caller, group: str, field: str) -> None:
        request = usage_service_pb2.GetUsageRequest(group_by=group)
        error = await refused(caller.world.usage.GetUsage(request, metadata=caller.metadata))
        assert field_of(error) == field

    async def test_what_is_not_written_yet_is_written_at_the_end(self, tmp_path: Path) -> None:
        async with inference(tmp_path / "data") as world:
            caller = world.caller()
            await caller.provider()
            await caller.model()
            for _ in range(20):
                await caller.chat()
        async with inference(tmp_path / "data") as world:
            await world.caller().records(20)
