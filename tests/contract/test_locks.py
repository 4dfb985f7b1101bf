"""Contract of locks: in memory and on Redis."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.errors import Unavailable
from core.locks.memory import MemoryLocks
from core.locks.ports import Lease, Locks
from core.locks.redis import RedisLocks
from core.tenancy import MAIN, Project, Tenant
from tests.support.redis_client import redis_client
from tests.support.redis_server import RedisServer

RED = Project(Tenant("acme"), "red")
BLUE = Project(Tenant("globex"), "red")


@pytest.fixture(params=["memory", "redis"])
async def locks(request: pytest.FixtureRequest) -> AsyncIterator[Locks]:
    if request.param == "memory":
        yield MemoryLocks()
        return
    server: RedisServer = request.getfixturevalue("redis")
    async with redis_client(server.url) as client:
        yield RedisLocks(client)


async def taken(locks: Locks, name: str = "work", seconds: float = 60.0) -> Lease:
    """The lock, as soon as it is free."""
    async with asyncio.timeout(30):
        while True:
            if (lease := await locks.acquire(RED, name, seconds)) is not None:
                return lease
            await asyncio.sleep(0.005)


async def test_one_holder_at_a_time(locks: Locks) -> None:
    got = await asyncio.gather(*(locks.acquire(RED, "work", 60) for _ in range(20)))
    assert sum(lease is not None for lease in got) == 1
    assert await locks.acquire(RED, "work", 60) is None


async def test_scopes_and_names_are_apart(locks: Locks) -> None:
    held = [await locks.acquire(scope, name, 60) for scope in (RED, BLUE, MAIN) for name in ("a", "b:{c} *")]
    assert None not in held


async def test_tokens_rise(locks: Locks) -> None:
    tokens = []
    for _ in range(5):
        lease = await locks.acquire(RED, "work", 60)
        assert lease is not None
        tokens.append(lease.token)
        assert await locks.release(lease)
    assert tokens == sorted(set(tokens))


async def test_a_lock_ends_by_itself_and_whoever_had_it_can_do_nothing_more(locks: Locks) -> None:
    first = await taken(locks, seconds=0.01)
    second = await taken(locks)
    assert second.token > first.token
    assert not await locks.renew(first, 60)
    assert not await locks.release(first)
    assert await locks.renew(second, 60)


async def test_a_lock_is_renewed_from_now_on(locks: Locks) -> None:
    first = await taken(locks)
    assert await locks.renew(first, 0.01)
    second = await taken(locks)
    assert second.token > first.token


async def test_only_the_holder_releases(locks: Locks) -> None:
    lease = await taken(locks)
    stranger = Lease(lease.scope, lease.name, lease.token, "somebody else")
    assert not await locks.release(stranger)
    assert not await locks.renew(stranger, 60)
    assert await locks.acquire(RED, "work", 60) is None


async def test_tokens_go_on_rising_after_the_server_has_lost_its_data(redis: RedisServer) -> None:
    async with redis_client(redis.url) as client:
        locks = RedisLocks(client)
        first = await taken(locks)
        await client.erase(RED.tenant)
        second = await taken(locks)
        assert second.token > first.token
        assert not await locks.release(first)


async def test_without_its_server_there_is_no_lock(redis: RedisServer) -> None:
    async with redis_client("redis://127.0.0.1:1") as client:
        with pytest.raises(Unavailable):
            await RedisLocks(client).acquire(RED, "work", 60)
