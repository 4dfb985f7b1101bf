"""Providers that speak OpenAI's format in a way of their own: what the client gets, and what the bill says."""

import base64
import json
import time
from email.utils import formatdate
from typing import Any

import orjson
import pytest

from portico.inference.v1 import model_service_pb2
from tests.support import fake_provider as fake
from tests.support.compression import COMPRESS
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, Harness, reason_of, refused, text_of

PRICES = model_service_pb2.ModelPricing(input_token_per_1m=2.0, output_token_per_1m=10.0, cached_token_per_1m=0.2)
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def whole(**more: Any) -> bytes:
    return json.dumps(fake.completion(**more)).encode()


def event(**body: Any) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


async def rest_error(caller: Caller, *, stream: bool, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Trailers and error body of a call by the edge that is refused before anything was sent."""
    caller.rest = True
    error = await refused(caller.stream(**more) if stream else caller.chat(**more))
    caller.rest = False
    trailers = dict(error.trailing_metadata() or ())
    return trailers, orjson.loads(trailers["x-error-body"])["error"]


class TestErrors:
    @pytest.mark.parametrize(
        "pieces",
        [
            [b'error: {"code":400,"message":"the request exceeds the available context size"}\n\n', fake.DONE],
            [event(error={"code": 400, "message": "the request exceeds the available context size"}), fake.DONE],
            [event(object="error", message="the request exceeds the available context size", code=400)],
            [b'{"error":{"code":400,"message":"the request exceeds the available context size"}}'],
            [b": ping\n\n", b'{"error":{"code":400,"message":"the request exceeds the available context size"}}\n\n'],
        ],
    )
    async def test_an_error_before_the_first_chunk_has_its_http_status(
        self, caller: Caller, provider: FakeProvider, pieces: list[bytes]
    ) -> None:
        """llama.cpp#16109: the client got a role, no text and `stop`, and the bill said success."""
        provider.behaviour = fake.sends(*pieces)
        trailers, error = await rest_error(caller, stream=True)
        assert trailers["x-http-status"] == "400"
        assert (error["code"], error["message"]) == (
            "context_length_exceeded",
            "the request exceeds the available context size",
        )
        (record,) = await caller.records(1)
        assert (record.status, record.error_reason) == ("error", "CONTEXT_LENGTH_EXCEEDED")
        assert provider.asked == 1

    @pytest.mark.parametrize(
        "broken",
        [b'error: {"code":500,"message":"no KV cache"}\n\n', event(detail="no KV cache"), event(error="no KV cache")],
    )
    async def test_an_error_after_a_chunk_is_a_frame_with_the_message(
        self, caller: Caller, provider: FakeProvider, broken: bytes
    ) -> None:
        """llama.cpp#16109, litellm#33222."""
        provider.behaviour = fake.sends(fake.chunk({"content": "a"}), broken, fake.DONE)
        *frames, last = await caller.stream()
        assert text_of(frames) == "a"
        assert "no KV cache" in last["error"]["message"]
        (record,) = await caller.records(1)
        assert (record.status, record.error_reason) == ("error", "PROVIDER_FAILED")

    async def test_done_alone_is_no_answer(self, caller: Caller, provider: FakeProvider) -> None:
        """vllm#40986."""
        provider.behaviour = fake.sends(fake.DONE)
        trailers, error = await rest_error(caller, stream=True)
        assert (trailers["x-http-status"], error["code"]) == ("502", "upstream_malformed")
        (record,) = await caller.records(1)
        assert record.status == "error"

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize(
        "answer",
        [
            {"error": {"code": 429, "message": "slow down"}},
            [{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}],
            fake.completion(choices=[{"index": 0, "error": {"code": 429, "message": "slow down"}}]),
        ],
    )
    async def test_a_success_with_an_error_in_it_has_that_status(
        self, caller: Caller, provider: FakeProvider, answer: Any, stream: bool
    ) -> None:
        """litellm#25505."""
        provider.behaviour = fake.responds(json.dumps(answer).encode())
        trailers, error = await rest_error(caller, stream=stream)
        assert (trailers["x-http-status"], error["code"]) == ("429", "rate_limit_exceeded")
        assert error["message"] == "slow down"

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_failure_in_a_success_is_tried_again(
        self, caller: Caller, provider: FakeProvider, stream: bool
    ) -> None:
        """As the same failure in a status would be: nothing has been sent yet."""
        broken = fake.responds(b'{"error":{"code":503,"message":"loading"}}')
        provider.behaviour = fake.in_turn(broken, broken, fake.answers("ok"))
        text = text_of(await caller.stream()) if stream else (await caller.chat())["choices"][0]["message"]["content"]
        assert text == "ok"
        assert provider.asked == 3
        await caller.records(1, status="success")

    async def test_what_breaks_before_the_first_chunk_is_tried_again(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        provider.behaviour = fake.in_turn(fake.sends(b": hello\n\n", end="reset"), fake.answers("ok"))
        assert text_of(await caller.stream()) == "ok"
        assert provider.asked == 2

    async def test_azures_filter_results_and_a_long_message_reach_the_client(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        """langchainjs#1929."""
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
        message = "The response was filtered. " * 60
        body = {"error": {"message": message, "code": "content_filter", "param": "prompt", "innererror": inner}}
        provider.behaviour = fake.refuses(400, json.dumps(body).encode())
        _, error = await rest_error(caller, stream=False)
        assert error == {
            "message": message, "type": "invalid_request_error", "code": "content_filter", "param": "prompt",
            "innererror": inner,
        }  # fmt: skip

    async def test_a_used_up_quota_has_a_code_of_its_own(self, caller: Caller, provider: FakeProvider) -> None:
        said = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
        provider.behaviour = fake.refuses(429, json.dumps(said).encode(), {"Retry-After": "1"})
        trailers, error = await rest_error(caller, stream=False)
        assert (trailers["x-http-status"], error["code"]) == ("429", "insufficient_quota")
        assert trailers["x-should-retry"] == "false"
        assert provider.asked == 1

    async def test_a_compressed_request_is_a_415(self, caller: Caller, provider: FakeProvider) -> None:
        """sub2api#2826."""
        caller.rest = True
        error = await refused(caller.post_chat(COMPRESS["gzip"](b'{"model":"m","messages":[{"role":"user"}]}')))
        assert dict(error.trailing_metadata() or ())["x-http-status"] == "415"
        assert "gzip" in (error.details() or "")


class TestLimits:
    @pytest.mark.parametrize(
        ("headers", "seconds"), [({"Retry-After": "17"}, "17"), ({"retry-after-ms": "41500"}, "42")]
    )
    async def test_when_to_come_back_is_read_in_seconds_and_milliseconds(
        self, caller: Caller, provider: FakeProvider, headers: dict[str, str], seconds: str
    ) -> None:
        """aisix#144."""
        provider.behaviour = fake.refuses(429, headers=headers)
        trailers, _ = await rest_error(caller, stream=False)
        assert trailers["retry-after"] == seconds

    async def test_when_to_come_back_is_read_as_a_date(self, caller: Caller, provider: FakeProvider) -> None:
        """aisix#144."""
        date = formatdate(time.time() + 3600, usegmt=True)
        provider.behaviour = fake.refuses(429, headers={"Retry-After": date})
        trailers, _ = await rest_error(caller, stream=False)
        assert 3000 < int(trailers["retry-after"]) <= 3600

    async def test_a_short_pause_is_made_before_another_attempt(self, caller: Caller, provider: FakeProvider) -> None:
        limited = fake.refuses(429, headers={"retry-after-ms": "20"})
        provider.behaviour = fake.in_turn(limited, fake.answers("ok"))
        assert (await caller.chat())["choices"][0]["message"]["content"] == "ok"
        assert provider.asked == 2

    @pytest.mark.parametrize("rest", [False, True])
    async def test_the_providers_limits_are_passed_on(self, caller: Caller, provider: FakeProvider, rest: bool) -> None:
        """aisix#144: whoever paces their calls by them saw none."""
        limits = {"X-RateLimit-Limit-Requests": "500", "x-ratelimit-remaining-tokens": "0"}
        expected = {name.lower(): value for name, value in limits.items()}
        caller.rest = rest
        provider.behaviour = fake.responds(whole(), headers=limits)
        await caller.chat()
        assert expected.items() <= caller.headers.items()
        provider.behaviour = fake.sends(fake.chunk({"content": "a"}, "stop"), fake.DONE, headers=limits)
        await caller.stream()
        assert expected.items() <= caller.headers.items()
        provider.behaviour = fake.refuses(429, headers=limits)
        trailers, _ = await rest_error(caller, stream=True)
        assert expected.items() <= trailers.items()

    @pytest.mark.parametrize("stream", [False, True])
    async def test_after_our_own_attempts_the_client_makes_none(
        self, caller: Caller, provider: FakeProvider, stream: bool
    ) -> None:
        """code_puppy#317: three attempts of ours for each of the SDK's three were nine upstream calls."""
        provider.behaviour = fake.refuses(500)
        trailers, _ = await rest_error(caller, stream=stream)
        assert trailers["x-should-retry"] == "false"
        assert provider.asked == 3

    async def test_a_provider_that_forbids_another_attempt_gets_none(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        provider.behaviour = fake.refuses(503, headers={"x-should-retry": "false"})
        trailers, _ = await rest_error(caller, stream=False)
        assert trailers["x-should-retry"] == "false"
        assert provider.asked == 1

    async def test_a_model_that_fails_does_not_cut_off_the_providers_others(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        """OmniRoute#1813."""
        await caller.model(key="broken", model_id="broken-model")

        async def behave(provider: FakeProvider, peer: Any, body: dict[str, Any]) -> None:
            behaviour = fake.refuses(500) if body["model"] == "broken-model" else fake.answers("ok")
            await behaviour(provider, peer, body)

        provider.behaviour = behave
        for _ in range(6):
            await refused(caller.chat(model="broken"))
        asked = provider.asked
        assert reason_of(await refused(caller.chat(model="broken"))) == "CIRCUIT_OPEN"
        assert provider.asked == asked
        assert (await caller.chat())["choices"][0]["message"]["content"] == "ok"


class TestUsage:
    @pytest.fixture
    async def priced(self, caller: Caller) -> Caller:
        await caller.model(key="priced", pricing=PRICES)
        return caller

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize(
        ("usage", "output", "cost"),
        [
            ({"prompt_tokens": 1000, "completion_tokens": 100, "prompt_cache_hit_tokens": 800}, 100, 0.00156),
            ({"prompt_tokens": 10120, "completion_tokens": 1499, "total_tokens": 14428,
              "completion_tokens_details": {"reasoning_tokens": 2809}}, 4308, 0.06332),
            ({"prompt_tokens": 11, "completion_tokens": 9, "total_tokens": 88}, 77, 0.000792),
            ({"prompt_tokens": "10", "completion_tokens": "1", "cached_tokens": "4"}, 1, 0.0000228),
        ],
        ids=["DeepSeek litellm#16009", "xAI sub2api#5771", "Gemini", "texts, Moonshot"],
    )  # fmt: skip
    async def test_the_bill_is_right_in_every_dialect(
        self, priced: Caller, provider: FakeProvider, usage: dict[str, Any], output: int, cost: float, stream: bool
    ) -> None:
        provider.behaviour = (
            fake.sends(fake.chunk({"content": "a"}, "stop"), fake.chunk({}, choices=[], usage=usage), fake.DONE)
            if stream
            else fake.responds(whole(usage=usage))
        )
        if stream:
            last = (await priced.stream(model="priced", stream_options={"include_usage": True}))[-1]
            assert usage.items() <= last["usage"].items()
        else:
            assert (await priced.chat(model="priced"))["usage"] == usage
        (record,) = await priced.records(1)
        assert record.usage.output_tokens == output
        assert record.cost == pytest.approx(cost, abs=1e-12)
        assert not record.usage.estimated

    async def test_tools_are_counted_where_the_provider_counts_nothing(
        self, priced: Caller, provider: FakeProvider
    ) -> None:
        """aisix#794: 9,320 characters of tools were 3 tokens."""
        tools = [{"type": "function", "function": {"name": "f", "description": "d" * 9250}}]
        provider.behaviour = fake.answers("12345678", usage=None)
        answer = await priced.chat("Hi", model="priced", tools=tools)
        assert answer["usage"]["prompt_tokens"] > 2300
        provider.behaviour = fake.sends(fake.chunk({"content": "a"}, "stop"), fake.DONE)
        await priced.stream("Hi", model="priced", tools=tools)
        for record in await priced.records(2):
            assert record.usage.estimated
            assert record.usage.input_tokens > 2300

    async def test_an_embeddings_total_is_its_input(self, harness: Harness, provider: FakeProvider) -> None:
        caller = harness.caller()
        await caller.provider(provider.url)
        await caller.model(category="embedding", pricing=PRICES)
        data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
        provider.behaviour = fake.responds(json.dumps({"data": data, "usage": {"total_tokens": 7}}).encode())
        await caller.post_embeddings({"model": "m", "input": "a", "encoding_format": "float"})
        (record,) = await caller.records(1)
        assert (record.usage.input_tokens, record.usage.output_tokens, record.usage.estimated) == (7, 0, False)


class TestEmbeddings:
    @pytest.fixture
    async def embedder(self, harness: Harness, provider: FakeProvider) -> Caller:
        caller = harness.caller()
        await caller.provider(provider.url)
        provider.behaviour = fake.embeds(as_base64=False)
        return caller

    @pytest.mark.parametrize("setting", ["unsupported_params", "extra_body", "request_defaults"])
    async def test_the_client_gets_the_form_that_it_asked_for(
        self, embedder: Caller, provider: FakeProvider, setting: str
    ) -> None:
        """vllm#5734: the model's settings hid from us what the client had asked for."""
        settings = model_service_pb2.ModelSettings()
        if setting == "unsupported_params":
            settings.unsupported_params.append("encoding_format")
        else:
            getattr(settings, setting).update({"encoding_format": "float"})
        await embedder.model(category="embedding", settings=settings)
        answer = await embedder.post_embeddings({"model": "m", "input": "a", "encoding_format": "base64"})
        assert base64.b64decode(answer["data"][0]["embedding"]) == b"\0\0\0\0\0\0\0?"
        assert isinstance((await embedder.post_embeddings({"model": "m", "input": "a"}))["data"][0]["embedding"], list)

    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            (b'{"error":{"code":429,"message":"slow down"}}', "429"),
            (b'{"object":"error","message":"slow down","code":429}', "429"),
            (b'{"detail":"slow down"}', "502"),
            (b'{"data":[],"error":{"code":400,"message":"slow down"}}', "400"),
            (b'{"data":[]}', "502"),
            (b"data: [DONE]", "502"),
        ],
    )
    async def test_an_error_in_a_success_is_one(
        self, embedder: Caller, provider: FakeProvider, answer: bytes, status: str
    ) -> None:
        await embedder.model(category="embedding")
        provider.behaviour = fake.responds(answer)
        embedder.rest = True
        error = await refused(embedder.post_embeddings({"model": "m", "input": "a"}))
        assert dict(error.trailing_metadata() or ())["x-http-status"] == status
        assert ("slow down" in (error.details() or "")) == (b"slow" in answer)
        (record,) = await embedder.records(1)
        assert record.status == "error"

    async def test_a_byte_order_mark_and_limits_do_no_harm(self, embedder: Caller, provider: FakeProvider) -> None:
        await embedder.model(category="embedding")
        body = b'\xef\xbb\xbf{"data":[{"embedding":[0.5]}]}'
        provider.behaviour = fake.responds(body, headers={"x-ratelimit-limit-requests": "5"})
        answer = await embedder.post_embeddings({"model": "m", "input": "a"})
        assert answer["data"][0]["embedding"] == [0.5]
        assert embedder.headers["x-ratelimit-limit-requests"] == "5"


class TestBytes:
    @pytest.mark.parametrize("kind", ["text/event-stream", "application/json", "text/plain", "text/html", ""])
    @pytest.mark.parametrize("asked", [False, True], ids=["whole asked", "stream asked"])
    @pytest.mark.parametrize("sent", ["whole", "stream"])
    async def test_the_body_decides_what_it_is(
        self, caller: Caller, provider: FakeProvider, kind: str, asked: bool, sent: str
    ) -> None:
        """spring-ai#2345, vllm#40986: the label decided, and it is often wrong."""
        headers = {"Content-Type": kind}
        provider.behaviour = (
            fake.responds(whole(text="Hello!"), headers=headers)
            if sent == "whole"
            else fake.sends(*(fake.chunk({"content": text}) for text in ("Hel", "lo!")), fake.DONE, headers=headers)
        )
        if asked:
            assert text_of(await caller.stream()) == "Hello!"
        else:
            answer = await caller.chat()
            assert answer["choices"][0]["message"]["content"] == "Hello!"
            assert (answer["object"], answer["request_id"], answer["model"]) == ("chat.completion", "req-1", "m")
        await caller.records(1, status="success")

    @pytest.mark.parametrize("status", [200, 201, 202])
    @pytest.mark.parametrize("stream", [False, True])
    async def test_every_success_is_one(
        self, caller: Caller, provider: FakeProvider, status: int, stream: bool
    ) -> None:
        """Containarium#826."""
        if stream:
            provider.behaviour = fake.sends(fake.chunk({"content": "a"}), fake.DONE, status=status)
            assert text_of(await caller.stream()) == "a"
        else:
            provider.behaviour = fake.responds(whole(text="a"), status)
            assert (await caller.chat())["choices"][0]["message"]["content"] == "a"

    @pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
    async def test_compressed_answers_are_read(self, caller: Caller, provider: FakeProvider, coding: str) -> None:
        """Containarium#826."""
        pack, headers = COMPRESS[coding], {"Content-Encoding": coding}
        provider.behaviour = fake.responds(pack(whole(text="a")), headers=headers)
        assert (await caller.chat())["choices"][0]["message"]["content"] == "a"
        provider.behaviour = fake.sends(pack(fake.chunk({"content": "b"}) + fake.DONE), headers=headers)
        assert text_of(await caller.stream()) == "b"
        provider.behaviour = fake.refuses(400, pack(b'{"error":{"message":"why"}}'), headers)
        assert (await refused(caller.stream())).details() == "why"
        assert provider.requests[0].headers["accept-encoding"] == "identity"

    async def test_a_page_of_a_proxy_is_no_stream(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.sends(b"\n<html>internal-host-17</html>")
        error = await refused(caller.stream())
        assert reason_of(error) == "UPSTREAM_MALFORMED"
        assert "internal-host" not in str(error.details())

    async def test_blank_lines_before_an_answer_do_no_harm(self, caller: Caller, provider: FakeProvider) -> None:
        """DeepSeek sends them to keep the connection alive while it is busy."""
        provider.behaviour = fake.sends(*[b"\n"] * 50, whole(text="a"))
        assert (await caller.chat())["choices"][0]["message"]["content"] == "a"
        assert text_of(await caller.stream()) == "a"


class TestFields:
    async def test_calls_without_an_index_and_with_objects_are_usable(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        """openai-python#2806, llama.cpp#20198, litellm#12481."""
        calls = [{"id": id, "function": {"name": "f", "arguments": {"at": id}}} for id in "ab"]
        provider.behaviour = fake.sends(*(fake.chunk({"tool_calls": [call]}) for call in calls), fake.DONE)
        frames = await caller.stream()
        pieces = [p for f in frames for c in f["choices"] for p in c["delta"].get("tool_calls", ())]
        assert [(p["index"], p["id"], p["type"], p["function"]["arguments"]) for p in pieces] == [
            (0, "a", "function", '{"at":"a"}'), (1, "b", "function", '{"at":"b"}'),
        ]  # fmt: skip
        assert frames[-1]["choices"][0]["finish_reason"] == "tool_calls"
        message = {"content": None, "tool_calls": calls}
        provider.behaviour = fake.responds(whole(choices=[{"message": message, "finish_reason": ""}]))
        choice = (await caller.chat())["choices"][0]
        assert choice["message"]["tool_calls"][1]["function"]["arguments"] == '{"at":"b"}'
        assert (choice["index"], choice["finish_reason"], choice["message"]["role"]) == (0, "tool_calls", "assistant")
        (first, second) = await caller.records(2)
        assert first.finish_reason == second.finish_reason == "tool_calls"

    async def test_fields_of_chunks_that_are_rebuilt_stay(self, caller: Caller, provider: FakeProvider) -> None:
        """simonw/llm#1507, pollinations#1161."""
        notes = [{"prompt_index": 0}]
        provider.behaviour = fake.sends(
            fake.chunk({}, choices=[], prompt_filter_results=notes),
            fake.chunk({"content": "a"}, "stop"),
            fake.chunk({}, choices=[], usage=fake.USAGE, timings={"n": 1}),
            fake.DONE,
        )
        first, last = await caller.stream(stream_options={"include_usage": True})
        assert (first["prompt_filter_results"], first["usage"]) == (notes, None)
        assert (last["usage"], last["timings"], last["choices"]) == (fake.USAGE, {"n": 1}, [])
        first, last = await caller.stream()
        assert "usage" not in first
        assert (last["timings"], last["choices"][0]["delta"]) == ({"n": 1}, {})
        assert "usage" not in last

    async def test_a_whole_answer_as_a_stream_keeps_its_fields(self, caller: Caller, provider: FakeProvider) -> None:
        """litellm#30208."""
        choice = {"message": {"content": "a"}, "logprobs": {"content": [{"token": "a"}]}, "stop_reason": 7}
        body = {"choices": [choice], "system_fingerprint": "fp", "citations": ["u"]}
        provider.behaviour = fake.responds(json.dumps(body).encode())
        frames = await caller.stream(stream_options={"include_usage": True})
        assert (frames[0]["system_fingerprint"], frames[0]["citations"]) == ("fp", ["u"])
        said = frames[0]["choices"][0]
        assert (said["logprobs"], said["stop_reason"]) == (choice["logprobs"], 7)
        assert len({frame["id"] for frame in frames}) == 1
        assert frames[0]["id"].startswith("chatcmpl-")
        assert [frame["usage"] is None for frame in frames] == [True, True, False]
