"""The pool by itself: places handed over in the moments between two callbacks of the loop."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core.http.connection import ClientConnection
from core.http.errors import ConnectionsBusy
from core.http.pool import ConnectionPool
from tests.support.fake_upstream import FakeUpstream, Peer
from tests.support.short_client import Connect


@pytest_asyncio.fixture
async def pool(connect: Connect) -> AsyncIterator[ConnectionPool]:
    """With room for a single connection."""
    async with FakeUpstream(Peer.gone) as upstream:
        yield connect(upstream, max_connections=1)._pool


async def _acquire(pool: ConnectionPool, *, fresh: bool = False) -> ClientConnection:
    return await pool.acquire(1.0, 5.0, fresh=fresh)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_place_handed_to_a_cancelled_caller_goes_on(pool: ConnectionPool, whole: bool) -> None:
    """It was cancelled in the moment between getting its turn and waking up."""
    connection = await _acquire(pool)
    cancelled = asyncio.create_task(_acquire(pool))
    next_one = asyncio.create_task(_acquire(pool))
    await asyncio.sleep(0)
    if whole:
        pool.release(connection)
    else:
        connection.abort()
    cancelled.cancel()
    got = await next_one
    assert cancelled.cancelled()
    assert (got is connection) == whole
    got.abort()


async def test_a_connection_that_closes_while_it_is_handed_over_is_not_used(pool: ConnectionPool) -> None:
    connection = await _acquire(pool)
    waiting = asyncio.create_task(_acquire(pool))
    await asyncio.sleep(0)
    pool.release(connection)
    connection.abort()
    got = await waiting
    assert got is not connection
    assert not got.closed
    got.abort()


async def test_turns_come_in_order_and_nobody_jumps_the_queue(pool: ConnectionPool) -> None:
    connection = await _acquire(pool)
    order: list[int] = []

    async def take(number: int) -> None:
        got = await _acquire(pool)
        order.append(number)
        await asyncio.sleep(0)
        pool.release(got)

    first = [asyncio.create_task(take(number)) for number in range(3)]
    await asyncio.sleep(0)
    pool.release(connection)
    late = asyncio.create_task(take(3))
    await asyncio.gather(*first, late)
    assert order == [0, 1, 2, 3]


async def test_fresh_is_new_even_when_the_pool_is_full_of_idle_ones(pool: ConnectionPool) -> None:
    connection = await _acquire(pool)
    pool.release(connection)
    fresh = await _acquire(pool, fresh=True)
    assert fresh is not connection
    assert connection.closed
    fresh.abort()


async def test_waiting_in_vain_takes_no_place(pool: ConnectionPool) -> None:
    connection = await _acquire(pool)
    with pytest.raises(ConnectionsBusy):
        await pool.acquire(0.01, 5.0)
    pool.release(connection)
    assert await _acquire(pool) is connection
    connection.abort()
