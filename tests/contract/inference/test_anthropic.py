"""Anthropic's format in both directions, beyond the matrix: what passes through, what is metered, what is counted."""

import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import orjson
import pytest

from portico.inference.v1 import model_service_pb2
from tests.support import fake_anthropic as fake
from tests.support.fake_anthropic import FakeAnthropic
from tests.support.fake_provider import FakeProvider, in_turn
from tests.support.inference_harness import Caller, Harness, field_of, refused

ASK: dict[str, Any] = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi there, you"}]}


@pytest.fixture
async def claude() -> AsyncIterator[FakeAnthropic]:
    async with FakeAnthropic() as running:
        yield running


@pytest.fixture
async def caller(harness: Harness, claude: FakeAnthropic, provider: FakeProvider) -> Caller:
    """Of a project with the model `m` of Anthropic's format and the model `o` of OpenAI's."""
    made = harness.caller(rest=True)
    await made.provider(claude.url, driver="anthropic", credentials={"apiKey": fake.KEY})
    pricing = model_service_pb2.ModelPricing(
        input_token_per_1m=3.0, output_token_per_1m=15.0, cached_token_per_1m=0.3, cache_write_token_per_1m=3.75
    )
    await made.model(model_id=fake.MODEL, pricing=pricing)
    await made.provider(provider.url, key="o")
    await made.model(key="o", provider_key="o")
    return made


@pytest.mark.parametrize("stream", [False, True])
async def test_cached_tokens_are_billed_once(caller: Caller, stream: bool) -> None:
    """875 read from the cache, 100 written to it, 25 neither; all three are input."""
    await caller.post_messages({**ASK, "stream": stream})
    (record,) = await caller.records(1)
    assert (record.usage.input_tokens, record.usage.cached_input_tokens, record.usage.output_tokens) == (1000, 875, 15)
    assert record.usage.cache_write_input_tokens == 100
    assert record.cost == pytest.approx((25 * 3.0 + 100 * 3.75 + 875 * 0.3 + 15 * 15.0) / 1e6, abs=1e-12)
    assert record.finish_reason == "stop"


async def test_unknown_fields_pass_both_ways(caller: Caller, claude: FakeAnthropic) -> None:
    said = fake.message(fake.text("Hello", new=[1]), {"type": "new_block", "x": 1}, container={"id": "c"})
    claude.behaviour = fake.sends_message(said)
    asked = {**ASK, "top_k": 3, "speed": "fast", "service_tier": "standard_only"}
    (message,) = await caller.post_messages(asked, ("anthropic-beta", "fast-mode-2026-02-01"))
    assert orjson.loads(message.data) == {**said, "model": "m"}
    assert claude.bodies[-1] == {**asked, "model": fake.MODEL}
    assert claude.requests[-1].headers["anthropic-beta"] == "fast-mode-2026-02-01"
    assert dict(caller.headers)["anthropic-ratelimit-requests-remaining"] == "999"
    assert dict(caller.headers)["request-id"] == "req-1"


async def test_a_stream_passes_through_event_by_event(caller: Caller, claude: FakeAnthropic) -> None:
    said = fake.message(fake.thinking("T"), fake.text("Hello there"), fake.tool_use("t", "f", a=1))
    claude.behaviour = fake.sends_message(said)
    messages = await caller.post_messages({**ASK, "stream": True})
    assert {message.content_type for message in messages} == {"text/event-stream"}
    came = b"".join(message.data for message in messages).split(b"\n\n")
    sent = [
        event for event in b"".join(fake.events({**said, "model": "m"})).split(b"\n\n") if b"event: ping" not in event
    ]
    assert [(e[: e.find(b"\n")], _json(e)) for e in came] == [(e[: e.find(b"\n")], _json(e)) for e in sent]


def _json(event: bytes) -> Any:
    return json.loads(event.partition(b"\ndata: ")[2]) if event else None


async def test_what_the_provider_cannot_take_is_refused_or_named(caller: Caller, provider: FakeProvider) -> None:
    await caller.post_messages({**ASK, "model": "o", "top_k": 3})
    assert dict(caller.headers)["x-portico-dropped-params"] == "top_k"
    assert "top_k" not in provider.bodies[-1]
    call = caller.open_messages({**ASK, "model": "o", "container": "c"})
    error = await refused(_all(call))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field_of(error) == "container"
    body = json.loads(dict(error.trailing_metadata() or ())["x-error-body"])
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"
    assert provider.asked == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_guardrail_redacts_where_both_sides_speak_the_format(
    caller: Caller, claude: FakeAnthropic, stream: bool
) -> None:
    """Neither the provider's own events nor blocks that only the format has bring back what was found, in both
    directions."""
    await caller.guardrail({"pii": {"enabled": True}}, action="redact")
    await caller.model(key="g", model_id=fake.MODEL, input_guardrail_key="g", output_guardrail_key="g")
    server = {"type": "code_execution_tool_result", "tool_use_id": "s", "content": {"stdout": "bob@example.com"}}
    call = fake.tool_use("t", "mail", to="bob@example.com")
    claude.behaviour = fake.speaks(fake.thinking("To bob@example.com"), fake.text("Ask bob@example.com."), server, call)
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "D"}}
    content = [{"type": "text", "text": "I am ada@example.com"}, {**document, "context": "by ada@example.com"}]
    asked = {"model": "g", "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": content}]}
    messages = await caller.post_messages(asked)
    told = b"".join(message.data for message in messages)
    assert b"bob@" not in told
    assert b"REDACTED:email" in told
    assert b"ada@" not in orjson.dumps(claude.bodies[-1])


async def test_fields_of_any_name_cannot_break_the_header_that_names_them(caller: Caller) -> None:
    odd: dict[str, Any] = {
        "ключ": 1,
        "a\r\nset-cookie: x": 1,
        "": 1,
        "fine": 1,
        **{f"f{number}": 1 for number in range(1000)},
    }
    await caller.post_messages({**ASK, "model": "o", **odd})
    named = str(dict(caller.headers)["x-portico-dropped-params"]).split(",")
    assert named == ["fine", *(f"f{number}" for number in range(63))]
    await caller.chat(**odd)
    assert str(dict(caller.headers)["x-portico-dropped-params"]).startswith("fine,f0,")


async def _all(call: Any) -> list[Any]:
    return [message async for message in call]


async def test_counting(caller: Caller, claude: FakeAnthropic, provider: FakeProvider) -> None:
    assert await caller.count_message_tokens({"model": "m", "messages": ASK["messages"]}) == 42
    assert claude.counts == [{"model": fake.MODEL, "messages": ASK["messages"]}]
    assert await caller.count_message_tokens({**ASK, "model": "o"}) == 4
    assert provider.asked == 0
    await caller.records(0)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_overloaded_provider_is_asked_again(caller: Caller, claude: FakeAnthropic, stream: bool) -> None:
    """Also where it says so as the first word of a stream."""
    error = fake.event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    at_once = fake.stream_of([fake.events(fake.message())[0], fake.PING, error])
    claude.behaviour = in_turn(at_once if stream else fake.refuses(529), fake.says("Hello!"))
    messages = await caller.post_messages({**ASK, "stream": stream})
    assert b"error" not in b"".join(message.data for message in messages)
    assert claude.asked == 2
    (record,) = await caller.records(1)
    assert record.status == "success"


async def test_an_embedding_model_of_the_driver_is_refused(caller: Caller) -> None:
    await caller.model(key="e", category="embedding")
    error = await refused(caller.post_embeddings({"model": "e", "input": "x"}))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_what_the_provider_does_not_have_is_refused(caller: Caller, claude: FakeAnthropic) -> None:
    """Anthropic has no embeddings."""
    await caller.model(key="e", category="embedding", model_id="claude-embeddings")
    error = await refused(caller.post_embeddings({"model": "e", "input": "Hi"}))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert field_of(error) == "model"
    assert "anthropic cannot call models of the category embedding" in str(error.details())
    assert claude.bodies == []
