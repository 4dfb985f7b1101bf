"""Anthropic's answers in canonical form, and canonical answers in Anthropic's."""

import json
import random
from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from core.errors import InvalidInput, Unavailable, UpstreamFailed
from services.inference.domain.codecs.anthropic.chat import AnthropicChat
from services.inference.domain.codecs.codec import ChunkReader, TargetModel
from services.inference.domain.codecs.errors import Refusal
from services.inference.domain.frontends.anthropic.events import MessageEvents
from services.inference.domain.frontends.anthropic.frontend import AnthropicFrontend
from services.inference.domain.pipeline.answer import WholeAnswer
from services.inference.domain.usage.tokens import NO_USAGE, TokenUsage
from tests.support import fake_anthropic as fake
from tests.support.exchanges import OLD, exchange, target

CODEC = AnthropicChat(max_event_bytes=2**20)
ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAMED: dict[str, Any] = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}
FRONTEND = AnthropicFrontend(lambda error, id: {"type": "error", "error": {"message": error.message}, "request_id": id})
TALK = fake.message(
    fake.thinking("Let me think about it."),
    fake.redacted(),
    fake.text("The weather, "),
    fake.tool_use("toolu_1", "weather", city="Rome", days=[1, 2]),
    fake.tool_use("toolu_2", "now"),
)
USED = TokenUsage(1000, 15, 875, cache_write=100)


async def native_exchange(*, stream: bool = False, messages: Any = None, **more: Any) -> Any:
    body = {"model": "m", "max_tokens": 9, "messages": messages or ASKED["messages"], "stream": stream, **more}
    native = await FRONTEND.read(orjson.dumps(body))
    return exchange(native.canonical, native)


def read_all(reader: ChunkReader, data: bytes, sizes: Iterable[int] = ()) -> list[dict[str, Any]]:
    """The chunks of a stream that arrives in parts of these sizes, and then the rest."""
    chunks, at = [], 0
    for size in sizes:
        chunks += reader.feed(data[at : at + size])
        at += size
    chunks += reader.feed(data[at:])
    return chunks if reader.done or reader.error else chunks + reader.end()


def joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Join the chunks of a stream."""
    said: dict[str, Any] = {"content": "", "reasoning_content": "", "reasoning_details": [], "calls": {}}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            said["content"] += delta.get("content") or ""
            said["reasoning_content"] += delta.get("reasoning_content") or ""
            said["reasoning_details"] += delta.get("reasoning_details") or []
            for call in delta.get("tool_calls") or ():
                whole = said["calls"].setdefault(call["index"], {"arguments": ""})
                whole["arguments"] += call["function"].get("arguments") or ""
                if call.get("id"):
                    whole |= {"id": call["id"], "name": call["function"]["name"], "type": call["type"]}
            if choice["finish_reason"]:
                said["finish"] = choice["finish_reason"]
    return said


def events_of(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream, whose names are checked."""
    found = []
    for frame in data.split(b"\n\n")[:-1]:
        name, value = frame.split(b"\n")
        event = json.loads(value.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        found.append(event)
    return found


def message_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that the official SDKs make of the events."""
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
    message: dict[str, Any] = dict(events[0]["message"], content=[])
    blocks, arguments, open = message["content"], dict[int, str](), None
    for event in events[1:-1]:
        match event["type"]:
            case "content_block_start":
                assert open is None
                assert event["index"] == len(blocks)
                blocks.append(event["content_block"])
                open = event["index"]
            case "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "thinking_delta":
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "citations_delta":
                        block["citations"].append(delta["citation"])
                    case "input_json_delta":
                        arguments[event["index"]] = arguments.get(event["index"], "") + delta["partial_json"]
            case "content_block_stop":
                assert event["index"] == open
                open = None
            case "message_delta":
                message |= event["delta"]
                message["usage"] = {**message["usage"], **event["usage"]}
    for index, text in arguments.items():
        blocks[index]["input"] = json.loads(text or "{}")
    assert open is None
    return message


def test_a_whole_message() -> None:
    body, usage, finish = CODEC.whole(json.dumps(TALK).encode(), exchange(ASKED), target())
    assert finish == "tool_calls"
    assert usage == USED
    assert body["model"] == "m"
    assert body["usage"]["prompt_tokens"] == 1000
    assert body["usage"]["prompt_tokens_details"] == {"cached_tokens": 875, "cache_write_tokens": 100}
    message = body["choices"][0]["message"]
    assert message["content"] == "The weather, "
    assert message["reasoning_content"] == "Let me think about it."
    assert [detail["type"] for detail in message["reasoning_details"]] == ["reasoning.text", "reasoning.encrypted"]
    assert "Let me" not in json.dumps(message["reasoning_details"]), "a guardrail reads the text in one place"
    assert message["tool_calls"] == [
        {
            "id": "toolu_1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"Rome","days":[1,2]}'},
        },
        {"id": "toolu_2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    ]
    assert "anthropic" not in body


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("refusal", "content_filter"),
        ("pause_turn", "stop"),
        ("model_context_window_exceeded", "length"),
    ],
)
def test_finish_reasons(said: str, expected: str) -> None:
    message = fake.message(fake.text("x"), stop=said)
    assert CODEC.whole(json.dumps(message).encode(), exchange(ASKED), target()).finish_reason == expected


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_says_what_the_whole_message_says(seed: int) -> None:
    rng = random.Random(seed)
    data = b"".join(fake.events(TALK))
    reader = CODEC.stream(exchange(STREAMED), target())
    chunks = read_all(reader, data, [rng.randint(1, 60) for _ in range(rng.randint(0, 60))])
    whole = CODEC.whole(json.dumps(TALK).encode(), exchange(ASKED), target()).body["choices"][0]["message"]
    said = joined(chunks)
    assert reader.error is None
    assert reader.done
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert {chunk["id"] for chunk in chunks} == {TALK["id"]}
    assert all(chunk["usage"] is None for chunk in chunks)
    assert said["content"] == whole["content"]
    assert said["reasoning_content"] == whole["reasoning_content"]
    assert said["reasoning_details"] == whole["reasoning_details"]
    assert [json.loads(call["arguments"]) for call in said["calls"].values()] == [{"city": "Rome", "days": [1, 2]}, {}]
    assert said["finish"] == reader.finish_reason == "tool_calls"
    assert reader.usage == USED
    assert reader.usage_chunk(USED)["usage"]["prompt_tokens_details"]["cache_write_tokens"] == 100


@pytest.mark.parametrize("model", [target(), target(OLD)])
def test_an_answer_through_the_json_tool_is_text(model: TargetModel) -> None:
    asked = {**STREAMED, "response_format": {"type": "json_object"}}
    message = fake.message(fake.tool_use("toolu_1", "json_answer", a=1))
    body, _, finish = CODEC.whole(json.dumps(message).encode(), exchange(asked), model)
    assert body["choices"][0]["message"]["content"] == '{"a":1}'
    assert "tool_calls" not in body["choices"][0]["message"]
    assert finish == "stop"
    said = joined(read_all(CODEC.stream(exchange(asked), model), b"".join(fake.events(message))))
    assert json.loads(said["content"]) == {"a": 1}
    assert (said["finish"], said["calls"]) == ("stop", {})


def test_errors_by_status() -> None:
    def refused(status: int, said: str = "no") -> Refusal:
        return CODEC.refusal(status, json.dumps(fake.error_body(status, said)).encode(), target())

    assert isinstance(refused(529, "Overloaded").error, Unavailable)
    assert refused(529).status == 529
    too_long = refused(400, "prompt is too long: 210000 tokens > 200000 maximum")
    assert too_long.error.reason == "CONTEXT_LENGTH_EXCEEDED"
    assert isinstance(too_long.error, InvalidInput)
    assert "sk-ant" not in refused(401, f"invalid x-api-key {fake.KEY}").error.message


@pytest.mark.parametrize("end", ["error", "cut off", "nonsense"])
def test_a_stream_that_breaks(end: str) -> None:
    begun = fake.events(fake.message(fake.text("Hello there")))[:-2]
    last = {"error": fake.event("error", error={"type": "overloaded_error", "message": "Overloaded"})}
    reader = CODEC.stream(exchange(STREAMED), target())
    chunks = read_all(reader, b"".join([*begun, last.get(end, b"data: [1]\n\n" if end == "nonsense" else b"")]))
    assert joined(chunks)["content"] == "Hello there"
    assert not reader.done
    assert reader.error is not None
    reason = {"error": "PROVIDER_UNAVAILABLE", "cut off": "UPSTREAM_TRUNCATED", "nonsense": "UPSTREAM_MALFORMED"}
    assert reader.error.reason == reason[end]
    assert reader.usage is not None
    assert reader.usage.input == 1000, "the tokens read are billed"
    assert reader.usage.estimated


@pytest.mark.parametrize(
    "data", [b"[]", b"{}", b'{"content":1}', b'{"content":[1]}', b"<html>", b'{"content":[{"type":"text"}]}']
)
def test_an_answer_that_is_none(data: bytes) -> None:
    with pytest.raises((UpstreamFailed, Refusal)):
        CODEC.whole(data, exchange(ASKED), target())


async def test_a_message_comes_back_as_it_was_where_caller_and_provider_speak_the_format() -> None:
    original = {
        **TALK,
        "container": {"id": "c"},
        "new_field": [1],
        "content": [*TALK["content"], {"type": "new", "x": 1}],
    }
    asked = await native_exchange()
    body = CODEC.whole(json.dumps(original).encode(), asked, target()).body
    answer = WholeAnswer([body], NO_USAGE)
    assert orjson.loads(FRONTEND.whole(asked, body, answer)) == {**original, "model": "m"}
    body["choices"][0]["message"]["content"] = "***"
    changed = orjson.loads(FRONTEND.whole(asked, body, answer))
    assert "weather, " not in json.dumps(changed), "what a step has taken out does not come back"
    assert changed["content"][2] == {"type": "text", "text": "***"}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_step_can_ask_for_an_answer_that_it_sees_whole(stream: bool) -> None:
    """A guardrail must not let pass what it does not read: results of server tools, citations."""
    asked = (await native_exchange(stream=stream)).with_canonical_answer()
    said = fake.message(fake.text("Hello"), {"type": "code_execution_tool_result", "content": {"stdout": "secret"}})
    if stream:
        reader = CODEC.stream(asked, target())
        told = written(asked, read_all(reader, b"".join(fake.events(said))))
    else:
        body = CODEC.whole(json.dumps(said).encode(), asked, target()).body
        told = FRONTEND.whole(asked, body, WholeAnswer([body], NO_USAGE))
    assert b"Hello" in told
    assert b"secret" not in told


async def test_a_stream_comes_back_as_it_was_where_caller_and_provider_speak_the_format() -> None:
    citation = {"type": "char_location", "cited_text": "x", "document_index": 0}
    server = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
    original = fake.message(
        *TALK["content"][:3],
        fake.text("cited", citations=[citation]),
        server,
        TALK["content"][3],
        container={"id": "c"},
    )
    asked = await native_exchange(stream=True)
    reader = CODEC.stream(asked, target())
    chunks = read_all(reader, b"".join(fake.events(original)))
    events = events_of(written(asked, [*chunks, reader.usage_chunk(USED)]))
    expected = [event for event in events_of(b"".join(fake.events(original))) if event["type"] != "ping"]
    expected[0]["message"]["model"] = "m"
    assert events == expected


def written(asked: Any, chunks: list[dict[str, Any]]) -> bytes:
    writer = FRONTEND.events(asked)
    return b"".join(writer.write([chunk]) for chunk in chunks) + writer.end(WholeAnswer([], NO_USAGE))


@pytest.mark.parametrize("change", ["text", "drop start", "drop text", "finish", "from the third"])
async def test_a_step_may_change_a_stream_of_the_same_format(change: str) -> None:
    """A redacted text must not go out because the provider's event still has it."""
    asked = await native_exchange(stream=True)
    reader = CODEC.stream(asked, target())
    chunks = read_all(reader, b"".join(fake.events(fake.message(fake.thinking("T"), fake.text("secret!")))))
    texts = [at for at, chunk in enumerate(chunks) if chunk["choices"][0]["delta"].get("content") == "secret!"]
    (at,) = texts
    delta = chunks[at]["choices"][0]["delta"]
    match change:
        case "text":
            delta["content"] = "******!"
        case "drop start":
            del chunks[at - 1]
        case "drop text":
            del chunks[at]
        case "finish":
            chunks[-1]["choices"][0]["finish_reason"] = "content_filter"
        case _:
            del chunks[at]["choices"][0]["delta"]["anthropic"]
    message = message_of(events_of(written(asked, [*chunks, reader.usage_chunk(USED)])))
    kept = "secret!" in json.dumps(message)
    assert kept is (change in ("drop start", "finish", "from the third"))
    assert message["content"][0] == {**fake.thinking("T")}
    assert message["stop_reason"] == ("refusal" if change == "finish" else "end_turn")


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }


async def test_openai_chunks_as_events() -> None:
    """Reasoning, text, and two calls in pieces, as OpenAI-type providers stream them."""
    asked = await native_exchange(stream=True)
    calls = [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "a", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"x":'}},
        {"index": 0, "function": {"arguments": "1}"}},
        {"index": 1, "id": "call_2", "type": "function", "function": {"name": "b", "arguments": "{}"}},
    ]
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}}
    chunks = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Hm"}),
        chunk({"reasoning": "m."}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        *[chunk({"tool_calls": [call]}) for call in calls],
        chunk({}, "tool_calls"),
        {**chunk({}), "choices": [], "usage": usage},
    ]
    message = message_of(events_of(written(asked, chunks)))
    assert message["id"] == "chatcmpl-1"
    assert message["content"] == [
        {"type": "thinking", "thinking": "Hmm.", "signature": ""},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "call_1", "name": "a", "input": {"x": 1}},
        {"type": "tool_use", "id": "call_2", "name": "b", "input": {}},
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"] == {
        "input_tokens": 7,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "output_tokens": 7,
    }


async def test_a_broken_stream_ends_with_an_error_event() -> None:
    writer: MessageEvents = FRONTEND.events(await native_exchange(stream=True))
    begun = writer.write([chunk({"content": "Hel"})])
    answer = WholeAnswer([], NO_USAGE)
    answer.fail(Unavailable("Gone."))
    events = events_of(begun + writer.end(answer))
    assert [event["type"] for event in events][-1] == "error"
    assert events[-1]["error"]["message"] == "Gone."


async def test_an_openai_completion_as_a_message() -> None:
    call: Any = {"id": "call_1", "type": "function", "function": {"name": "a", "arguments": '{"x":1}'}}
    said = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm", "tool_calls": [call]}
    usage = {"prompt_tokens": 5, "completion_tokens": 6, "completion_tokens_details": {"reasoning_tokens": 2}}
    body = {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "message": said, "finish_reason": "tool_calls"}],
        "usage": usage,
    }
    message = orjson.loads(FRONTEND.whole(await native_exchange(), body, WholeAnswer([body], NO_USAGE)))
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "tool_use"]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"]["output_tokens_details"] == {"thinking_tokens": 2}
    call["function"]["arguments"] = '{"x'
    with pytest.raises(UpstreamFailed):
        FRONTEND.whole(await native_exchange(), body, WholeAnswer([body], NO_USAGE))
