"""Length of a text's end that may be the beginning of a match whose rest has not come yet.

Each rule says how many characters at the end of a text are undecided. What lies before them is settled: every match
that begins there is found, whatever follows. No rule holds more than MAX_HELD characters, so a stream is never later
than that.
"""

import re
import string
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

MAX_HELD: Final = 256
"""Characters: the longest mail address, the longest part of a tenant's pattern, about 64 tokens."""

Count = Callable[[str], int]
"""Counts the undecided characters at the end of a text."""


class Rule(NamedTuple):
    """`count` returns between `least` and `most` characters, or all of a text that has fewer."""

    count: Count
    least: int
    most: int


_ENDS_TOKEN = str.maketrans(dict.fromkeys('"<>{}', " "))
_AT = re.compile(r"at(?<=[\s\[({]..)(?![^\s\])}])")
_BRACKETS = "[](){}"
_LONE_BRACKETS = (["["], ["("])
_BEFORE_AT = "[({" + string.whitespace
_AFTER_AT = "])}" + string.whitespace
_SPELT_WORDS = 8
"""Words behind "at" in an address that is spelt "name at example dot com"."""
_DIGITS = "0123456789 .-/()+"
_MAX_NUMBER = 64
_IBAN_OPEN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){0,30}[ -]?\Z")


def _tokens(text: str) -> int:
    """The last two words, of which the last may go on, and the one before may be a name before "at" or "[ at ]"."""
    tail = text[-MAX_HELD:]
    if '"' in tail or "<" in tail or ">" in tail or "{" in tail or "}" in tail:
        tail = tail.translate(_ENDS_TOKEN)
    words = tail.rsplit(None, 2)
    if words[-2:-1] in _LONE_BRACKETS:
        words = tail.rsplit(None, 3)
    if len(words) < 3:
        return len(tail)
    return max(len(tail) - len(words[0]), _spelt_open(tail))


def _spelt_open(tail: str) -> int:
    """Count the characters of the beginning of an address that is spelt "name at example dot com"; 0: there is none."""
    lower = tail.replace("İ", "I").lower()  # of equal length
    at = _AT.search(lower)
    while at:
        behind = lower[at.end() :].lstrip(_AFTER_AT).split(None, _SPELT_WORDS)
        if len(behind) <= _SPELT_WORDS and all("dot".startswith(each.strip(_BRACKETS)) for each in behind[1::2]):
            before = tail[: at.start()].rstrip(_BEFORE_AT)
            if before:
                return len(tail) - len(before) + len(before.rsplit(None, 1)[-1])
        at = _AT.search(lower, at.end())
    return 0


def _number(text: str) -> int:
    """A number at the end."""
    tail = text[-_MAX_NUMBER:]
    return len(tail) - len(tail.rstrip(_DIGITS))


def _iban(text: str) -> int:
    """An account number at the end, with its spaces."""
    match = _IBAN_OPEN.search(text, max(0, len(text) - 64))
    return len(text) - match.start() if match else 0


def last(count: int) -> Rule:
    """So many characters, whatever they are."""
    most = min(count, MAX_HELD)
    return Rule(lambda text: min(most, len(text)), most, most)


TOKENS: Final = Rule(_tokens, 0, MAX_HELD)
NUMBER: Final = Rule(_number, 0, _MAX_NUMBER)
IBAN: Final = Rule(_iban, 0, _MAX_NUMBER)
PHRASE: Final = last(120)
"""Rule for what is written with several words, such as an address or a date."""


def longest(rules: Iterable[Rule]) -> Count:
    """The most that any of the rules holds. A rule that never holds more than another always does is left out."""
    different = dict.fromkeys(rules)
    least = max((each.least for each in different), default=0)
    counts = [each.count for each in different if each.most > least]
    if len(counts) == 1 and not least:
        return counts[0]

    def count(text: str) -> int:
        held = min(least, len(text))
        for each in counts:
            held = max(held, each(text))
        return held

    return count
