"""Password hashes by argon2id."""

from base64 import b64encode

import argon2
from argon2.exceptions import InvalidHashError, VerificationError


class Argon2Hasher:
    """`memory` is in KiB, `passes` go over it."""

    def __init__(self, memory: int, passes: int) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=passes, memory_cost=memory, parallelism=1)

    def hash(self, password: str, salt: bytes) -> str:
        return self._hasher.hash(password, salt=salt)

    def verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def is_current(self, hashed: str, salt: bytes) -> bool:
        try:
            other_cost = self._hasher.check_needs_rehash(hashed)
        except InvalidHashError:
            return False
        return not other_cost and hashed.split("$")[-2] == b64encode(salt).rstrip(b"=").decode()
