"""Texts that are checked while they come in pieces: nothing leaks, and what is harmless stays as it is."""

import json
import random

import pytest

from services.inference.domain.guardrails.checks import Check
from services.inference.domain.guardrails.findings import BLOCK, FLAG, REDACT
from services.inference.domain.guardrails.held import MAX_HELD
from services.inference.domain.guardrails.hold_back import PIECE, HoldBack
from services.inference.domain.guardrails.pii import CATEGORIES, PiiCheck
from services.inference.domain.guardrails.words import WordCheck
from tests.unit.services.inference.guardrails.test_pii import SAMPLES

FILLER = """the quick brown fox, and 23; of them — at noon; "dot" com price 12.50€. Ünïcödé 😀 x=1 (a) {b: [c]} <d> at
home v1.2.3, on 3/4; of 2024, days @ 5; ok http no://pe www 0x12, sk-no T R""".split()  # noqa: SIM905  # as it is read
STREAMS = 120
"""Of each case; tests/contract/inference has more of them, on every frontend."""


def checks(action: str) -> list[Check]:
    return [PiiCheck(CATEGORIES.values(), action), WordCheck(["darn it"], action)]


def pieces_of(text: str, random_: random.Random) -> list[str]:
    borders = sorted(random_.randrange(len(text) + 1) for _ in range(random_.randrange(1, 40)))
    return [text[start:end] for start, end in zip([0, *borders], [*borders, len(text)], strict=True)]


def filler(random_: random.Random, words: int) -> str:
    return " ".join(random_.choice(FILLER) for _ in range(words))


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("action", [REDACT, BLOCK])
def test_planted_pii_never_leaks(action: str, as_json: bool) -> None:
    """Texts cut at random places; the values of all categories."""
    random_ = random.Random(f"{action} {as_json}")
    guards = checks(action)
    values = [each for name, samples in SAMPLES.items() if name != "swift" for each in samples]
    for _ in range(STREAMS // 4):
        value = random_.choice(values)
        text = f"{filler(random_, random_.randrange(30))} {value} {filler(random_, random_.randrange(30))}"
        if as_json:
            text = json.dumps({"text": text, "n": 1}, ensure_ascii=random_.random() < 0.5)
        guarded = HoldBack(guards, json=as_json)
        given = "".join(map(guarded.push, pieces_of(text, random_))) + guarded.flush()
        read = json.loads(given)["text"] if as_json and action == REDACT else given
        assert value not in read, (value, text, given)
        assert guarded.blocked == (action == BLOCK)
        assert guarded.found


def test_a_text_with_nothing_to_find_stays_as_it_is() -> None:
    random_ = random.Random(7)
    guards: list[Check] = [PiiCheck([each for each in CATEGORIES.values() if each.default], REDACT)]
    for _ in range(200):
        text = filler(random_, random_.randrange(80))
        guarded = HoldBack(guards)
        given = ""
        for piece in pieces_of(text, random_):
            given += guarded.push(piece)
            assert text.startswith(given)
        assert given + guarded.flush() == text
        assert guarded.found == []


def test_what_only_flags_changes_nothing_and_is_found_once() -> None:
    random_ = random.Random(3)
    text = "write to a@example.com or call +90 532 123 45 67, darn it, or pay with 4111 1111 1111 1111 today"
    for _ in range(20):
        guarded = HoldBack(checks(FLAG))
        assert "".join(map(guarded.push, pieces_of(text, random_))) + guarded.flush() == text
        found = [each.category for each in guarded.found if each.category != "phone"]
        assert sorted(found) == ["creditCard", "email", "word_filter"]


@pytest.mark.parametrize("text", ["a" * 300, "1 " * 150, "at " * 100, "4" * 300, "@" * 300, '{"' * 150, "\\" * 300])
def test_no_more_than_the_hold_back_is_held(text: str) -> None:
    guarded = HoldBack(checks(FLAG))
    given = 0
    for sent, char in enumerate(text, start=1):
        given += len(guarded.push(char))
        assert sent - given <= MAX_HELD + 1


def test_plain_words_leave_almost_at_once() -> None:
    guarded = HoldBack([PiiCheck([each for each in CATEGORIES.values() if each.default], REDACT)])
    assert guarded.push("The quick brown fox jumps ") == "The quick brown"


def test_a_value_longer_than_the_hold_back_goes_as_a_whole() -> None:
    url = "https://example.com/" + "a" * 3000
    guarded = HoldBack([PiiCheck([CATEGORIES["url"]], REDACT)])
    given = "".join(guarded.push(f"see {url} now"[at : at + 7]) for at in range(0, 3030, 7)) + guarded.flush()
    assert given == "see [REDACTED:url] now"


@pytest.mark.parametrize(
    "address",
    ["john at example dot com", "john [ at ] example [dot] com", "john[at] example dot com", "john (AT) a dot b"],
)
def test_nothing_of_a_spelt_address_leaves_while_it_may_become_one(address: str) -> None:
    """The name before a bracketed "at" went out before its domain came."""
    guarded = HoldBack([PiiCheck([CATEGORIES["email"]], REDACT)])
    given = "".join(map(guarded.push, f"write to the man {address}, we wait at noon")) + guarded.flush()
    assert given == "write to the man [REDACTED:email], we wait at noon"


def test_blocking_gives_out_what_was_before_and_nothing_more() -> None:
    guarded = HoldBack([PiiCheck([CATEGORIES["email"]], BLOCK)])
    assert guarded.push("write to john@example.com and wait for more") == "write to "
    assert guarded.blocked
    assert guarded.push("more") + guarded.flush() == ""
    (found,) = guarded.found
    assert "john" not in found.value
    assert found.value.endswith("om")


def test_json_stays_json_where_a_number_is_redacted() -> None:
    guarded = HoldBack(checks(REDACT), json=True)
    text = '{"card":4111111111111111,"say":"\\"","cards":[4111111111111111, "4111111111111111"]}'
    given = "".join(map(guarded.push, text)) + guarded.flush()
    hidden = "[REDACTED:creditCard]"
    assert json.loads(given) == {"card": hidden, "say": '"', "cards": [hidden, hidden]}


def test_escapes_of_json_hide_nothing() -> None:
    guarded = HoldBack(checks(REDACT), json=True)
    text = '{"to":"\\u006aohn\\u0040example\\u002ecom","a":"x\\ny"}'
    given = "".join(map(guarded.push, text)) + guarded.flush()
    assert json.loads(given) == {"to": "[REDACTED:email]", "a": "x\ny"}


def test_long_texts_are_searched_in_pieces() -> None:
    """One search of a megabyte would keep all other work waiting."""
    longest = 0

    class Watched(PiiCheck):
        def scan(self, text: str):  # type: ignore[no-untyped-def]
            nonlocal longest
            longest = max(longest, len(text))
            return super().scan(text)

    guarded = HoldBack([Watched([CATEGORIES["email"]], REDACT)])
    text = "lorem ipsum " * 20_000 + "john@example.com"
    given = guarded.push(text) + guarded.flush()
    assert given == text.replace("john@example.com", "[REDACTED:email]")
    assert longest <= PIECE + 2 * MAX_HELD


def test_a_text_that_is_resumed_after_a_flush_never_gives_the_whole_value() -> None:
    """Flushed because something else came between: the rest of the value is still found."""
    guarded = HoldBack(checks(REDACT))
    given = guarded.push("mail john@exam") + guarded.flush() + guarded.push("ple.com now") + guarded.flush()
    assert "john@example.com" not in given
    assert "ple.com" not in given
