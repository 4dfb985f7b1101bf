"""Triggers: they spare costly searches, and never hide what one would find."""

import random
import re

import pytest

from services.inference.domain.guardrails import words
from services.inference.domain.guardrails.findings import REDACT
from services.inference.domain.guardrails.folding import compatible
from services.inference.domain.guardrails.pii import CATEGORIES, Category, PiiCheck
from services.inference.domain.guardrails.scan import Scan
from services.inference.domain.guardrails.triggers import Triggers
from tests.unit.services.inference.guardrails.test_hold_back import filler
from tests.unit.services.inference.guardrails.test_pii import SAMPLES

TEXTS = 60
"""Of each category."""
REPLACED = {
    " ": "  .-/(\n\u00a0",
    "i": "\u0131\u0130I",
    "s": "\u017fS",
    "k": "\u212a",
    "1": "\u0661\uff11",
    "-": " \u2013",
}
"""Characters that the folding, or Python's case-insensitive patterns, take for others."""


def disguised(text: str, random_: random.Random) -> str:
    """The text with some characters replaced by others, repeated, left out, or in the other case."""
    return "".join(
        random_.choice([*REPLACED.get(char.lower(), char), char * 2, "", char.swapcase(), random_.choice("a1 .@:é")])
        if random_.random() < 0.06
        else char
        for char in text
    )


@pytest.mark.parametrize("category", CATEGORIES.values(), ids=lambda each: each.id)
def test_a_text_in_which_a_search_finds_something_meets_its_trigger(category: Category) -> None:
    random_ = random.Random(category.id)
    triggers = Triggers([category.trigger])
    samples = SAMPLES.get(category.id, ["Passport No: U12345678", "reisepass L1234567"])
    found = 0
    for at in range(TEXTS):
        text = f"{filler(random_, 3)} {samples[at % len(samples)]} {filler(random_, 3)}"
        text = compatible(disguised(text, random_)).text
        if list(category.search(Scan(text))):
            found += 1
            assert triggers.met(text), text
    assert found


def test_prose_meets_no_trigger() -> None:
    """Plain text costs one pass."""
    prose = "The quick brown fox jumps over the lazy dog, and 23 more of them at noon."
    assert not Triggers(each.trigger for each in CATEGORIES.values()).met(prose)


def test_the_numbers_of_all_patterns_that_match_are_told() -> None:
    triggers = Triggers(["b", "a", "c"])
    assert (triggers.met("a b"), triggers.met("c"), triggers.met("x")) == ([0, 1], [2], ())


def test_an_automaton_that_gives_up_hides_nothing() -> None:
    """RE2 says "no match" when its automaton runs out of memory."""
    check = PiiCheck([CATEGORIES["email"]], REDACT)
    check._triggers._set = type("GivesUp", (), {"Match": lambda self, text: None})()
    assert [each.category for each in check.scan("mail john@example.com").matches] == ["email"]


def test_other_spellings_of_words_meet_their_triggers() -> None:
    random_ = random.Random(1)
    patterns = {words._ALIKE: words._LOOKS_LIKE, words._THRICE: words._REPEATED, words._SPACED: words._APART}
    found = dict.fromkeys(patterns, 0)
    for _ in range(1000):
        text = "".join(random_.choice("abaab1 .-_é日$\n") for _ in range(random_.randrange(1, 12)))
        for number, pattern in patterns.items():
            if pattern.search(text):
                found[number] += 1
                assert number in words._OTHERWISE.met(text), text
    assert min(found.values()) > 10


def test_words_of_ascii_are_split_as_all_others() -> None:
    every = "".join(map(chr, range(128)))
    assert every.translate(words._BETWEEN_WORDS).split() == re.findall(r"\w+", every)
