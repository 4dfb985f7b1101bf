"""Word lists: whole words and phrases, found however they are spelt.

Case and diacritics make no difference, nor does a letter that is a digit or sign which looks like it (l33t), a letter
that is repeated (looong), or letters that stand apart (s p a c e d).
"""

import re
import string
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Final

from services.inference.domain.guardrails import held
from services.inference.domain.guardrails.checks import Found
from services.inference.domain.guardrails.findings import MEDIUM, WORDS, Match, merged
from services.inference.domain.guardrails.folding import View, caseless, without
from services.inference.domain.guardrails.phrases import Phrases
from services.inference.domain.guardrails.triggers import Triggers

BUILT_IN: Final = ("profanity-en", "profanity-tr")
MAX_WORDS: Final = 20_000
"""Most words of one list."""
MAX_WORD: Final = 100
"""Characters of one word or phrase."""
_WORD = re.compile(r"\w+")
_BETWEEN_WORDS = {code: " " for code in range(128) if not _WORD.match(chr(code))}
"""To split a text of ASCII alone by `_WORD`, in a tenth of the time."""
_LOOKALIKE = str.maketrans("0134578@$!|", "oieastbasil")
_LOOKS_LIKE = re.compile(r"[0134578@$!|][^\W\d_]|[^\W\d_][0134578@$!|]")
_REPEATED = re.compile(r"(\w)\1{2,}")
_APART = re.compile(r"(?<!\w)\w(?:[ .*_-]{1,2}\w){2,49}(?!\w)")
_SEPARATOR = re.compile(r"[ .*_-]+")
_LETTER = r"A-Za-z\x{80}-\x{10ffff}"
_ALIKE, _THRICE, _SPACED = range(3)
_OTHERWISE: Final = Triggers(
    (
        rf"[0134578@$!|][{_LETTER}]|[{_LETTER}][0134578@$!|]",
        "|".join(f"{char}{{3}}" for char in (*string.ascii_letters, *string.digits, "_", r"[\x{80}-\x{10ffff}]")),
        rf"(?:^|[^0-9_{_LETTER}])[0-9_{_LETTER}](?:[ .*_-]{{1,2}}[0-9_{_LETTER}]){{2}}",
    )
)
"""Triggers of `_LOOKS_LIKE`, `_REPEATED` and `_APART`."""


class WordCheck:
    """Searches for words and phrases. `words` are as their owners wrote them."""

    type = WORDS

    def __init__(self, words: Iterable[str], action: str) -> None:
        self.action = action
        self._phrases = Phrases(map(_words, words))
        self._held = held.last(2 * self._phrases.longest + 2).count

    def scan(self, text: str) -> Found:
        if not self._phrases:
            return Found([], len(text))
        plain = caseless(text)
        matches = [
            Match(*view.span(start, end), WORDS, MEDIUM)
            for view in _spellings(plain)
            for start, end in self._find(view.text)
        ]
        return Found(merged(matches), plain.at(len(plain.text) - self._held(plain.text)))

    def _find(self, folded: str) -> Iterable[tuple[int, int]]:
        """Places of the words in a folded text."""
        places: list[tuple[int, int]] = []
        for first, end in self._phrases.find(_words_of(folded)):
            places = places or [each.span() for each in _WORD.finditer(folded)]
            yield places[first][0], places[end - 1][1]

    def label(self, category: str) -> str:
        return "Word of a word list"


def _words(phrase: str) -> Sequence[str]:
    """The words of a word or phrase, as they are searched for."""
    return _words_of(caseless(phrase).text)


def _words_of(folded: str) -> Sequence[str]:
    return folded.translate(_BETWEEN_WORDS).split() if folded.isascii() else _WORD.findall(folded)


def _spellings(plain: View) -> Iterable[View]:
    """The folded text, and what else it may spell."""
    yield plain
    text = plain.text
    otherwise = _OTHERWISE.met(text)
    if _ALIKE in otherwise and _LOOKS_LIKE.search(text):
        plain = View(text.translate(_LOOKALIKE), plain.starts)
        yield plain
    if _THRICE in otherwise and _REPEATED.search(text):
        for kept in (1, 2):
            yield without(plain, [(each.start() + kept, each.end()) for each in _REPEATED.finditer(plain.text)])
    if _SPACED in otherwise and _APART.search(text):
        yield without(
            plain,
            [
                (gap.start(), gap.end())
                for each in _APART.finditer(plain.text)
                for gap in _SEPARATOR.finditer(plain.text, each.start(), each.end())
            ],
        )


@cache
def built_in(name: str) -> Sequence[str]:
    """The words of a list that comes with Portico."""
    text = resources.files(__package__).joinpath("word_lists", f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
