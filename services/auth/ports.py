"""What auth needs of the world beyond core's own ports."""

from collections.abc import Callable
from typing import Protocol

Clock = Callable[[], float]
"""The time, in Unix seconds."""


class PasswordHasher(Protocol):
    """A slow hash for passwords. Its methods block, and let other threads run meanwhile."""

    def hash(self, password: str) -> str:
        """With a salt of its own; it names the algorithm and its cost."""

    def verify(self, hashed: str, password: str) -> bool: ...

    def needs_rehash(self, hashed: str) -> bool:
        """Whether it was made at another cost than the present one."""
