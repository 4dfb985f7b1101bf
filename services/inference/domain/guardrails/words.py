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

from ahocorasick_rs import MATCHKIND_LEFTMOST_LONGEST, AhoCorasick

from services.inference.domain.guardrails import held
from services.inference.domain.guardrails.checks import Found
from services.inference.domain.guardrails.findings import MEDIUM, WORDS, Match, merged
from services.inference.domain.guardrails.folding import View, caseless, without
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
_MAX_GROUP = 50_000
"""Characters of an automaton's phrases."""
_GAP = "\0"
"""Stands before and behind each word of a searched text."""


class WordCheck:
    """Searches for words and phrases. `words` are as their owners wrote them."""

    type = WORDS

    def __init__(self, words: Iterable[str], action: str) -> None:
        self.action = action
        folded = {phrase for word in words if (phrase := _phrase(word))}
        self._automata = [AhoCorasick(group, matchkind=MATCHKIND_LEFTMOST_LONGEST) for group in _groups(folded)]
        longest = max(map(len, folded), default=0)
        self._held = held.last(2 * longest + 2).count

    def scan(self, text: str) -> Found:
        if not self._automata:
            return Found([], len(text))
        plain = caseless(text)
        matches = [
            Match(*view.span(start, end), WORDS, MEDIUM)
            for view in _spellings(plain)
            for start, end in self._find(view.text)
        ]
        return Found(merged(matches), plain.at(len(plain.text) - self._held(plain.text)))

    def _find(self, text: str) -> Iterable[tuple[int, int]]:
        """Places of the words in a folded text."""
        words = text.translate(_BETWEEN_WORDS).split() if text.isascii() else _WORD.findall(text)
        haystack = _GAP + (_GAP + _GAP).join(words) + _GAP
        found = [match for each in self._automata for match in each.find_matches_as_indexes(haystack)]
        if not found:
            return
        firsts: dict[int, int] = {}
        lasts: dict[int, int] = {}
        position = 0
        for match in _WORD.finditer(text):
            firsts[position] = match.start()
            position += match.end() - match.start() + 2
            lasts[position] = match.end()
        for _, start, end in found:
            yield firsts[start], lasts[end]

    def label(self, category: str) -> str:
        return "Word of a word list"


def _groups(phrases: Iterable[str]) -> Iterable[list[str]]:
    """Phrases for one automaton each. To make one is a single call that lets no other work in between: each must be
    short, and a long list becomes several."""
    group: list[str] = []
    size = 0
    for phrase in sorted(phrases):
        group.append(phrase)
        size += len(phrase)
        if size > _MAX_GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def _phrase(word: str) -> str:
    """A word or phrase as it is searched for; empty where it has no letters and digits."""
    return "".join(_GAP + part + _GAP for part in _WORD.findall(caseless(word).text))


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
