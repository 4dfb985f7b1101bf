"""Passwords at rest: argon2id, in threads, a few at a time, since each costs a core for a while."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import Unavailable

T = TypeVar("T")

_MAX_WAITING = 100


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one hash. `memory` is in KiB, `time` in passes over it; `parallel` hashes run at once."""

    memory: int = 65_536
    time: int = 3
    parallel: int = 2


class Passwords:
    """Hashes and verifies. Raises Unavailable when more are waiting than could be served in decent time."""

    def __init__(self, cost: Cost = Cost()) -> None:
        self._hasher = PasswordHasher(time_cost=cost.time, memory_cost=cost.memory, parallelism=1)
        self._free = asyncio.Semaphore(cost.parallel)
        self._waiting = 0
        self._nobodys = ""

    async def start(self) -> None:
        """Makes the hash that is verified where there is no account, so that the answer takes as long as any other."""
        self._nobodys = await self.hash("nobody's password")

    async def hash(self, password: str) -> str:
        return await self._run(self._hasher.hash, password)

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password fits. Without a hash it never does, and takes the same time to say so."""
        fits = await self._run(self._verify, hashed or self._nobodys, password)
        return fits and hashed is not None

    def needs_rehash(self, hashed: str) -> bool:
        """Whether it was made at another cost than the present one."""
        return self._hasher.check_needs_rehash(hashed)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[..., T], *arguments: str) -> T:
        if self._waiting >= _MAX_WAITING:
            raise Unavailable("Too many sign-ins at once. Try again in a moment.", retry_after=2.0)
        self._waiting += 1
        try:
            async with self._free:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._waiting -= 1
