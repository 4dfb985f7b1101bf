"""One hostile document and what its Markdown has to say."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Hostile:
    """`shows`: what stands in the Markdown, in this order; `hides`: what stands nowhere. Runs of white space count as
    one space."""

    name: str
    content: bytes
    shows: Sequence[str]
    hides: Sequence[str] = ()

    def faults(self, markdown: str) -> list[str]:
        """List what is missing, out of order, or too much."""
        text, at, found = " ".join(markdown.split()), 0, list[str]()
        for each in self.shows:
            there = text.find(each, at)
            if there < 0:
                found.append(f"missing here: {each}")
            else:
                at = there + len(each)
        return found + [f"too much: {each}" for each in self.hides if each in text]
