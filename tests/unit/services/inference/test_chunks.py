"""The rewriting of providers' streams, cut anywhere and broken in any way."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UpstreamFailed
from services.inference.domain.chunks import Chunk, ChunkStream, chunks_of
from services.inference.domain.tokens import NO_USAGE, TokenUsage

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


def run(pieces: Sequence[bytes]) -> tuple[list[Chunk], ChunkStream]:
    stream = ChunkStream("my-model", lambda text: text.replace("SECRET", "***"))
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


def test_an_empty_stream_is_a_whole_empty_answer() -> None:
    chunks, _ = run([DONE])
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert reasons_of(chunks) == ["stop"]


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
    chunks, stream = run([DONE + frame({"content": "late"})])
    assert text_of(chunks) == ""
    assert stream.done


def test_usage_that_comes_with_a_chunk_is_taken_from_it() -> None:
    chunks, stream = run([frame({"content": "a"}, "stop", usage=USAGE), DONE])
    assert "usage" not in chunks[0]
    assert stream.usage_chunk(NO_USAGE)["usage"] == USAGE
    assert stream.usage_chunk(NO_USAGE)["choices"] == []


def test_an_endless_event_is_refused() -> None:
    stream = ChunkStream("m", str)
    stream.feed(b"data: ")
    for _ in range(20):
        stream.feed(b"x" * 1024 * 1024)
        if stream.error:
            break
    assert isinstance(stream.error, UpstreamFailed)


def test_a_whole_answer_becomes_two_chunks() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    said, end = chunks_of(
        {"id": "x", "created": 1, "choices": [{"message": message, "finish_reason": "tool_calls"}]}, "m"
    )
    assert said["choices"][0]["delta"]["tool_calls"] == [{"index": 0, **call}]
    assert end["choices"][0]["finish_reason"] == "tool_calls"
    assert said["model"] == end["model"] == "m"
