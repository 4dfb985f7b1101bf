"""The echo driver, as a client of OpenAI's API would see it."""

import asyncio
import json
import threading
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inference.domain.echo import answers as echo
from services.inference.domain.echo.answers import Refused
from services.inference.domain.echo.upstream import EchoUpstream

INTS = st.integers(-(2**63), 2**63 - 1)

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "required": ["city", "unit", "days", "where", "tags", "sure"],
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["c", "f"]},
                "days": {"type": ["integer", "null"]},
                "where": {"type": "object", "required": ["lat"], "properties": {"lat": {"type": "number"}}},
                "tags": {"type": "array"},
                "sure": {"type": "boolean"},
                "more": {"type": "string"},
            },
        },
    },
}


def ask(**more: Any) -> dict[str, Any]:
    return echo.chat({"model": "m", "messages": [{"role": "user", "content": "one two three"}], **more})


def content_of(answer: dict[str, Any]) -> str:
    content: str = answer["choices"][0]["message"]["content"]
    return content


def test_the_last_user_message_comes_back() -> None:
    messages = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": [{"type": "text", "text": "second"}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": "third"},
    ]
    assert content_of(echo.chat({"messages": messages})) == "second"
    assert content_of(echo.chat({"messages": [{"role": "system", "content": "x"}]})) == echo.SILENT


@given(st.text())
def test_keywords_join_to_the_text(text: str) -> None:
    assert "".join(echo.words(text)) == text


def test_usage_counts_words_and_messages() -> None:
    assert ask(n=2)["usage"] == {"prompt_tokens": 6, "completion_tokens": 6, "total_tokens": 12}
    assert [choice["index"] for choice in ask(n=2)["choices"]] == [0, 1]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_limit_cuts(field: str) -> None:
    answer = ask(**{field: 2})
    assert content_of(answer) == "one two"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize("stop", ["two", ["x", "two"]])
def test_a_stop_ends_the_answer(stop: Any) -> None:
    assert content_of(ask(stop=stop)) == "one "


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_forced_tool_is_called_with_fitting_arguments(choice: Any) -> None:
    (answered,) = ask(tools=[TOOL], tool_choice=choice)["choices"]
    assert answered["finish_reason"] == "tool_calls"
    (call,) = answered["message"]["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {
        "city": "",
        "unit": "c",
        "days": 0,
        "where": {"lat": 0.0},
        "tags": [],
        "sure": False,
    }


def test_an_offered_tool_need_not_be_called() -> None:
    assert content_of(ask(tools=[TOOL], tool_choice="auto")) == "one two three"


def test_a_tool_that_was_not_offered_is_refused() -> None:
    with pytest.raises(Refused):
        ask(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "other"}})


def test_json_formats() -> None:
    assert json.loads(content_of(ask(response_format={"type": "json_object"}))) == {"echo": "one two three"}
    schema = {"type": "json_schema", "json_schema": {"schema": TOOL["function"]["parameters"]}}  # type: ignore[index]
    assert json.loads(content_of(ask(response_format=schema)))["unit"] == "c"


def test_vectors_are_stable_unit_vectors_and_near_for_shared_words() -> None:
    def dot(a: str, b: str) -> float:
        return sum(x * y for x, y in zip(echo.vector(a, 256), echo.vector(b, 256), strict=True))

    assert dot("red apple", "red apple") == pytest.approx(1)
    assert dot("", "") == pytest.approx(1)
    assert dot("red apple", "Apple, green") > 0.3 > dot("red apple", "fast car")


@pytest.mark.parametrize("given", ["a b", ["a b", "c"], [1, 2], [[1, 2], [3]]])
def test_embeddings_take_every_form(given: Any) -> None:
    answer = echo.embeddings({"input": given})
    assert len(answer["data"]) == (2 if isinstance(given, list) and not isinstance(given[0], int) else 1)
    assert {len(each["embedding"]) for each in answer["data"]} == {echo.DEFAULT_DIMENSIONS}


@given(
    st.dictionaries(
        st.sampled_from(["n", "stop", "max_tokens", "tools", "tool_choice", "response_format"]),
        st.none()
        | INTS
        | st.text()
        | st.lists(st.text() | st.dictionaries(st.text(), st.text(), max_size=3), max_size=4),
    ),
    st.lists(
        st.dictionaries(st.sampled_from(["role", "content"]), st.text() | INTS | st.none()), min_size=1, max_size=4
    ),
)
def test_no_request_crashes_it(fields: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    try:
        answer = echo.chat({**fields, "messages": messages})
    except Refused:
        return
    assert list(echo.frames_of(answer, with_usage=True))[-1] == b"data: [DONE]\n\n"


async def test_integers_of_any_length_are_read_and_written() -> None:
    """A content of 400 digits was a 500: the gateway keeps such integers, the driver's parser refused them."""
    number = int("9" * 400)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"const": {"n": number}}}}
    body = {"model": "echo", "messages": [{"role": "user", "content": number}], "tools": [tool]}
    answer = await EchoUpstream().post(
        b"/chat/completions", b"", json.dumps(body | {"tool_choice": "required"}).encode()
    )
    assert answer.status == 200
    call = json.loads(answer.body)["choices"][0]["message"]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {"n": number}
    stream = await EchoUpstream().stream(b"/chat/completions", b"", json.dumps(body).encode())
    assert stream.status == 200


async def test_a_refusal_has_the_form_of_openais() -> None:
    upstream = EchoUpstream()
    body = orjson.dumps({"messages": [{"role": "user"}], "n": 1000})
    response = await upstream.post(b"/chat/completions", b"", body)
    assert response.status == 400
    assert orjson.loads(response.body)["error"]["param"] == "n"
    stream = await upstream.stream(b"/chat/completions", b"", body)
    assert stream.status == 400
    assert orjson.loads(await stream.read(1000))["error"]["param"] == "n"


SPACES = st.sampled_from(["a", "bc", " ", "\n", "\u2003", "\x1c", "\x85", "\u200b"])


@given(st.lists(SPACES).map("".join), st.integers(0, 5))
def test_words_are_counted_without_making_them(text: str, at_most: int) -> None:
    count = len(echo.words(text))
    assert echo.word_count(text, 100) == count
    assert (echo.word_count(text, at_most) > at_most) is (count > at_most)


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"messages": [{"role": "user", "content": "w " * 65_537}]}, "messages"),
        ({"messages": [{"role": "user", "content": "w " * 4_097}], "n": 16}, "messages"),
        ({"messages": [{"role": "system", "content": "w " * 262_145}]}, "messages"),
        ({"messages": [{"role": "user", "content": "w" * (2 * 1024 * 1024)}], "n": 16}, "messages"),
        ({"messages": [{"role": "user", "content": "w"}], "stop": ["x"] * 17}, "stop"),
        ({"input": ["a"] * 2048, "dimensions": 4096}, "input"),
        ({"input": "a," * 200_000}, "input"),
    ],
)
async def test_what_would_take_too_much_is_refused(request_: dict[str, Any], param: str) -> None:
    """Sixteen times 16 Ki words were made at once: everybody waited for seconds, and the service took 800 MiB."""
    path = b"/embeddings" if "input" in request_ else b"/chat/completions"
    response = await EchoUpstream().post(path, b"", orjson.dumps(request_))
    assert (response.status, orjson.loads(response.body)["error"]["param"]) == (400, param)


def test_a_long_text_is_cut_to_the_limit_on_tokens() -> None:
    messages = [{"role": "user", "content": "w " * 200_000}]
    assert content_of(echo.chat({"messages": messages, "max_tokens": 3})) == "w w w"
    assert content_of(ask(max_tokens=2**64 - 1)) == "one two three"


def test_frames_are_made_one_by_one() -> None:
    """All at once they were most of those 800 MiB."""
    frames = echo.frames_of(ask(n=16), with_usage=False)
    assert iter(frames) is frames


def test_a_member_that_is_required_often_is_made_once() -> None:
    """Thirty times on each of eight levels it was made thirty to the eighth times."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(8):
        schema = {"type": "object", "required": ["a"] * 30, "properties": {"a": schema}}
    assert len(orjson.dumps(echo.sample(schema))) < 100


async def test_a_stream_gives_others_a_turn() -> None:
    body = orjson.dumps({"messages": [{"role": "user", "content": "w " * 10_000}]})
    stream = await EchoUpstream().stream(b"/chat/completions", b"", body)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    frames = [frame async for frame in stream]
    task.cancel()
    assert len(frames) > 10_000
    assert turns > 100


async def test_large_embeddings_are_made_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()

    def vector(text: str, dimensions: int) -> list[float]:
        threads.add(threading.get_ident())
        return [0.0] * dimensions

    monkeypatch.setattr(echo, "vector", vector)
    body = orjson.dumps({"input": ["a"] * 2048})
    answer = await EchoUpstream().post(b"/embeddings", b"", body)
    assert len(orjson.loads(answer.body)["data"]) == 2048
    assert threading.get_ident() not in threads
