"""Passwords at rest: hashed in threads, a few at a time, since each costs a core for a while."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from core.errors import Unavailable
from services.auth.ports import PasswordHasher

T = TypeVar("T")

_MAX_WAITING = 100


class Passwords:
    """Hashes and verifies, `parallel` at one time.

    Raises Unavailable when more are waiting than could be served in decent time.
    """

    def __init__(self, hasher: PasswordHasher, *, parallel: int) -> None:
        self._hasher = hasher
        self._free = asyncio.Semaphore(parallel)
        self._waiting = 0
        self._nobodys = ""

    async def start(self) -> None:
        """Makes the hash that is verified where there is no account, so that the answer takes as long as any other."""
        self._nobodys = await self.hash("nobody's password")

    async def hash(self, password: str) -> str:
        return await self._run(self._hasher.hash, password)

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password fits. Without a hash it never does, and takes the same time to say so."""
        fits = await self._run(self._hasher.verify, hashed or self._nobodys, password)
        return fits and hashed is not None

    def needs_rehash(self, hashed: str) -> bool:
        """Whether it was made at another cost than the present one."""
        return self._hasher.needs_rehash(hashed)

    async def _run(self, work: Callable[..., T], *arguments: str) -> T:
        if self._waiting >= _MAX_WAITING:
            raise Unavailable("Too many sign-ins at once. Try again in a moment.", retry_after=2.0)
        self._waiting += 1
        try:
            async with self._free:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._waiting -= 1
