"""Limits on requests, as data: each service lists its own from the very constants and settings that it checks."""

from dataclasses import dataclass
from typing import Final

_SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (0, "bytes"))

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""Most bytes that the edge passes on of an answer that comes as one message."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`per`: what the limit holds for, such as "request"; `answer`: how one that exceeds it is answered."""

    what: str
    limit: float
    unit: str
    per: str
    answer: str = "400"

    @property
    def amount(self) -> str:
        """The number with its unit, for people."""
        if self.unit.partition(" ")[0] == "bytes" and self.limit >= 1:
            return size(self.limit) + self.unit.removeprefix("bytes")
        if self.unit == "seconds" and self.limit >= 7200:
            return f"{self.limit / 3600:g} hours"
        return f"{self.limit:,.12g} {self.unit}".rstrip()


def size(number: float) -> str:
    """A number of bytes in the largest unit of which it has one."""
    unit, name = next((unit, name) for unit, name in _SIZES if number >= unit)
    return f"{number / (unit or 1):.4g} {name}"
