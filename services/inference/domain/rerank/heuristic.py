"""Relevance by words: BM25 within the documents of the call, with what search engines call coverage and proximity."""

import math
import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+(?:[._][^\W_]+)*")
_PART = re.compile(r"[^\W_]+")
_SATURATION, _LENGTH = 1.2, 0.75
"""BM25's k1 and b."""
_STOP = frozenset(
    """a an and are as at be by can do does for from how i if in into is it its me my of on or should so that the their
    them then there these this to use used using want was what when where which who why will with without would you
    your""".split()  # noqa: SIM905  # a list of so many words is not to be read one to a line
)


def terms(text: str) -> list[str]:
    """The words of a text, lower-cased and without plural and verb endings; names with dots also in their parts."""
    found = []
    for word in _WORD.findall(text.lower()):
        found.append(_stem(word))
        if "." in word or "_" in word:
            found += map(_stem, _PART.findall(word))
    return found


def scores(query: str, documents: Sequence[str]) -> list[float]:
    """The relevance of each document, 0 to 1."""
    wanted = [term for term in dict.fromkeys(terms(query)) if term not in _STOP] or list(dict.fromkeys(terms(query)))
    if not wanted:
        return [0.0] * len(documents)
    read = [terms(document) for document in documents]
    counts = [Counter(each) for each in read]
    mean = sum(map(len, read)) / len(read) or 1.0
    weights = {term: _rarity(sum(term in each for each in counts), len(read)) for term in wanted}
    best = sum(weights.values()) * (_SATURATION + 1)
    return [
        sum(weights[term] * _saturated(each[term], len(words) / mean) for term in wanted) / best
        for words, each in zip(read, counts, strict=True)
    ]


def _rarity(having: int, of: int) -> float:
    return math.log(1 + (of - having + 0.5) / (having + 0.5))


def _saturated(count: int, length: float) -> float:
    return count * (_SATURATION + 1) / (count + _SATURATION * (1 - _LENGTH + _LENGTH * length))


def _stem(word: str) -> str:
    """Porter's first step, roughly: plurals, -ed, -ing."""
    for ending, least in (("ings", 7), ("ing", 6), ("ies", 5), ("ed", 5), ("es", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word
