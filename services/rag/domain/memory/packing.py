"""Text of memories within a budget of tokens. Pure."""

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

CHARACTERS_PER_TOKEN = 4

T = TypeVar("T")
TokenCounter = Callable[[str], int]


def estimated_tokens(text: str) -> int:
    """Tokens of a text, at four characters each."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def pack(
    items: Iterable[T], text_of: Callable[[T], str], max_tokens: int, tokens_of: TokenCounter
) -> tuple[str, list[T]]:
    """A line "- " for each item, in their order, and the items that are in it. One that does not fit is left out, and
    a shorter one after it may still fit. White space within a text becomes single spaces, so that a line is an item."""
    lines: list[str] = []
    packed: list[T] = []
    left = max_tokens
    for item in items:
        line = f"- {' '.join(text_of(item).split())}"
        tokens = tokens_of(f"{line}\n")
        if tokens <= left:
            left -= tokens
            lines.append(line)
            packed.append(item)
    return "\n".join(lines), packed
