"""Password hashes by argon2id."""

import argon2
from argon2.exceptions import InvalidHashError, VerificationError


class Argon2Hasher:
    """`memory` is in KiB, `passes` go over it."""

    def __init__(self, memory: int, passes: int) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=passes, memory_cost=memory, parallelism=1)

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def needs_rehash(self, hashed: str) -> bool:
        return self._hasher.check_needs_rehash(hashed)
