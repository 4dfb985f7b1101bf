"""Length of a text's end that may be the beginning of a match whose rest has not come yet.

Each rule takes a text and returns how many characters of its end are undecided. What lies before them is settled: every
match that begins there is found, whatever follows. No rule holds more than MAX_HELD characters, so a stream is never
later than that.
"""

import re
from collections.abc import Callable
from typing import Final

MAX_HELD: Final = 256
"""Characters: the longest mail address, the longest part of a tenant's pattern, about 64 tokens."""

Rule = Callable[[str], int]

_ENDS_TOKEN = str.maketrans(dict.fromkeys('"<>{}', " "))
_AT = re.compile(r"[\s\[({]at(?:[\s\])}]|$)", re.IGNORECASE)
_BRACKETS = "[](){}"
_SPELT_WORDS = 10
_DIGITS = "0123456789 .-/()+"
_MAX_NUMBER = 64
_IBAN_OPEN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){0,30}[ -]?\Z")


def tokens(text: str) -> int:
    """The last two words, of which the last may go on, and the one before may be a name before "at"."""
    tail = text[-MAX_HELD:]
    if any(map(tail.__contains__, '"<>{}')):
        tail = tail.translate(_ENDS_TOKEN)
    words = tail.rsplit(None, 2)
    if len(words) < 3:
        return len(tail)
    if "at" in tail.lower() and _AT.search(tail) and (open_word := _spelt_open(tail)):
        return open_word
    return len(tail) - len(words[0])


def _spelt_open(tail: str) -> int:
    """Count the characters of the beginning of an address that is spelt "name at example dot com"; 0: there is none."""
    words = tail.split()
    plain = [word.strip(_BRACKETS).lower() for word in words[-_SPELT_WORDS:]]
    for number, word in enumerate(plain):
        if number and word == "at" and all("dot".startswith(each) for each in plain[number + 2 :: 2]):
            before = words[len(words) - len(plain) + number - 1]
            return len(tail) - tail.rindex(before, 0, _start_of(tail, len(plain) - number))
    return 0


def _start_of(tail: str, count: int) -> int:
    """The position at which the last `count` words begin."""
    return len(tail.rsplit(None, count)[0]) + 1


def digits(text: str) -> int:
    """A number at the end."""
    tail = text[-_MAX_NUMBER:]
    return len(tail) - len(tail.rstrip(_DIGITS))


def iban(text: str) -> int:
    """An account number at the end, with its spaces."""
    match = _IBAN_OPEN.search(text, max(0, len(text) - 64))
    return len(text) - match.start() if match else 0


def last(count: int) -> Rule:
    """So many characters, whatever they are."""
    most = min(count, MAX_HELD)
    return lambda text: min(most, len(text))


PHRASE: Final = last(120)
"""Rule for what is written with several words, such as an address or a date."""
