"""Citations: marks such as [1] or [2, 3] in an answer, resolved to the chunks that they name. Pure."""

import re
from collections.abc import Sequence

from services.rag.domain.retrieval.matches import Match

_MARK = re.compile(r"\[(\d{1,4}(?:\s*[,;]\s*\d{1,4})*)\]")
_NUMBER = re.compile(r"\d+")


def cited(text: str, matches: Sequence[Match]) -> list[tuple[int, Match]]:
    """The matches that the text cites, each once, with their numbers, in the order of their first citation. A number
    that no match has is no citation."""
    numbers = dict.fromkeys(int(number) for mark in _MARK.finditer(text) for number in _NUMBER.findall(mark[1]))
    return [(number, matches[number - 1]) for number in numbers if 1 <= number <= len(matches)]
