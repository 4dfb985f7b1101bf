"""Requests of the Messages API in canonical form, and back in their own."""

import copy
from typing import Any

import orjson
import pytest

from core.errors import InvalidInput
from services.inference.domain.codecs.anthropic.chat import AnthropicChat
from services.inference.domain.frontends.anthropic.requests import read_request
from services.inference.domain.guardrails.conversation import ORIGINAL, texts_of_request, with_texts
from services.inference.domain.pipeline.native import left_out
from services.inference.domain.pipeline.requests import check_chat
from tests.support import fake_anthropic as fake
from tests.support.exchanges import exchange, target

CODEC = AnthropicChat(max_event_bytes=2**20)
MARK = {"type": "ephemeral"}
TOOL = {"name": "weather", "description": "d", "input_schema": {"type": "object"}, "cache_control": MARK}
CHAT: dict[str, Any] = {
    "model": "m",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "Be", "cache_control": MARK}, {"type": "text", "text": "kind"}],
    "messages": [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                fake.thinking("T"),
                fake.text("Let me see."),
                fake.tool_use("toolu_1", "weather", city="Rome"),
                fake.tool_use("toolu_2", "weather", city="Oslo"),
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sun"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "is_error": True,
                    "content": [{"type": "text", "text": "no"}],
                },
                {"type": "text", "text": "And?", "cache_control": MARK},
            ],
        },
    ],
    "tools": [TOOL],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "stop_sequences": ["X"],
    "temperature": 0.5,
    "top_k": 5,
    "metadata": {"user_id": "u"},
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "stream": True,
}


def canonical(**more: Any) -> dict[str, Any]:
    native = read_request({**CHAT, **more})
    check_chat(native.canonical)
    return orjson.loads(orjson.dumps(native.canonical))  # type: ignore[no-any-return]


def test_the_canonical_form() -> None:
    body = canonical()
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert body["messages"][0]["content"] == "Be\n\nkind"
    assert body["messages"][2]["tool_calls"][0] == {
        "id": "toolu_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
    }
    assert body["messages"][3] == {"role": "tool", "tool_call_id": "toolu_1", "content": "sun"}
    assert body["messages"][4]["content"] == "Error: no"
    assert body["messages"][5] == {"role": "user", "content": "And?"}
    assert body["tools"][0]["function"] == {"name": "weather", "description": "d", "parameters": {"type": "object"}}
    assert body["tool_choice"] == "auto"
    assert body["parallel_tool_calls"] is False
    assert body["max_completion_tokens"] == 100
    assert body["stop"] == ["X"]
    assert body["reasoning_effort"] == "low"
    assert body["stream_options"] == {"include_usage": True}
    assert "top_k" not in body
    assert "cache_control" not in orjson.dumps(body).decode()


def test_what_other_formats_leave_out_is_named() -> None:
    assert set(left_out(read_request(CHAT), "openai")) == {
        "messages.content.thinking",
        "messages.content.cache_control",
        "top_k",
    }
    assert left_out(read_request(CHAT), "anthropic") == ()


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0"),
        ({"container": "c"}, "container"),
        (
            {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]},
            "messages.0.content.0",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}
                ]
            },
            "messages.0.content.0",
        ),
    ],
)
def test_what_only_this_format_has_is_refused_elsewhere(more: dict[str, Any], field: str) -> None:
    native = read_request({**CHAT, **more})
    with pytest.raises(InvalidInput) as caught:
        left_out(native, "openai")
    assert caught.value.field == field
    assert CODEC.encode(exchange(native.canonical, native), target()).data


def test_images_and_documents() -> None:
    blocks = [
        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "D"}, "title": "T"},
    ]
    (message,) = canonical(system="", messages=[{"role": "user", "content": blocks}])["messages"]
    assert message["content"] == [
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,AA=="}},
        {"type": "text", "text": "T\n\nD"},
    ]


def test_porticos_own_fields_are_known_in_this_format_and_go_no_further() -> None:
    prompt = {"id": "greeting", "variables": {"name": "Ada"}}
    native = read_request({"model": "m", "max_tokens": 9, "prompt": prompt, "request_id": "mine"})
    assert native.canonical["prompt"] == prompt
    assert native.canonical["request_id"] == "mine"
    assert left_out(native, "openai") == ()
    request = {**native.canonical, "messages": [{"role": "user", "content": "Hello, Ada"}]}
    del request["prompt"]  # as the step does
    body = orjson.loads(CODEC.encode(exchange(request, native), target()).data)
    assert body.keys() == {"model", "max_tokens", "messages"}


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("max_tokens", {"max_tokens": None}),
        ("model", {"model": ""}),
        ("messages", {"messages": []}),
        ("messages.0.role", {"messages": [{"role": "tool", "content": "x"}]}),
        ("messages.0.content", {"messages": [{"role": "user", "content": 1}]}),
        ("messages.0.content.0.text", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
        ("messages.0.content.0.tool_use_id", {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}),
        ("messages.0.content.0.source", {"messages": [{"role": "user", "content": [{"type": "image"}]}]}),
        ("tools.0.name", {"tools": [{}]}),
        ("tools", {"tools": {}}),
        ("tool_choice.type", {"tool_choice": {"type": "x"}}),
        ("thinking.budget_tokens", {"thinking": {"type": "enabled"}}),
        ("output_config.format", {"output_config": {"format": {"type": "x"}}}),
        ("stream", {"stream": "yes"}),
    ],
)
def test_bad_fields_are_named_as_the_caller_knows_them(field: str, more: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_request({**CHAT, **more})
    assert caught.value.field == field


def test_a_request_comes_out_as_it_went_in_where_the_provider_speaks_the_format() -> None:
    server = [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, {"type": "new_block", "x": 1}]
    talk = copy.deepcopy(CHAT)
    talk["messages"][1]["content"][1:1] = server
    talk |= {
        "new_field": {"a": 1},
        "container": "c",
        "tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}],
    }
    native = read_request(talk)
    body = orjson.loads(CODEC.encode(exchange(native.canonical, native), target()).data)
    assert body == {**talk, "model": "claude-sonnet-4-6"}


def test_what_a_step_has_changed_does_not_come_back() -> None:
    """A redacted message must not be sent in its original form."""
    native = read_request(CHAT)
    messages = [{**message} for message in native.canonical["messages"]]
    messages[1]["content"] = "***"
    messages[3]["content"] = "!!!"
    deep = copy.deepcopy(native.canonical)
    deep["messages"][1]["content"] = "***"
    deep["messages"][3]["content"] = "!!!"
    for request in ({**native.canonical, "messages": messages}, deep):
        data = CODEC.encode(exchange(request, native), target()).data
        body = orjson.loads(data)
        assert body["messages"][0]["content"] == [{"type": "text", "text": "***"}]
        assert body["messages"][2]["content"][0]["content"] == "!!!"
        assert b'"Hi"' not in data
        assert b'"sun"' not in data
        assert body["top_k"] == 5


def test_a_text_that_only_the_original_has_goes_out_of_all_its_parts() -> None:
    """A guardrail finds a mail address in the context of a document, which the canonical form leaves out."""
    document = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "D"},
        "context": "from ada@example.com",
    }
    native = read_request({**CHAT, "messages": [{"role": "user", "content": [fake.text("Hi"), document]}]})
    (hidden,) = [
        each for each in texts_of_request(native.canonical) if each.path[-1] == ORIGINAL and "ada@" in each.text
    ]
    request = with_texts(native.canonical, {hidden.path: "***", ("messages", 1, "content", 0, "text"): "Ho"})
    data = CODEC.encode(exchange(request, native), target()).data
    assert b"ada@" not in data
    assert b'"Ho"' in data


def test_reasoning_of_another_provider_goes_back_to_it_and_not_to_this_one() -> None:
    said = {"role": "assistant", "content": [fake.thinking("T", ""), fake.text("A")]}
    native = read_request({**CHAT, "messages": [CHAT["messages"][0], said, CHAT["messages"][0]]})
    assert native.canonical["messages"][2] == {"role": "assistant", "content": "A", "reasoning_content": "T"}
    body = orjson.loads(CODEC.encode(exchange(native.canonical, native), target()).data)
    assert body["messages"][1]["content"] == [fake.text("A")]
