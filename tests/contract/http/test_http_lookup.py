"""Name lookup in threads: a tenant whose names nobody answers for holds few of them."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from core import context
from core.context import Identity, Kind, RequestContext
from core.http.guard import OutboundGuard
from core.http.limits import LOOKUPS_PER_TENANT
from core.http.lookup import SystemLookup
from core.tenancy import Project, Tenant

ANSWER = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443))]


class Resolver:
    """Answers for every name but those that end in .never, whose lookups wait for `release`."""

    def __init__(self) -> None:
        self.waiting = 0
        self.release = threading.Event()

    def __call__(self, host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        if host.endswith(".never"):
            self.waiting += 1
            self.release.wait(30)
        return ANSWER


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.release.set()


def call_of(tenant: str) -> None:
    """Make the rest of this task part of a call of the tenant."""
    identity = Identity(Project(Tenant(tenant), "p"), "someone", Kind.API, frozenset(), "t", 0.0, None)
    context.bind(RequestContext("r", identity))


async def test_names_that_are_never_answered_keep_nobody_else_from_looking_up(resolver: Resolver) -> None:
    """Seven lookups without an answer took every thread that lookups had, and all that hashes or reads files."""
    guard = OutboundGuard()

    async def attack(number: int) -> None:
        call_of("red")
        await guard.addresses(f"{number}.never", 443)

    async def other() -> list[str]:
        call_of("blue")
        return await guard.addresses("api.example.com", 443)

    attacks = [asyncio.create_task(attack(number)) for number in range(200)]
    while resolver.waiting < LOOKUPS_PER_TENANT:
        await asyncio.sleep(0)
    found = await asyncio.wait_for(asyncio.gather(*(asyncio.create_task(other()) for _ in range(20))), 20)
    assert found == [["93.184.215.14"]] * 20
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 20) == "done"
    assert resolver.waiting == LOOKUPS_PER_TENANT
    for each in attacks:
        each.cancel()
    await asyncio.gather(*attacks, return_exceptions=True)


async def test_a_lookup_that_was_given_up_holds_its_place_until_it_ends(resolver: Resolver) -> None:
    look_up = SystemLookup()
    given_up = [asyncio.create_task(look_up(f"{number}.never", 443)) for number in range(LOOKUPS_PER_TENANT)]
    while resolver.waiting < LOOKUPS_PER_TENANT:
        await asyncio.sleep(0)
    for each in given_up:
        each.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    late = asyncio.create_task(look_up("api.example.com", 443))
    done, _ = await asyncio.wait([late], timeout=0.05)
    assert not done
    resolver.release.set()
    assert await asyncio.wait_for(late, 20) == ["93.184.215.14"]
