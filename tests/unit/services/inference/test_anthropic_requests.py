"""Canonical requests in Anthropic's format. The rules of the fake provider check each of them."""

import base64
from typing import Any

import orjson
import pytest

from core.errors import InvalidInput
from services.inference.domain.codecs.anthropic.chat import AnthropicChat
from services.inference.domain.codecs.anthropic.requests import DEFAULT_MAX_TOKENS, JSON_TOOL
from services.inference.domain.codecs.codec import TargetModel
from tests.support import anthropic_rules
from tests.support.exchanges import OLD, exchange, target
from tests.support.fake_upstream import Request

HI: Any = [{"role": "user", "content": "Hi"}]
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "description": "By city", "parameters": {"type": "object", "properties": {}}},
}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
CODEC = AnthropicChat(max_event_bytes=2**20)
HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01"}


def sent(request: dict[str, Any], model: TargetModel | None = None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body that is sent, which the API takes, and the dropped fields."""
    before = orjson.dumps(request)
    encoded = CODEC.encode(exchange(request), model or target())
    assert orjson.dumps(request) == before, "the exchange's request was changed"
    body = orjson.loads(encoded.data)
    problem = anthropic_rules.problem_of(Request("POST", anthropic_rules.MESSAGES, HEADERS), body, "k")
    assert problem is None, problem
    assert encoded.stream is bool(body.get("stream"))
    return body, encoded.dropped


def body_of(model: TargetModel | None = None, **fields: Any) -> dict[str, Any]:
    body, dropped = sent({"model": "m", "messages": HI, **fields}, model)
    assert dropped == ()
    return body


def refused(**fields: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        sent({"model": "m", "messages": HI, **fields})
    return caught.value


def test_a_plain_request() -> None:
    assert body_of() == {
        "model": "claude-sonnet-4-6",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }


def test_sampling_stop_user_and_stream() -> None:
    body = body_of(
        max_completion_tokens=7,
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        stop="END",
        user="u",
        stream=True,
        n=1,
        logprobs=False,
    )
    assert body["max_tokens"] == 7
    assert (body["temperature"], body["top_p"], body["top_k"]) == (0.5, 0.9, 5)
    assert body["stop_sequences"] == ["END"]
    assert body["metadata"] == {"user_id": "u"}
    assert body["stream"] is True


def test_the_callers_max_tokens_go_before_the_models_default() -> None:
    assert body_of(target(defaults={"max_completion_tokens": 99}), max_tokens=7)["max_tokens"] == 7
    assert body_of(target(defaults={"max_tokens": 99}))["max_tokens"] == 99


def test_what_cannot_be_carried_is_dropped_and_named_or_refused() -> None:
    _, dropped = sent({"model": "m", "messages": HI, "seed": 1, "frequency_penalty": 1, "store": True, "user": None})
    assert set(dropped) == {"seed", "frequency_penalty", "store"}
    for name, value in {
        "n": 2,
        "logprobs": True,
        "logit_bias": {"1": 5},
        "modalities": ["text", "audio"],
        "functions": [{"name": "f"}],
    }.items():
        assert refused(**{name: value}).field == name
    assert refused(tools=[{"type": "custom", "custom": {"name": "x"}}]).field == "tools[0]"
    audio = {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}
    assert refused(messages=[audio]).field == "messages[0].content[0]"
    assert refused(messages=[{"role": "function", "name": "f", "content": "x"}]).field == "messages[0].role"


def test_models_settings() -> None:
    body, dropped = sent(
        {"model": "m", "messages": HI, "temperature": 0.3},
        target(extra={"thinking": {"type": "disabled"}}, unsupported=("temperature",)),
    )
    assert "temperature" not in body
    assert dropped == ("temperature",)
    assert body["thinking"] == {"type": "disabled"}


def test_system_messages_go_to_the_front() -> None:
    body = body_of(
        messages=[
            {"role": "system", "content": "One"},
            *HI,
            {"role": "developer", "content": [{"type": "text", "text": "Two", "cache_control": {"type": "ephemeral"}}]},
        ]
    )
    assert body["system"] == [
        {"type": "text", "text": "One"},
        {"type": "text", "text": "Two", "cache_control": {"type": "ephemeral"}},
    ]
    assert len(body["messages"]) == 1


def test_images_and_documents() -> None:
    png, pdf = base64.b64encode(b"png").decode(), base64.b64encode(b"%PDF").decode()
    text = base64.b64encode("Ä".encode()).decode()
    parts = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{pdf}"}},
        {"type": "file", "file": {"file_data": f"data:text/plain;base64,{text}"}},
        {"type": "text", "text": " "},
    ]
    (turn,) = body_of(messages=[{"role": "user", "content": parts}])["messages"]
    assert turn["content"][1:] == [
        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": pdf},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Ä"}},
    ]
    svg = {"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,AA=="}}
    assert refused(messages=[{"role": "user", "content": [svg]}]).field == "messages[0].content[0].image_url.url"


def test_a_conversation_with_parallel_tools() -> None:
    calls = [
        {"id": "call:1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}},
        {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": ""}},
    ]
    messages = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call:1", "content": "sun"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "rain"}]},
        {"role": "user", "content": "And?"},
    ]
    body = body_of(messages=messages, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False)
    assert body["tools"] == [
        {"name": "weather", "description": "By city", "input_schema": {"type": "object", "properties": {}}}
    ]
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert body["messages"][1]["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Rome"}},
        {"type": "tool_use", "id": "call_2", "name": "weather", "input": {}},
    ]
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]


def test_arguments_that_are_no_object_are_refused() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "[1"}}
    field = refused(messages=[*HI, {"role": "assistant", "tool_calls": [call]}]).field
    assert field == "messages[1].tool_calls[0].function.arguments"


def test_tools_of_the_conversation_are_named_where_the_request_names_none() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [*HI, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": ""}]
    body = body_of(messages=messages)
    assert [tool["name"] for tool in body["tools"]] == ["f"]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "weather"}}, {"type": "tool", "name": "weather"}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [WEATHER]}},
            {"type": "any"},
        ),
    ],
)
def test_tool_choice(choice: Any, expected: Any) -> None:
    assert body_of(tools=[WEATHER], tool_choice=choice)["tool_choice"] == expected


def test_a_schema_is_the_apis_own_output_format() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}
    body = body_of(response_format=form, reasoning_effort="high")
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}, "effort": "high"}
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}


def test_a_schema_is_a_tool_for_models_without_output_format() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    body = body_of(target(OLD), response_format=form)
    assert body["tools"][0]["input_schema"] == SCHEMA
    assert body["tool_choice"] == {"type": "tool", "name": JSON_TOOL}
    assert body_of(response_format={"type": "json_object"})["tool_choice"]["name"] == JSON_TOOL
    assert refused(response_format={"type": "json_object"}, tools=[WEATHER]).field == "response_format"


def test_thinking_with_a_budget() -> None:
    body = body_of(target(OLD), reasoning_effort="medium", max_completion_tokens=4096)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    _, dropped = sent({"model": "m", "messages": HI, "reasoning_effort": "low", "max_tokens": 100}, target(OLD))
    assert dropped == ("reasoning_effort",)


def test_thinking_goes_back_with_its_signature() -> None:
    said = {
        "role": "assistant",
        "content": "Yes",
        "reasoning_content": "AB",
        "reasoning_details": [
            {"type": "reasoning.text", "signature": "s1", "length": 1, "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1", "index": 1},
            {"type": "reasoning.text", "signature": "s2", "length": 1, "format": "anthropic-claude-v1", "index": 2},
            {"type": "reasoning.text", "signature": "no", "format": "google-gemini-v1", "index": 3},
        ],
    }
    body = body_of(messages=[*HI, said, {"role": "user", "content": "Why?"}])
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "A", "signature": "s1"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "thinking", "thinking": "B", "signature": "s2"},
        {"type": "text", "text": "Yes"},
    ]
