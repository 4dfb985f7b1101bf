"""Sets of words and phrases, and the longest of them at each place of a text."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import accumulate
from typing import Final

_END = "\0"
"""Stands behind each word, so that a phrase that begins like another ends at a word."""
_RUN: Final = 5_000
"""Phrases that are sorted in one call, in which no other work gets its turn."""


class Phrases:
    """Phrases of one or more words. `longest` is the length of the longest in characters.

    To hold many takes little more than their characters, and to search takes time that is linear in the text: a phrase
    that begins at a word is found by bisection, and those that it begins with by following `_within`.
    """

    __slots__ = ("_firsts", "_phrases", "_reach", "_within", "_words", "longest")

    def __init__(self, phrases: Iterable[Sequence[str]]) -> None:
        words: set[str] = set()
        several: set[str] = set()
        for phrase in phrases:
            if len(phrase) == 1:
                words.add(phrase[0])
            elif phrase:
                several.add(_END.join(phrase) + _END)
        self._words = words
        self._phrases = _sorted(several)
        self._within = _longest_within(self._phrases)
        self._firsts = {each[: each.index(_END)] for each in several}
        self._reach = max(map(len, several), default=0)
        self.longest = max(self._reach, max(map(len, words), default=0))

    def __bool__(self) -> bool:
        return bool(self._words or self._phrases)

    def find(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Find phrases in the words of a text, the longest at each place, none overlapping another: the numbers of the
        first word and of the one behind the last."""
        if self._words.isdisjoint(words) and self._firsts.isdisjoint(words):
            return
        text = _END.join(words) + _END
        starts = [0, *accumulate(len(word) + 1 for word in words)]
        at = 0
        while at < len(words):
            count = self._at(words[at], text, starts[at])
            if count:
                yield at, at + count
            at += count or 1

    def _at(self, word: str, text: str, start: int) -> int:
        """Count the words of the longest phrase that begins at this word of the text; 0: none does."""
        if word in self._firsts:
            text = text[start : start + self._reach]
            number = bisect_right(self._phrases, text) - 1
            while number >= 0:
                if text.startswith(self._phrases[number]):
                    return self._phrases[number].count(_END)
                number = self._within[number]
        return int(word in self._words)


def _sorted(phrases: Iterable[str]) -> Sequence[str]:
    left = list(phrases)
    runs = [sorted(left[at : at + _RUN]) for at in range(0, len(left), _RUN)]
    return list(merge(*runs))


def _longest_within(phrases: Sequence[str]) -> Sequence[int]:
    """For each of the sorted phrases the number of the longest other one that it begins with; -1: there is none."""
    within: list[int] = []
    open_: list[int] = []
    for number, phrase in enumerate(phrases):
        while open_ and not phrase.startswith(phrases[open_[-1]]):
            open_.pop()
        within.append(open_[-1] if open_ else -1)
        open_.append(number)
    return within
