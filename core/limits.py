"""What bounds a request, as data: each service lists its own from the very constants and settings that it checks."""

from dataclasses import dataclass
from typing import Final

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""What the edge passes on of an answer that comes as one message."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`per`: what the limit holds for, such as "request"; `answer`: how one that exceeds it is answered."""

    what: str
    limit: float
    unit: str
    per: str
    answer: str = "400"
