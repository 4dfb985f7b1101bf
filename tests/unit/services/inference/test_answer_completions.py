"""Whole answers: completed, read out of any bytes, and turned into streams."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import PorticoError, RateLimited, UpstreamFailed
from services.inference.domain.codecs.errors import Refusal
from services.inference.domain.codecs.openai.completions import chunks_of, read_completion
from services.inference.domain.json_values import encode

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def read(answer: Any) -> dict[str, Any]:
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return read_completion(data, "my-model", str)


def choice(**message: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}


def test_a_complete_answer_stays_as_it_is_but_for_the_model() -> None:
    answer = {
        "id": "x", "object": "chat.completion", "created": 5, "model": "gpt", "choices": [choice(content="Hi")],
        "usage": {"prompt_tokens": 1}, "system_fingerprint": "fp", "citations": ["u"], "timings": {"a": 1.5},
    }  # fmt: skip
    assert read(answer) == {**answer, "model": "my-model"}


def test_what_every_answer_has_is_filled_in() -> None:
    """litellm#30208: strict clients refuse an answer without id, object, created, index or role."""
    body = read({"choices": [{"message": {"content": "a"}}, {"message": {"role": None, "content": "b"}}]})
    assert body["id"].startswith("chatcmpl-")
    assert (body["object"], body["model"]) == ("chat.completion", "my-model")
    assert body["created"] > 1_600_000_000
    assert [(each["index"], each["message"]["role"], each["finish_reason"]) for each in body["choices"]] == [
        (0, "assistant", "stop"), (1, "assistant", "stop"),
    ]  # fmt: skip


def test_tool_calls_are_completed() -> None:
    """llama.cpp#20198, litellm#12481."""
    calls = [{"function": {"name": "f", "arguments": {"a": 1}}}, {"id": "b", "function": {"name": "g"}}, None]
    body = read({"choices": [{"message": {"tool_calls": calls}, "finish_reason": ""}]})
    first, second = body["choices"][0]["message"]["tool_calls"]
    assert first["id"].startswith("call_")
    assert (first["type"], first["function"]["arguments"]) == ("function", '{"a":1}')
    assert (second["id"], second["function"]["arguments"]) == ("b", "{}")
    assert body["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"[]", b"null", b"{", b"<html>", b"\xff{}", b"plain text", b"data: [DONE]\n\n", {"choices": []},
        {"choices": None}, {"choices": [1]}, {"choices": {}}, {"id": "x"}, b"[" * 5000,
        {"choices": [{"message": {"content": "a"}, "finish_reason": "error"}]},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_an_error(answer: Any) -> None:
    with pytest.raises((UpstreamFailed, Refusal)):
        read(answer)


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": 429, "message": "slow"}},
        {"error": {"code": 429, "message": "slow"}, "choices": [choice(content="a")]},
        {"choices": [{"index": 0, "error": {"code": 429, "message": "slow"}, "message": {"content": ""}}]},
        [{"error": {"code": 429, "message": "slow"}}],
        {"object": "error", "message": "slow", "code": 429},
        {"code": 429, "message": "slow"},
        b'data: {"error":{"code":429,"message":"slow"}}\n\ndata: [DONE]\n\n',
        b'error: {"code":429,"message":"slow"}\n\ndata: [DONE]\n\n',
    ],
)
def test_an_error_in_the_answer_is_one(answer: Any) -> None:
    """litellm#25505: a 200 with an error in it."""
    with pytest.raises(Refusal) as caught:
        read(answer)
    assert isinstance(caught.value.error, RateLimited)
    assert (caught.value.error.message, caught.value.status) == ("slow", 429)


def test_an_unasked_stream_is_put_together() -> None:
    """spring-ai#2345: some servers stream whatever they are asked."""
    frames = [
        {"id": "x", "created": 5, "model": "gpt", "system_fingerprint": "fp", "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": "", "reasoning_content": "Hm"}}]},
        {"choices": [{"index": 0, "delta": {"content": "Hel", "reasoning_content": "m"},
                      "logprobs": {"content": [{"token": "Hel"}]}}]},
        {"choices": [{"index": 0, "delta": {"content": "lo"}, "logprobs": {"content": [{"token": "lo"}]}},
                     {"index": 1, "delta": {"content": "B", "role": "assistant"}, "finish_reason": "length"}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [
            {**CALL, "function": {"name": "f", "arguments": '{"a"'}}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"function": {"arguments": ":1}"}}]}}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}, "timings": {"n": 1}},
    ]  # fmt: skip
    body = read(b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in frames) + b"data: [DONE]\n\n")
    first, second = body["choices"]
    assert first["message"] == {
        "role": "assistant",
        "content": "Hello",
        "reasoning_content": "Hmm",
        "tool_calls": [{**CALL, "index": 0, "function": {"name": "f", "arguments": '{"a":1}'}}],
    }
    assert first["logprobs"] == {"content": [{"token": "Hel"}, {"token": "lo"}]}
    assert first["finish_reason"] == "tool_calls"
    assert (second["message"]["content"], second["finish_reason"]) == ("B", "length")
    assert body["usage"]["total_tokens"] == 5
    assert (body["id"], body["model"], body["object"]) == ("x", "my-model", "chat.completion")
    assert (body["system_fingerprint"], body["timings"]) == ("fp", {"n": 1})


def test_an_unasked_stream_that_broke_off_is_an_error() -> None:
    with pytest.raises(UpstreamFailed) as caught:
        read(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')
    assert caught.value.reason == "UPSTREAM_TRUNCATED"


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b"\n\n", b"\xef\xbb\xbf \r\n"])
def test_what_stands_before_the_json_does_no_harm(prefix: bytes) -> None:
    assert read(prefix + json.dumps({"choices": [choice(content="a")]}).encode())["choices"][0]["index"] == 0


def test_numbers_are_exact_and_infinite_ones_are_none() -> None:
    """sglang#4097, sub2api#2826."""
    data = b'{"choices":[{"message":{"content":"a"},"logprobs":{"content":[{"logprob":-Infinity}]}}],"seed":%d}' % 2**70
    body = read(data)
    assert body["choices"][0]["logprobs"]["content"][0]["logprob"] == -9999.0
    assert json.loads(encode(body))["seed"] == 2**70
    assert read(data.replace(b"-Infinity", b"-1.5"))["seed"] == 2**70


def test_a_whole_answer_becomes_two_chunks_with_all_that_it_says() -> None:
    """litellm#30208: logprobs, fingerprint and citations were lost, and the choice's own fields."""
    answer = {
        "id": "x", "created": 1, "choices": [
            {"message": {"content": None, "tool_calls": [CALL, CALL]}, "finish_reason": "tool_calls",
             "logprobs": {"content": []}, "content_filter_results": {"hate": {}}}],
        "system_fingerprint": "fp", "citations": ["u"], "usage": {"prompt_tokens": 1},
    }  # fmt: skip
    said, end = chunks_of(read(answer), with_usage=False)
    assert (said["system_fingerprint"], said["citations"]) == ("fp", ["u"])
    assert [call["index"] for call in said["choices"][0]["delta"]["tool_calls"]] == [0, 1]
    assert said["choices"][0] | {"delta": 0} == {
        "index": 0, "delta": 0, "logprobs": {"content": []}, "content_filter_results": {"hate": {}},
        "finish_reason": None,
    }  # fmt: skip
    assert end["choices"] == [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]
    assert said["model"] == end["model"] == "my-model"
    assert said["object"] == end["object"] == "chat.completion.chunk"
    assert "usage" not in said
    assert "usage" not in end


def test_a_whole_answer_as_a_stream_ends_with_the_usage_where_asked() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    *others, last = chunks_of(read({"choices": [choice(content="a")], "usage": usage}), with_usage=True)
    assert [chunk["usage"] for chunk in others] == [None, None]
    assert (last["usage"], last["choices"]) == (usage, [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["choices", "message", "delta", "index", "content", "tool_calls", "function", "arguments",
                         "usage", "error", "id", "finish_reason", "role", "created", "text"]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.booleans(), st.booleans())
@example({"tool_calls": [None]}, True, True)  # beside the delta, where nothing has checked them: a TypeError once
def test_json_of_any_shape_never_crashes(value: Any, as_event: bool, in_choices: bool) -> None:
    answer = {"choices": [value], "usage": None} if in_choices else value
    data = json.dumps(answer).encode()
    try:
        body = read(b"data: %b\n\ndata: [DONE]\n\n" % data if as_event else data)
    except (PorticoError, Refusal):
        return
    json.dumps(chunks_of({"usage": None, **body}, with_usage=True))
