"""Whom an address stands for, and what is counted."""

from dataclasses import replace

import pytest

from core import context
from core.context import RequestContext
from core.errors import RateLimited
from core.rate_limits import RateLimits
from services.auth.domain.attempts import AttemptLimits, Attempts, network_of

LIMITS = AttemptLimits(*["1000/minute"] * 6)


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
    attempts = Attempts(RateLimits(), replace(LIMITS, register="1/hour"))
    call_from("ipv4:192.0.2.1:1")
    await attempts.register()
    call_from("ipv4:192.0.2.1:2")
    with pytest.raises(RateLimited):
        await attempts.register()


async def test_one_address_cannot_try_many_accounts() -> None:
    attempts = Attempts(RateLimits(), replace(LIMITS, login_of_address="3/minute"))
    call_from("192.0.2.1")
    for number in range(3):
        await attempts.login(f"u{number}@example.com")
    with pytest.raises(RateLimited):
        await attempts.login("u9@example.com")


async def test_many_addresses_cannot_try_one_account() -> None:
    attempts = Attempts(RateLimits(), replace(LIMITS, login_of_account="3/minute"))
    for number in range(3):
        call_from(f"192.0.2.{number}")
        await attempts.login("ann@example.com")
    call_from("192.0.2.9")
    with pytest.raises(RateLimited):
        await attempts.login(" Ann@Example.com ")
