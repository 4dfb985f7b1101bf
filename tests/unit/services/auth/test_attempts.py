"""Whom an address stands for, and what is counted."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from core import context
from core.addresses import network_of
from core.context import RequestContext
from core.errors import RateLimited, Unavailable
from core.rate_limits.memory import MemoryRateLimits
from services.auth.domain.attempts import AttemptLimits, Attempts
from services.auth.domain.records import User

MANY = "1000/minute"
LIMITS = AttemptLimits(MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, known_networks=20)


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("ipv4:192.0.2.1:50123", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("ipv6:[2001:db8:1:2::9]:443", "2001:db8:1:2::"),
        ("ipv6:%5B::1%5D:443", "::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_an_address_without_its_port_and_an_ipv6_network_as_one(peer: str, network: str) -> None:
    assert network_of(peer) == network


def test_what_is_no_address_is_still_somebody() -> None:
    assert network_of("unix:/run/a") != network_of("unix:/run/b")


def call_from(address: str) -> None:
    context.bind(RequestContext("r1", peer_address=address))


async def test_changing_the_port_gives_no_new_attempts() -> None:
    attempts = Attempts(MemoryRateLimits(), replace(LIMITS, register="1/hour"))
    call_from("ipv4:192.0.2.1:1")
    await attempts.register()
    call_from("ipv4:192.0.2.1:2")
    with pytest.raises(RateLimited):
        await attempts.register()


async def guess(attempts: Attempts, email: str, address: str, *, known: bool = False, right: bool = False) -> None:
    call_from(address)
    async with attempts.password(email, known=known) as attempt:
        attempt.right = right


async def test_one_address_cannot_try_many_accounts() -> None:
    attempts = Attempts(MemoryRateLimits(), replace(LIMITS, login_of_address="3/minute"))
    for number in range(3):
        await guess(attempts, f"u{number}@example.com", "192.0.2.1")
    with pytest.raises(RateLimited):
        await guess(attempts, "u9@example.com", "192.0.2.1")


async def test_many_addresses_cannot_try_one_account() -> None:
    attempts = Attempts(MemoryRateLimits(), replace(LIMITS, login_of_account="3/minute"))
    for number in range(3):
        await guess(attempts, "ann@example.com", f"192.0.2.{number}")
    with pytest.raises(RateLimited):
        await guess(attempts, "ann@example.com", "192.0.2.9")


async def test_guesses_from_elsewhere_do_not_count_in_a_known_network() -> None:
    """Under a hundred of them locked everybody out of an account."""
    limits = replace(LIMITS, login_of_account="3/minute", login_of_address="3/minute", login="2/minute")
    attempts = Attempts(MemoryRateLimits(), limits)
    for number in range(3):
        await guess(attempts, "ann@example.com", f"192.0.2.{number}")
    for number in range(3):  # somebody else behind the same address
        await guess(attempts, f"u{number}@example.com", "198.51.100.1")
    for _ in range(2):
        await guess(attempts, "ann@example.com", "198.51.100.1", known=True)
    with pytest.raises(RateLimited):
        await guess(attempts, "ann@example.com", "198.51.100.1", known=True)


async def test_right_passwords_are_not_counted() -> None:
    attempts = Attempts(MemoryRateLimits(), replace(LIMITS, login="1/hour", login_of_account="1/hour"))
    for _ in range(5):
        await guess(attempts, "ann@example.com", "192.0.2.1", right=True)
    await guess(attempts, "ann@example.com", "192.0.2.1")
    with pytest.raises(RateLimited):
        await guess(attempts, "ann@example.com", "192.0.2.1", right=True)


async def test_tries_at_the_same_time_are_counted_before_they_are_known_to_be_wrong() -> None:
    attempts = Attempts(MemoryRateLimits(), replace(LIMITS, login="3/hour"))
    call_from("192.0.2.1")
    heard = asyncio.Event()

    async def wait() -> None:
        async with attempts.password("ann@example.com", known=False):
            await heard.wait()

    waiting = [asyncio.create_task(wait()) for _ in range(10)]
    await asyncio.sleep(0)
    heard.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(each, RateLimited) for each in outcomes) == 7


async def test_a_caller_that_hangs_up_has_tried() -> None:
    attempts = Attempts(MemoryRateLimits(), replace(LIMITS, login="1/hour"))
    call_from("192.0.2.1")
    with pytest.raises(asyncio.CancelledError):
        async with attempts.password("ann@example.com", known=False):
            raise asyncio.CancelledError
    with pytest.raises(RateLimited):
        await guess(attempts, "ann@example.com", "192.0.2.1")


async def test_what_is_refused_unheard_counts_nowhere() -> None:
    limits = replace(LIMITS, login="1/hour", login_of_address="2/hour")
    attempts = Attempts(MemoryRateLimits(), limits)
    call_from("192.0.2.1")
    with pytest.raises(Unavailable):
        async with attempts.password("ann@example.com", known=False):
            raise Unavailable("too many at once")
    await guess(attempts, "ann@example.com", "192.0.2.1")
    for _ in range(3):
        with pytest.raises(RateLimited):
            await guess(attempts, "ann@example.com", "192.0.2.1")
    await guess(attempts, "bob@example.com", "192.0.2.1")


async def test_an_account_knows_its_last_networks_and_shows_nobody_which() -> None:
    attempts = Attempts(MemoryRateLimits(), replace(LIMITS, known_networks=3))
    user = User("u1", "a@example.com", "a@example.com", "A", "user", 0.0, "hash")
    for number in range(5):
        call_from(f"192.0.2.{number}")
        assert not attempts.knows(user)
        user = msgspec.structs.replace(user, known_networks=attempts.remember(user))
    assert len(user.known_networks) == 3
    assert attempts.knows(user)
    assert "192.0.2" not in str(user.known_networks)
    call_from("192.0.2.0")
    assert not attempts.knows(user)
    call_from("192.0.2.3")
    assert attempts.remember(user) == (user.known_networks[1], user.known_networks[0], user.known_networks[2])
    assert not attempts.knows(msgspec.structs.replace(user, id="u2"))
