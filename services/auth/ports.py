"""The ports of auth, beyond core's own."""

from collections.abc import Callable
from typing import Protocol

Clock = Callable[[], float]
"""The time, in Unix seconds."""


class PasswordHasher(Protocol):
    """A slow hash for passwords. Its methods block, and let other threads run meanwhile."""

    def hash(self, password: str, salt: bytes) -> str:
        """The hash, with its algorithm, cost and salt. The same for the same password, salt and cost."""

    def verify(self, hashed: str, password: str) -> bool: ...

    def is_current(self, hashed: str, salt: bytes) -> bool:
        """Return whether the hash was made with this salt and at the present cost."""
