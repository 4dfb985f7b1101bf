"""The rewriting of providers' streams, cut anywhere and broken in any way."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UpstreamFailed
from services.inference.domain.codecs.openai.chunks import Chunk, ChunkStream
from services.inference.domain.usage.tokens import NO_USAGE, TokenUsage

USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 3}}


def frame(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    body = {"id": "up-1", "object": "chat.completion.chunk", "created": 5, "model": "gpt-up", "choices": [choice]}
    return b"data: " + json.dumps(body | more).encode() + b"\n\n"


def usage_frame() -> bytes:
    return frame(choices=[], usage=USAGE)


DONE = b"data: [DONE]\n\n"
NORMAL = [
    frame({"role": "assistant", "content": ""}),
    b": keep-alive\n\n",
    frame({"content": "Grüße, "}),
    frame({"content": "line\nbreak \u2028 \U0001f600"}),
    frame({}, "stop"),
    usage_frame(),
    DONE,
]


def run(pieces: Sequence[bytes], *, with_usage: bool = False) -> tuple[list[Chunk], ChunkStream]:
    stream = ChunkStream("my-model", lambda text: text.replace("SECRET", "***"), with_usage=with_usage)
    chunks: list[Chunk] = []
    for piece in pieces:
        chunks += stream.feed(piece)
        if stream.done or stream.error:
            return chunks, stream
    return chunks + stream.end(), stream


def text_of(chunks: Sequence[Chunk]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def reasons_of(chunks: Sequence[Chunk]) -> list[str]:
    return [c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c.get("finish_reason")]


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


def test_a_normal_stream_gets_the_public_model_and_hides_the_usage() -> None:
    chunks, stream = run(NORMAL)
    assert text_of(chunks) == "Grüße, line\nbreak \u2028 \U0001f600"
    assert {chunk["model"] for chunk in chunks} == {"my-model"}
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks)
    assert reasons_of(chunks) == ["stop"]
    assert stream.usage == TokenUsage(7, 5, 3)
    assert stream.done
    assert stream.finish_reason == "stop"


@given(st.lists(st.integers(0, 10_000), max_size=40), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_cut_of_the_bytes_gives_the_same_chunks(places: list[int], line_end: bytes) -> None:
    data = b"".join(NORMAL).replace(b"\n", line_end)
    assert run(cut(data, places))[0] == run(NORMAL)[0]


def test_one_byte_at_a_time_gives_the_same_chunks() -> None:
    data = b"".join(NORMAL).replace(b"\n", b"\r\n")
    assert run([data[i : i + 1] for i in range(len(data))])[0] == run(NORMAL)[0]


@given(
    st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(NORMAL)), max_size=20), st.lists(st.integers(0, 5000))
)
def test_whatever_a_provider_sends_ends_in_done_or_in_an_error(pieces: list[bytes], places: list[int]) -> None:
    chunks, stream = run(cut(b"".join(pieces), places))
    assert stream.done != (stream.error is not None)
    json.dumps(chunks)
    if stream.done:
        assert reasons_of(chunks)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "delta", "index", "content", "tool_calls", "function", "arguments", "usage", "error", "id",
             "finish_reason", "role", "prompt_tokens", "message", "created"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(JSON, max_size=5))
def test_json_of_any_shape_never_crashes(values: list[Any]) -> None:
    chunks, stream = run([b"data: " + json.dumps(value).encode() + b"\n\n" for value in values] + [DONE])
    assert stream.done != (stream.error is not None)
    stream.usage_chunk(stream.usage or NO_USAGE)
    assert all(chunk["model"] == "my-model" for chunk in chunks)


def test_missing_role_reason_and_id_are_filled_in() -> None:
    chunks, stream = run([frame({"content": "a"}, id="", created=0), frame({"content": "b"}, id="other"), DONE])
    assert chunks[0]["choices"][0]["delta"] == {"content": "a", "role": "assistant"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[0]["id"].startswith("chatcmpl-")
    assert len({chunk["created"] for chunk in chunks}) == 1
    assert reasons_of(chunks) == ["stop"]
    assert stream.usage is None
    assert stream.characters == 2


def test_an_open_tool_call_ends_with_tool_calls() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chunks, stream = run([frame({"role": "assistant", "tool_calls": [call]}), DONE])
    assert reasons_of(chunks) == ["tool_calls"]
    assert stream.characters == 3


def test_every_choice_gets_its_role_and_its_end() -> None:
    chunks, _ = run([frame({"content": "a"}), frame({"content": "b"}, index=1), frame({}, "length", index=1), DONE])
    assert [c["delta"].get("role") for chunk in chunks for c in chunk["choices"]][:2] == ["assistant", "assistant"]
    assert sorted(reasons_of(chunks)) == ["length", "stop"]


@pytest.mark.parametrize(
    "pieces", [[DONE], [b": ping\n\n", DONE], [usage_frame(), DONE], [frame(choices=[]), DONE], [b"data:\n\n", DONE]]
)
def test_an_answer_without_a_choice_is_none(pieces: list[bytes]) -> None:
    """vllm#40986: `[DONE]` alone was given out as an empty answer that had finished."""
    chunks, stream = run(pieces)
    assert chunks == []
    assert isinstance(stream.error, UpstreamFailed)
    assert not stream.done


def test_a_finished_answer_without_done_is_finished() -> None:
    chunks, stream = run([frame({"content": "a"}), frame({}, "stop")])
    assert stream.done
    assert reasons_of(chunks) == ["stop"]


def test_the_last_event_needs_no_blank_line() -> None:
    _, stream = run([frame({"content": "a"}), DONE.strip()])
    assert stream.done


@pytest.mark.parametrize("pieces", [[], [frame({"content": "a"})], [b'data: {"id":'], [b"<html>busy</html>"]])
def test_a_stream_that_breaks_off_is_an_error(pieces: list[bytes]) -> None:
    """A cut-off answer that is presented as finished would pass for the whole."""
    _, stream = run(pieces)
    assert isinstance(stream.error, UpstreamFailed)


def test_an_error_frame_ends_the_stream_without_the_secret() -> None:
    chunks, stream = run([frame({"content": "a"}) + b'data: {"error":{"message":"key SECRET is bad"}}\n\n', DONE])
    assert text_of(chunks) == "a"
    assert stream.error is not None
    assert "SECRET" not in stream.error.message
    assert "key ***" in stream.error.message


def test_several_data_lines_are_one_event() -> None:
    lines = frame({"content": "a"}).replace(b', "object"', b',\ndata: "object"')
    assert b"\ndata:" in lines
    assert text_of(run([b"event: chunk\nid: 1\n" + lines, DONE])[0]) == "a"


def test_what_follows_done_is_ignored() -> None:
    chunks, stream = run([frame({"content": "a"}) + DONE + frame({"content": "late"})])
    assert text_of(chunks) == "a"
    assert stream.done


def test_usage_that_comes_with_a_chunk_is_taken_from_it() -> None:
    chunks, stream = run([frame({"content": "a"}, "stop", usage=USAGE), DONE])
    assert "usage" not in chunks[0]
    assert stream.usage_chunk(NO_USAGE)["usage"] == USAGE
    assert stream.usage_chunk(NO_USAGE)["choices"] == []


def test_an_endless_event_is_refused() -> None:
    stream = ChunkStream("m", str, max_event_bytes=2 * 1024 * 1024)
    stream.feed(b"data: ")
    for _ in range(3):
        stream.feed(b"x" * 1024 * 1024)
    assert isinstance(stream.error, UpstreamFailed)


def test_an_event_may_be_as_large_as_a_whole_answer() -> None:
    """model-hotel#817: a picture in one event of 20 MiB broke the stream, where a whole answer may have 32."""
    text = "x" * (20 * 1024 * 1024)
    data = frame({"content": text}) + DONE
    assert text_of(run(cut(data, [5, 1_000_000, 20_000_000]))[0]) == text


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error":{"message":"no KV cache","code":500}}\n\n',
        b'data: {"error":"no KV cache"}\n\n',
        b'data: {"object":"error","message":"no KV cache","code":500}\n\n',
        b'data: [{"error":{"message":"no KV cache"}}]\n\n',
        b'data: {"detail":"no KV cache"}\n\n',
        b'data: {"message":"no KV cache"}\n\n',
        b'data: {"id":"x","choices":[{"index":0,"error":{"message":"no KV cache"},"finish_reason":"error"}]}\n\n',
        b'error: {"code":500,"message":"no KV cache"}\n\n',
        b'error:{"code":500,"message":"no KV cache"}\n\n',
        b"error: no KV cache\n\n",
        b'event: error\ndata: {"message":"no KV cache"}\n\n',
        b"event: error\ndata: no KV cache\n\n",
        b'{"error":{"message":"no KV cache"}}\n\n',
        b'{\n  "error": {\n    "message": "no KV cache"\n  }\n}\n\n',
    ],
)
@pytest.mark.parametrize("before", [b"", frame({"content": "a"})], ids=["first", "after a chunk"])
def test_whatever_calls_itself_an_error_is_one(before: bytes, event: bytes) -> None:
    """llama.cpp#16109, litellm#33222: all but `data: {"error": {}}` passed for the end of a finished answer."""
    for line_end in (b"\n", b"\r\n"):
        chunks, stream = run([before + event.replace(b"\n", line_end) + DONE])
        assert text_of(chunks) == ("a" if before else "")
        assert reasons_of(chunks) == []
        assert stream.error is not None
        assert "no KV cache" in stream.error.message
        assert stream.refusal is not None


def test_an_error_at_the_very_end_needs_no_blank_line() -> None:
    _, stream = run([frame({"content": "a"}), b'{"error":{"message":"cut"}}'])
    assert stream.error is not None
    assert "cut" in stream.error.message


def test_a_finish_reason_error_is_an_error() -> None:
    _, stream = run([frame({"content": "a"}, "error"), DONE])
    assert isinstance(stream.error, UpstreamFailed)


def test_an_empty_error_field_is_none() -> None:
    chunks, stream = run([frame({"content": "a"}, error=None), frame({}, "stop", error={"message": ""}), DONE])
    assert text_of(chunks) == "a"
    assert stream.done


@pytest.mark.parametrize("mark", [[b"\xef\xbb\xbf"], [b"\xef", b"\xbb\xbf"], [b"\xef\xbb", b"\xbf"]])
def test_a_byte_order_mark_does_not_swallow_the_first_event(mark: list[bytes]) -> None:
    """openai-python#3819."""
    *first, last = mark
    chunks, _ = run([*first, last + frame({"content": "a"}), frame({"content": "b"}), DONE])
    assert text_of(chunks) == "ab"


def test_with_usage_every_other_chunk_says_null() -> None:
    """OpenAI's reference: with include_usage all other chunks have the field too, with null."""
    chunks, stream = run([frame({"content": "a"}), frame({}, usage=USAGE), usage_frame(), DONE], with_usage=True)
    assert [chunk["usage"] for chunk in chunks] == [None] * 3
    assert stream.usage_chunk(NO_USAGE)["usage"] == USAGE


def test_fields_beside_the_usage_go_with_it() -> None:
    """simonw/llm#1507: llama.cpp's `timings` stand in the chunk of the usage and were lost with it."""
    timings = {"predicted_per_second": 40.5}
    last = frame(choices=[], usage=USAGE, timings=timings, system_fingerprint="fp")
    chunks, stream = run([frame({"content": "a"}, "stop"), last, DONE], with_usage=True)
    final = stream.usage_chunk(NO_USAGE)
    assert (final["timings"], final["system_fingerprint"], final["choices"]) == (timings, "fp", [])
    chunks, _ = run([frame({"content": "a"}, "stop"), last, DONE])
    assert [chunk.get("timings") for chunk in chunks] == [None, timings]
    assert chunks[1]["choices"] == [{"index": 0, "delta": {}, "finish_reason": None}]
    assert "usage" not in chunks[1]
    assert len(run([frame({"content": "a"}, "stop"), frame(choices=[], usage=USAGE, service_tier="x"), DONE])[0]) == 1


def test_notes_on_the_prompt_go_with_the_first_chunk() -> None:
    """pollinations#1161: Azure's first chunk has no choice, which clients stumble over, but the filter's results."""
    notes = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}]
    first = frame(choices=[], id="", model="", created=0, prompt_filter_results=notes)
    chunks, _ = run([first, frame({"content": "a"}, id="real"), frame({}, "stop"), DONE])
    assert [chunk.get("prompt_filter_results") for chunk in chunks] == [notes, None]
    assert {chunk["id"] for chunk in chunks} == {"real"}
    assert all(chunk["choices"] for chunk in chunks)


def test_an_empty_report_never_replaces_a_good_one() -> None:
    """new-api#1358: a last `usage: {}` made the call free."""
    zeros = {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "total_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    for empty in ({}, zeros, None, "nothing"):
        _, stream = run([frame({"content": "a"}, "stop"), usage_frame(), frame(choices=[], usage=empty), DONE])
        assert stream.usage == TokenUsage(7, 5, 3)


def test_of_growing_reports_the_last_counts() -> None:
    reports = [{"prompt_tokens": 7, "completion_tokens": at, "total_tokens": 7 + at} for at in range(4)]
    frames = [frame({"content": "a"}, usage=report) for report in reports]
    _, stream = run([*frames, frame({}, "stop"), DONE])
    assert stream.usage == TokenUsage(7, 3)


@pytest.mark.parametrize("beside", [{"x_groq": {"usage": USAGE}}, {"in choice": True}])
def test_a_report_may_stand_elsewhere_in_the_last_chunk(beside: dict[str, Any]) -> None:
    last = {"index": 0, "delta": {}, "finish_reason": "stop"} | ({"usage": USAGE} if "in choice" in beside else {})
    _, stream = run([frame({"content": "a"}), frame(choices=[last], **beside), DONE])
    assert stream.usage == TokenUsage(7, 5, 3)


def piece(**call: Any) -> bytes:
    return frame({"tool_calls": [call]})


def calls_of(chunks: Sequence[Chunk]) -> list[list[Any]]:
    """Index, id, name and arguments of each delta."""
    pieces = [p for chunk in chunks for choice in chunk["choices"] for p in choice["delta"].get("tool_calls") or ()]
    return [[p["index"], p.get("id"), *(p.get("function", {}).get(x) for x in ("name", "arguments"))] for p in pieces]


def test_calls_without_an_index_are_told_apart() -> None:
    """openai-python#2806: Gemini's compatible endpoint gives none, and clients put everything into one call."""
    one = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    two = {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}
    expected = [[0, "a", "f", "{}"], [1, "b", "g", "{}"]]
    assert calls_of(run([frame({"tool_calls": [one, two]}), DONE])[0]) == expected
    assert calls_of(run([piece(**one), piece(**two), DONE])[0]) == expected
    assert calls_of(run([piece(**one, index=0), piece(**two, index=0), DONE])[0]) == expected
    assert calls_of(run([piece(**one, index=None), piece(**two), DONE])[0]) == expected


def test_deltas_of_calls_without_an_index_stay_together() -> None:
    parts = [
        piece(id="a", function={"name": "f", "arguments": ""}),
        piece(function={"arguments": '{"x":'}),
        piece(id="", function={"arguments": "1}"}),
        piece(id="b", function={"name": "g", "arguments": ""}),
        piece(id="b", function={"arguments": "{}"}),
    ]
    assert [call[0] for call in calls_of(run([*parts, DONE])[0])] == [0, 0, 0, 1, 1]


def test_a_call_without_an_id_gets_one() -> None:
    chunks, _ = run([piece(function={"name": "f", "arguments": "{}"}), piece(function={"name": "g"}), DONE])
    (first, first_id, *_), (second, second_id, *_) = calls_of(chunks)
    assert (first, second) == (0, 1)
    assert first_id.startswith("call_")
    assert first_id != second_id


def test_arguments_become_text() -> None:
    """llama.cpp#20198."""
    chunks, _ = run([piece(index=0, id="a", function={"name": "f", "arguments": {"x": [1, 2**70]}}), DONE])
    assert calls_of(chunks)[0][3] == '{"x":[1,1180591620717411303424]}'


def test_what_calls_of_openai_have_is_left_alone() -> None:
    first = {"index": 1, "id": "a", "type": "custom", "custom": {"name": "f"}}
    parts = [piece(**first), piece(index=1, function={"arguments": "{"}), piece(index=2, id="b", type="function")]
    chunks, _ = run([*parts, DONE])
    assert [p for c in chunks for ch in c["choices"] for p in ch["delta"].get("tool_calls", ())] == [
        first, {"index": 1, "function": {"arguments": "{"}}, {"index": 2, "id": "b", "type": "function"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "calls", "reason"),
    [
        ("", False, "stop"),
        ("", True, "tool_calls"),
        ("end_turn", False, "stop"),
        ("end_turn", True, "tool_calls"),
        ("tool_use", True, "tool_calls"),
        ("max_tokens", False, "length"),
        ("stop", True, "stop"),
        ("of its own", False, "of its own"),
    ],
)
def test_finish_reasons_are_openais(said: str, calls: bool, reason: str) -> None:
    """litellm#12481: agents wait for `tool_calls`."""
    start = piece(id="a", function={"name": "f"}) if calls else frame({"content": "a"})
    chunks, stream = run([start, frame({}, said), DONE])
    assert reasons_of(chunks) == [reason]
    assert stream.finish_reason == reason
    if not said:
        assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"]][:2] == [None, None]


def test_numbers_that_json_lacks_do_not_break_the_stream() -> None:
    """sglang#4097."""
    odd = frame({"content": "a"}).replace(
        b'"logprobs": null', b'"logprobs": {"content":[{"logprob":-Infinity,"x":NaN}]}'
    )
    chunks, _ = run([odd, DONE])
    assert chunks[0]["choices"][0]["logprobs"] == {"content": [{"logprob": -9999.0, "x": None}]}


def test_integers_keep_all_their_digits() -> None:
    """sub2api#2826: beyond 64 bits they became floats."""
    chunks, _ = run([frame({"content": "a"}, seed=2**70 + 1), DONE])
    assert chunks[0]["seed"] == 2**70 + 1


def test_halves_of_a_character_pass() -> None:
    """A token may be half of a surrogate pair, and its other half comes in the next chunk."""
    halves = [frame({"content": "X"}).replace(b"X", half) for half in (b"\\ud83d", b"\\ude00")]
    assert text_of(run([*halves, DONE])[0]) == "\ud83d\ude00"


def test_content_in_parts_is_counted() -> None:
    """aisix#794: a reasoning model's content is a list, which counted as nothing."""
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "abcd"}]}, {"type": "text", "text": "ef"}]
    chunks, stream = run([frame({"content": parts}), DONE])
    assert chunks[0]["choices"][0]["delta"]["content"] == parts
    assert stream.characters == 6
