"""Hashing a few at a time."""

import asyncio
import threading

import pytest

from core.errors import Unavailable
from services.auth.adapters.argon2 import Argon2Hasher
from services.auth.domain.passwords import Passwords


class Gate:
    """A hasher that waits until it may, and counts how many wait in it."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.inside = self.most = 0
        self._lock = threading.Lock()

    def hash(self, password: str) -> str:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.release()
        self.open.wait(10)
        with self._lock:
            self.inside -= 1
        return f"hash of {password}"

    def verify(self, hashed: str, password: str) -> bool:
        return hashed == f"hash of {password}"

    def needs_rehash(self, hashed: str) -> bool:
        return False


async def test_no_more_than_so_many_at_one_time_and_the_loop_goes_on() -> None:
    gate = Gate()
    passwords = Passwords(gate, parallel=2)
    work = [asyncio.create_task(passwords.hash(str(number))) for number in range(6)]
    for _ in range(2):
        await asyncio.to_thread(gate.entered.acquire)
    gate.open.set()
    assert await asyncio.gather(*work) == [f"hash of {number}" for number in range(6)]
    assert gate.most == 2


async def test_a_flood_is_refused_instead_of_queued() -> None:
    gate = Gate()
    passwords = Passwords(gate, parallel=1)
    work = [asyncio.create_task(passwords.hash("x")) for _ in range(150)]
    await asyncio.to_thread(gate.entered.acquire)
    gate.open.set()
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, Unavailable)]
    assert len(refused) == 50
    assert all(each.retry_after for each in refused)


async def test_nobodys_password_never_fits() -> None:
    passwords = Passwords(Argon2Hasher(1024, 1), parallel=1)
    await passwords.start()
    assert not await passwords.verify("nobody's password", None)
    hashed = await passwords.hash("right")
    assert await passwords.verify("right", hashed)
    assert not await passwords.verify("wrong", hashed)


@pytest.mark.parametrize(
    "hashed", ["", "plain", "$argon2id$v=19$m=1024,t=1,p=1$broken", "$2b$12$abcdefghijklmnopqrstuv"]
)
async def test_a_hash_that_is_none_never_fits(hashed: str) -> None:
    assert not Argon2Hasher(1024, 1).verify(hashed, "anything")
