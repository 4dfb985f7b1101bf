"""Word lists and tenants' patterns."""

import random
import tracemalloc

import pytest

from core.errors import InvalidInput
from services.inference.domain.guardrails import folding
from services.inference.domain.guardrails.findings import CUSTOM, LOW, REDACT
from services.inference.domain.guardrails.hold_back import HoldBack
from services.inference.domain.guardrails.phrases import Phrases
from services.inference.domain.guardrails.regexes import MAX_PATTERN, Pattern, RegexCheck, compile_pattern
from services.inference.domain.guardrails.words import BUILT_IN, MAX_WORDS, WordCheck, built_in

WORDS = ["darn", "son of a gun", "göt", "İş", "ass", "straße", "日本"]


def redacted(text: str, words: list[str] = WORDS) -> str:
    guarded = HoldBack([WordCheck(words, REDACT)])
    return guarded.push(text) + guarded.flush()


@pytest.mark.parametrize(
    "spelling",
    ["darn", "DARN", "Därn", "d4rn", "d@rn", "daaaarn", "darnnnn", "d a r n", "D.A.R.N", "d-a-r-n", "da\u200brn",
     "son of a gun", "son  of\na GUN", "got", "GÖT", "is", "iş", "STRASSE", "日本", "asssss", "a55"],
)  # fmt: skip
def test_a_word_is_found_however_it_is_spelt(spelling: str) -> None:
    assert redacted(f"<<{spelling}>>") == "<<[REDACTED:word_filter]>>"


@pytest.mark.parametrize("text", ["darning", "class", "assess", "sonofagun", "son of a", "1 2 3", "日本語", "a b c"])
def test_part_of_a_word_is_none(text: str) -> None:
    assert redacted(text) == text


def test_words_beside_each_other_are_all_found() -> None:
    assert redacted("darn darn,darn") == "[REDACTED:word_filter] [REDACTED:word_filter],[REDACTED:word_filter]"


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_lists_that_come_with_portico(name: str) -> None:
    words = built_in(name)
    assert len(words) > 20
    assert redacted(f"x {words[-1]} y", list(words)) == "x [REDACTED:word_filter] y"


def test_the_longest_list_of_words_that_begin_alike_is_searched_once() -> None:
    """With overlapping matches, a text of one letter would match a hundred times at each place."""
    words = ["a" * (1 + at % 100) + " b" * (at // 100) for at in range(MAX_WORDS // 10)]
    assert len(WordCheck(words, REDACT).scan("a" * 8192).matches) <= 8192


def pattern(text: str) -> RegexCheck:
    return RegexCheck([Pattern("ticket", LOW, "Ticket", compile_pattern("regexes[0]", text))], CUSTOM, REDACT)


def test_a_pattern_is_found_whatever_its_case() -> None:
    guarded = HoldBack([pattern(r"\bTICK-\d+\b")])
    assert guarded.push("see tick-42.") + guarded.flush() == "see [REDACTED:ticket]."


@pytest.mark.parametrize(
    "text", ["", "(", "a" * (MAX_PATTERN + 1), r"(?=a)", r"(a)\1", "a*", "(?:a{1000}){1000}", "\ud800"]
)
def test_a_pattern_that_is_none_is_refused_and_named(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        compile_pattern("policy.wordFilter.regexes[3]", text)
    assert refused.value.field == "policy.wordFilter.regexes[3]"


@pytest.mark.parametrize("text", [r"(a+)+$", r"(a|a)*b", r"(.*a){20}", r"(x+x+)+y"])
def test_patterns_that_explode_elsewhere_end(text: str) -> None:
    """Backtracking engines need years for these: RE2 takes time that is linear in the text."""
    pattern(text).scan("a" * 8191 + "!")


def test_a_pattern_that_matches_everywhere_ends_and_hides_the_rest() -> None:
    found = pattern("a").scan("a" * 20_000)
    assert len(found.matches) < 20_000
    assert found.matches[-1].end == 20_000


def test_half_a_surrogate_pair_is_searched_like_any_character() -> None:
    guarded = HoldBack([pattern("tick"), WordCheck(WORDS, REDACT)])
    assert guarded.push("\ud800tick darn") + guarded.flush() == "\ud800[REDACTED:ticket] [REDACTED:word_filter]"


def test_the_longest_phrase_at_each_place_is_found() -> None:
    """Compared with trying all phrases everywhere."""
    random_ = random.Random(1)
    for _ in range(300):
        phrases = {tuple(random_.choices("abc", k=random_.randrange(1, 5))) for _ in range(random_.randrange(1, 12))}
        words = random_.choices("abcd", k=12)
        expected = []
        at = 0
        while at < len(words):
            count = max((len(each) for each in phrases if tuple(words[at : at + len(each)]) == each), default=0)
            expected += [(at, at + count)] if count else []
            at += count or 1
        assert list(Phrases(phrases).find(words)) == expected, (phrases, words)


def test_a_long_list_takes_little_more_memory_than_its_words() -> None:
    """As automata, five lists of 2 MB took 100 MB, and while they were made anew 360."""
    words = [f"word{at} {'x' * 90}" for at in range(5_000)]
    tracemalloc.start()
    check = WordCheck(words, REDACT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * sum(map(len, words))
    assert check.scan(f"a {words[0]} b {words[-1]} c").matches[1].start == 2 + len(words[0]) + 3


def test_few_characters_are_remembered() -> None:
    """A text of every character there is made the process keep a form of each, some hundred MiB for good."""
    every = "".join(map(chr, range(0x20000, 0x20000 + folding._MAX_FOLDS + 1000)))
    folding.caseless(every)
    folding.compatible(every)
    assert len(folding._CASELESS) <= folding._MAX_FOLDS
    assert len(folding._COMPATIBLE) <= folding._MAX_FOLDS
    assert folding.caseless("É").text == "e"
