"""Password hashing, in threads and a few at a time, since each hash occupies a core for a while.

All accounts of one email share a salt, so one hash tells which of them a password fits, and a sign-in takes the same
time whether the email has no account, one or eight. Salts are made from the email and a key of the installation.
"""

import asyncio
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from core.errors import Conflict, Unavailable
from core.tenancy import MAIN
from services.auth.domain.records import InstallationValue
from services.auth.domain.tables import Tables
from services.auth.ports import PasswordHasher

T = TypeVar("T")

_MAX_WAITING = 100
_SALT_BYTES = 16
_SALT_KEY = "password-salts"


async def salt_key(tables: Tables) -> bytes:
    """The installation's key for salts, made at the first start. It is no secret: hashes carry their salts."""
    kept = await tables.installation.get(MAIN, _SALT_KEY)
    if kept is None:
        kept = InstallationValue(_SALT_KEY, secrets.token_hex(32))
        try:
            await tables.installation.insert(MAIN, kept)
        except Conflict:  # another replica was faster
            return await salt_key(tables)
    return bytes.fromhex(kept.value)


class Passwords:
    """Hashes and verifies, `parallel` at one time.

    Raises Unavailable when more are waiting than could be served in decent time.
    """

    def __init__(self, hasher: PasswordHasher, salt_key: bytes, *, parallel: int) -> None:
        self._hasher = hasher
        self._salt_key = salt_key
        self._free = asyncio.Semaphore(parallel)
        self._waiting = 0
        self._running: set[asyncio.Task[Any]] = set()

    async def hash(self, password: str, email_key: str) -> str:
        return await self._run(self._hasher.hash, password, self._salt(email_key))

    async def fits(self, password: str, email_key: str, hashes: Sequence[str]) -> list[bool]:
        """Match the password with each of the hashes, of accounts of one email. Always computes exactly one hash.

        A hash of an earlier version or at another cost cannot be compared. Where all are such, the first alone is
        verified: signing in to one of the others takes the tenant's slug once, which renews its hash.
        """
        salt = self._salt(email_key)
        if hashes and not any(self._hasher.is_current(each, salt) for each in hashes):
            first = await self._run(self._hasher.verify, hashes[0], password)
            return [first, *[False] * (len(hashes) - 1)]
        made = await self._run(self._hasher.hash, password, salt)
        return [hmac.compare_digest(made, each) for each in hashes]

    def needs_rehash(self, hashed: str, email_key: str) -> bool:
        """Return whether the hash was made at another cost than the present one, or with another salt."""
        return not self._hasher.is_current(hashed, self._salt(email_key))

    def _salt(self, email_key: str) -> bytes:
        return hmac.digest(self._salt_key, email_key.encode(), "sha256")[:_SALT_BYTES]

    async def _run(self, work: Callable[..., T], *arguments: str | bytes) -> T:
        if self._waiting >= _MAX_WAITING:
            raise Unavailable("Too many sign-ins at once. Try again in a moment.", retry_after=2.0)
        self._waiting += 1
        running = asyncio.create_task(self._work(work, *arguments))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        # A caller that hangs up must not free the place of a hash that a thread goes on making.
        return await asyncio.shield(running)

    async def _work(self, work: Callable[..., T], *arguments: str | bytes) -> T:
        try:
            async with self._free:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._waiting -= 1
