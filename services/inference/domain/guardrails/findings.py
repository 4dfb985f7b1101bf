"""Findings of checks in a text, and what is to be done about them."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

BLOCK, REDACT, WARN, FLAG = "block", "redact", "warn", "flag"
ACTIONS: Final = (BLOCK, REDACT, WARN, FLAG)
"""From the most to the least severe. Warn and flag let the text pass; they differ in what the caller makes of them."""

LOW, MEDIUM, HIGH = "low", "medium", "high"
SCORES: Final = {LOW: 0.3, MEDIUM: 0.6, HIGH: 0.9}
"""Moderation scores of judges that give none of their own."""

PII, WORDS, MODERATION, SHIELD, CUSTOM = "pii", "word_filter", "moderation", "prompt_shield", "custom"


class Match(NamedTuple):
    """A place in a text, in characters: `start` is inclusive, `end` exclusive."""

    start: int
    end: int
    category: str
    severity: str
    grows: bool = False
    """True if what follows without white space would belong to it."""


class Finding(msgspec.Struct, frozen=True):
    """One violation, as callers and the evaluation log see it."""

    type: str
    category: str
    severity: str
    message: str
    action: str
    value: str = ""
    """The value that was found, masked; empty where a judge found it."""

    @property
    def block(self) -> bool:
        return self.action == BLOCK


def mask(value: str) -> str:
    """The value with most of its letters and digits starred: enough to recognise it, too little to use it. Keeps the
    shape: the first character and the last two where there are at least eight, and all that is no letter or digit."""
    kept = {0, len(value) - 1, len(value) - 2} if len(value) >= 8 else {0} if len(value) >= 4 else set()
    return "".join(char if at in kept or not char.isalnum() else "*" for at, char in enumerate(value))


def merged(matches: Iterable[Match]) -> list[Match]:
    """Matches in the text's order, overlapping ones joined. The longest gives the category."""
    found: list[Match] = []
    for match in sorted(matches):
        if not found or match.start >= found[-1].end:
            found.append(match)
            continue
        last = found[-1]
        longest = max(last, match, key=lambda each: each.end - each.start)
        found[-1] = longest._replace(
            start=last.start, end=max(last.end, match.end), grows=max(last, match, key=lambda each: each.end).grows
        )
    return found


def message_of(findings: Sequence[Finding]) -> str | None:
    """The message to a caller about blocking findings; None where nothing blocks."""
    lines = dict.fromkeys(f"• {_title(each.category)}: {each.message}" for each in findings if each.block)
    return "\n".join(["Content blocked by guardrail:", *lines]) if lines else None


def _title(category: str) -> str:
    return category.replace("_", " ").replace("/", " ").replace("-", " ").title()
