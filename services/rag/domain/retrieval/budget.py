"""The token budget of a prompt. Pure.

Tokens of chunks are counted when they are made; those of other texts are estimated, rather too high than too low.
"""

from collections.abc import Iterator, Sequence

from services.rag.domain.retrieval.matches import Match

_CHARACTERS = 3.5
"""Characters of a token of English prose are about 4.5; of code and other languages fewer."""
_FRAME = 40
"""Tokens of the marks around a document."""


def tokens(text: str) -> int:
    """Estimate the tokens of a text."""
    wide = sum(character > "\u2e7f" for character in text)  # Chinese, Japanese, Korean: about a token each
    return int((len(text) - wide) / _CHARACTERS) + wide + 1


def tokens_of(match: Match) -> int:
    """Tokens that a match takes in a prompt."""
    if match.window or not match.token_count:
        return tokens(match.text) + _FRAME
    return match.token_count + _FRAME


def fitting(matches: Sequence[Match], budget: int) -> list[Match]:
    """The best matches that fit into the budget together; always one."""
    taken: list[Match] = []
    left = budget
    for match in matches:
        left -= tokens_of(match)
        if left < 0 and taken:
            break
        taken.append(match)
    return taken


def groups(sizes: Sequence[int], budget: int) -> Iterator[range]:
    """Divide items of these sizes, in their order, into ranges that fit into the budget each; an item that is larger
    stands alone."""
    start, used = 0, 0
    for index, size in enumerate(sizes):
        if used + size > budget and index > start:
            yield range(start, index)
            start, used = index, 0
        used += size
    if start < len(sizes):
        yield range(start, len(sizes))


def clipped(text: str, budget: int) -> str:
    """The beginning of a text that fits into the budget."""
    while (taken := tokens(text)) > budget:
        text = text[: min(len(text) - 1, len(text) * budget // taken)]
    return text
