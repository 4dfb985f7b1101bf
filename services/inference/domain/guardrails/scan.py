"""A text while it is searched for PII: what several searches need is found out once."""

import re
from collections.abc import Iterator, Sequence

_RUN = re.compile(r"[0-9]+(?:[ .\-/()]{1,2}[0-9]+)*")
_DIGITS = re.compile(r"[0-9]+")
_LONG = 16
FEWEST_CHECKED, CHARACTERS_CHECKED = 20, 20
"""Most numbers of one text whose check digits or numbering plan are looked at: so many, and one for so many
characters. Further ones count as PII without: a text of nothing but numbers costs a bounded time, and hides nothing."""

Group = tuple[int, int]
"""Digits that follow each other: where they start and end."""


class Scan:
    """`text` is folded by `folding.compatible`."""

    __slots__ = ("_long", "_lower", "_runs", "checks", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.checks = 0
        self._runs: list[list[Group]] | None = None
        self._lower: str | None = None
        self._long: list[Group] | None = None

    @property
    def lower(self) -> str:
        if self._lower is None:
            self._lower = self.text.lower()
        return self._lower

    @property
    def runs(self) -> Sequence[Sequence[Group]]:
        """The groups of digits of each number, such as the four of a card's."""
        if self._runs is None:
            text = self.text
            self._runs = []
            for run in _RUN.finditer(text):
                start, end = run.span()
                groups = [(start, end)] if end - start < 3 else [x.span() for x in _DIGITS.finditer(text, start, end)]
                self._runs.append(groups)
        return self._runs

    @property
    def groups(self) -> Iterator[Group]:
        """The groups of all numbers."""
        for run in self.runs:
            yield from run

    @property
    def long_words(self) -> Sequence[Group]:
        """Words without spaces of at least 16 characters."""
        if self._long is None:
            self._long = []
            position = 0
            for word in self.text.split():
                if len(word) >= _LONG:
                    position = self.text.index(word, position)
                    self._long.append((position, position + len(word)))
                    position += len(word)
        return self._long

    def numbers(self, fewest: int, most: int) -> Iterator[tuple[int, int, str]]:
        """Every place that can be one number of so many digits: groups that follow each other, the longest first. With
        the digits. A caller that takes one skips those that overlap it."""
        text = self.text
        for run in self.runs:
            if run[-1][1] - run[0][0] < fewest:
                continue
            first = 0
            while first < len(run):
                if first and run[first][1] - run[first][0] == 1:  # digits one by one are searched from the first
                    first += 1
                    continue
                candidates = []
                digits = ""
                for start, end in run[first : first + most]:
                    digits += text[start:end]
                    if len(digits) > most:
                        break
                    if len(digits) >= fewest:
                        candidates.append((run[first][0], end, digits))
                yield from reversed(candidates)
                first += 1

    def unchecked(self) -> bool:
        """Count a check. Whether there have been so many that this one is left out."""
        self.checks += 1
        return self.checks > FEWEST_CHECKED + len(self.text) // CHARACTERS_CHECKED
