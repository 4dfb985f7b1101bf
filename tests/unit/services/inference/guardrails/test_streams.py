"""Streamed answers that are changed on their way out, and tokens that become values again."""

import json
import random
from typing import Any

from services.inference.domain.guardrails.findings import REDACT, Match
from services.inference.domain.guardrails.hold_back import HoldBack
from services.inference.domain.guardrails.pii import CATEGORIES, PiiCheck
from services.inference.domain.guardrails.streams import StreamedTexts
from services.inference.domain.guardrails.tokens import Restorer, Tokenizer, restore

EMAIL = "john.doe@example.com"
HIDDEN = "[REDACTED:email]"


def chunk(delta: dict[str, Any], index: int = 0, finish: str | None = None) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def tool(piece: str, number: int = 0, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": number, **more, "function": {"arguments": piece}}]}


def guarded() -> StreamedTexts:
    check = PiiCheck([CATEGORIES["email"], CATEGORIES["creditCard"]], REDACT)
    return StreamedTexts(lambda json: HoldBack([check], json=json))


def said(chunks: list[dict[str, Any]]) -> dict[tuple[Any, ...], str]:
    texts: dict[tuple[Any, ...], str] = {}
    for each in chunks:
        for choice in each["choices"]:
            for name, value in choice["delta"].items():
                if name == "tool_calls":
                    for call in value:
                        key = (choice["index"], name, call["index"])
                        texts[key] = texts.get(key, "") + call["function"]["arguments"]
                elif name != "role":
                    texts[choice["index"], name] = texts.get((choice["index"], name), "") + (value or "")
    return texts


def test_every_text_of_every_choice_is_guarded_apart() -> None:
    """Content, reasoning, refusal and the arguments of each tool call, however their pieces come mixed."""
    random_ = random.Random(5)
    texts = {
        (index, name): f"{name} {index} of {EMAIL} is here"
        for index in (0, 1)
        for name in ("content", "reasoning_content", "refusal")
    }
    arguments = {(index, number): json.dumps({"to": EMAIL, "n": number}) for index in (0, 1) for number in (0, 1)}
    for _ in range(50):
        pieces: list[list[dict[str, Any]]] = []
        for (index, name), text in texts.items():
            at = random_.randrange(len(text))
            pieces.append([chunk({name: part}, index) for part in (text[:at], text[at:])])
        for (index, number), text in arguments.items():
            at = random_.randrange(len(text))
            pieces.append([chunk(tool(part, number), index) for part in (text[:at], text[at:])])
        stream = guarded()
        given: list[dict[str, Any]] = []
        while any(pieces):
            given += stream.change([random_.choice([each for each in pieces if each]).pop(0)], last=False)
        given += stream.change([chunk({}, 0, "stop"), chunk({}, 1, "stop")], last=True)
        assert EMAIL not in json.dumps(given)
        out = said(given)
        assert all(EMAIL not in text for text in out.values())
        for (index, number), text in arguments.items():
            assert json.loads(out[index, "tool_calls", number]).keys() == json.loads(text).keys()


def test_what_is_held_comes_before_the_end_of_its_choice() -> None:
    stream = guarded()
    given = stream.change([chunk({"role": "assistant", "content": ""})], last=False)
    given += stream.change([chunk({"content": "Hello there"})], last=False)
    given += stream.change([chunk({}, finish="stop")], last=False)
    given += stream.change([{**chunk({}), "choices": [], "usage": {}}], last=True)
    assert [each["choices"] and each["choices"][0]["finish_reason"] for each in given] == [None, None, "stop", []]
    assert said(given)[0, "content"] == "Hello there"


def test_what_is_held_comes_before_the_next_text_begins() -> None:
    """Clients that open a block for each text take no more of one that has ended."""
    stream = guarded()
    given: list[dict[str, Any]] = []
    for delta in (
        {"reasoning_content": "I think"},
        {"content": "So it"},
        tool('{"a":', 0, id="1", type="function"),
        tool('"b"}', 0),
        tool('{"c":1}', 1, id="2", type="function"),
    ):
        given += stream.change([chunk(delta)], last=False)
    given += stream.change([chunk({}, finish="tool_calls")], last=True)
    order = []
    for each in given:
        for name, value in each["choices"][0]["delta"].items():
            order.append((name, value[0]["index"]) if name == "tool_calls" else (name, 0))
    rank = ["reasoning_content", "content", "tool_calls"].index
    assert order == sorted(order, key=lambda each: (rank(each[0]), each[1]))
    assert said(given)[0, "tool_calls", 0] == '{"a":"b"}'


def test_a_chunk_with_nothing_left_is_left_out_and_one_with_more_is_not() -> None:
    stream = guarded()
    assert stream.change([chunk({"content": "john"})], last=False) == []
    kept = chunk({"content": ".doe", "annotations": [{"type": "x"}]})
    (given,) = stream.change([kept], last=False)
    assert given["choices"][0]["delta"] == {"content": "", "annotations": [{"type": "x"}]}
    assert kept["choices"][0]["delta"]["content"] == ".doe", "what came stays as it was"


def test_a_chunk_that_nothing_changes_is_the_same_object() -> None:
    stream = guarded()
    first = chunk({"role": "assistant", "content": ""})
    assert stream.change([first], last=False)[0] is first


def test_tokens_are_one_for_each_value_and_none_that_was_there() -> None:
    tokens = Tokenizer("a [EMAIL_1] b")
    match = Match(0, 1, "email", "medium")
    assert tokens.token(match, "a@b.de") == tokens.token(match, "a@b.de") == "[EMAIL_2]"
    assert tokens.token(match._replace(category="creditCard"), "4111") == "[CREDIT_CARD_1]"
    assert tokens.values == {"[EMAIL_2]": "a@b.de", "[CREDIT_CARD_1]": "4111"}


def test_values_come_back_wherever_a_token_is_cut() -> None:
    values = {"[EMAIL_1]": 'say "hi" \\ é', "[TR_PHONE_12]": "+90"}
    text = "x [EMAIL_1][TR_PHONE_12] [EMAIL_2] [x] [ [EMAIL_ 1] [[EMAIL_1]"
    whole = restore(text, values)
    assert whole == f"x {values['[EMAIL_1]']}+90 [EMAIL_2] [x] [ [EMAIL_ 1] [{values['[EMAIL_1]']}"
    for size in range(1, 9):
        restorer = Restorer(values)
        given = "".join(restorer.push(text[at : at + size]) for at in range(0, len(text), size)) + restorer.flush()
        assert given == whole


def test_values_stay_json_in_json() -> None:
    values = {"[EMAIL_1]": 'say "hi" \\\n é'}
    assert json.loads(restore('{"a":"[EMAIL_1]"}', values, in_json=True)) == {"a": values["[EMAIL_1]"]}


def test_a_restorer_holds_no_more_than_a_token() -> None:
    restorer = Restorer({})
    assert len(restorer.push("[" + "A" * 1000)) > 900
