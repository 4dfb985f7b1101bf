"""Password hashes, a few at a time."""

import asyncio
import threading

import pytest
from argon2 import PasswordHasher

from core.errors import Unavailable
from services.auth.adapters.argon2 import Argon2Hasher
from services.auth.domain.passwords import Passwords

KEY = b"k" * 32
ANN = "ann@example.com"


class Gate:
    """A hasher that waits until it may, and counts how many wait in it."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.inside = self.most = 0
        self._lock = threading.Lock()

    def hash(self, password: str, salt: bytes) -> str:
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

    def is_current(self, hashed: str, salt: bytes) -> bool:
        return True


async def test_no_more_than_so_many_at_one_time_and_the_loop_goes_on() -> None:
    gate = Gate()
    passwords = Passwords(gate, KEY, parallel=2)
    work = [asyncio.create_task(passwords.hash(str(number), ANN)) for number in range(6)]
    for _ in range(2):
        await asyncio.to_thread(gate.entered.acquire)
    gate.open.set()
    assert await asyncio.gather(*work) == [f"hash of {number}" for number in range(6)]
    assert gate.most == 2


async def test_a_flood_is_refused_instead_of_queued() -> None:
    gate = Gate()
    passwords = Passwords(gate, KEY, parallel=1)
    work = [asyncio.create_task(passwords.hash("x", ANN)) for _ in range(150)]
    await asyncio.to_thread(gate.entered.acquire)
    gate.open.set()
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, Unavailable)]
    assert len(refused) == 50
    assert all(each.retry_after for each in refused)


async def test_a_caller_that_hangs_up_does_not_free_its_place() -> None:
    """Otherwise as many hashes run at one time as somebody can open and close connections."""
    gate = Gate()
    passwords = Passwords(gate, KEY, parallel=1)
    given_up = asyncio.create_task(passwords.hash("a", ANN))
    await asyncio.to_thread(gate.entered.acquire)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    waiting = asyncio.create_task(passwords.hash("b", ANN))
    for _ in range(10):
        await asyncio.sleep(0)
    assert gate.inside == 1
    gate.open.set()
    await waiting
    assert gate.most == 1


async def test_a_password_is_found_among_all_hashes_of_an_email() -> None:
    passwords = Passwords(Argon2Hasher(1024, 1), KEY, parallel=1)
    right, other = await passwords.hash("right", ANN), await passwords.hash("other", ANN)
    assert await passwords.fits("right", ANN, [right, other, right]) == [True, False, True]
    assert await passwords.fits("wrong", ANN, [right, other]) == [False, False]
    assert await passwords.fits("right", ANN, []) == []
    assert await passwords.fits("right", "bob@example.com", [right]) == [True]  # verified, as one of another salt
    assert await passwords.hash("right", "bob@example.com") != right


class Counting(Argon2Hasher):
    """Counts the slow calls."""

    def __init__(self) -> None:
        super().__init__(1024, 1)
        self.count = 0

    def hash(self, password: str, salt: bytes) -> str:
        self.count += 1
        return super().hash(password, salt)

    def verify(self, hashed: str, password: str) -> bool:
        self.count += 1
        return super().verify(hashed, password)


@pytest.mark.parametrize("old", [0, 1, 3])
@pytest.mark.parametrize("current", [0, 1, 8])
async def test_it_is_one_hash_whatever_there_is(old: int, current: int) -> None:
    """Eight tenants of one email took eight times as long as one, which told how many there were."""
    hasher = Counting()
    passwords = Passwords(hasher, KEY, parallel=2)
    hashes = [PasswordHasher(time_cost=1, memory_cost=2048).hash("right") for _ in range(old)]
    hashes += [await passwords.hash("right", ANN) for _ in range(current)]
    hasher.count = 0
    fits = await passwords.fits("right", ANN, hashes)
    assert hasher.count == 1
    assert any(fits) is bool(hashes)


async def test_a_hash_of_an_earlier_version_is_verified_and_to_be_renewed() -> None:
    passwords = Passwords(Argon2Hasher(1024, 1), KEY, parallel=1)
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("right")
    assert passwords.needs_rehash(old, ANN)
    assert await passwords.fits("right", ANN, [old]) == [True]
    assert await passwords.fits("wrong", ANN, [old]) == [False]
    assert not passwords.needs_rehash(await passwords.hash("right", ANN), ANN)


@pytest.mark.parametrize(
    "hashed", ["", "plain", "$argon2id$v=19$m=1024,t=1,p=1$broken", "$2b$12$abcdefghijklmnopqrstuv"]
)
async def test_a_hash_that_is_none_never_fits(hashed: str) -> None:
    hasher = Argon2Hasher(1024, 1)
    assert not hasher.verify(hashed, "anything")
    assert not hasher.is_current(hashed, b"s" * 16)
