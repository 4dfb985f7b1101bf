"""A connect that is cancelled gives its place back once, however far it had come."""

import asyncio

import pytest

from core.http.connection import ClientConnection
from core.http.errors import TransportFailed
from core.http.pool import ConnectionPool


class _Transport(asyncio.Transport):
    def abort(self) -> None:
        pass


def _made(pool: ConnectionPool) -> ClientConnection:
    connection = ClientConnection(pool, asyncio.get_running_loop(), 1000)
    connection.connection_made(_Transport())
    return connection


async def test_a_connection_that_closes_after_its_connect_was_cancelled_counts_once() -> None:
    """It gave back a second place, so the pool counted below zero and its `close` waited for ever."""
    opening = asyncio.Event()

    async def open_connection(seconds: float) -> ClientConnection:
        connection = _made(pool)
        opening.set()
        try:
            await asyncio.Event().wait()
        finally:
            connection.connection_lost(None)  # the event loop closes what it has half made
        return connection

    pool = ConnectionPool(open_connection, max_connections=2, idle_seconds=10)
    acquiring = asyncio.create_task(pool.acquire(1, 1))
    await opening.wait()
    acquiring.cancel()
    await asyncio.wait({acquiring})

    async def works(seconds: float) -> ClientConnection:
        return _made(pool)

    pool._open_connection = works
    (await pool.acquire(1, 1)).abort()
    await asyncio.wait_for(pool.close(), 5)


async def test_a_connection_that_is_lost_before_anybody_has_it_is_not_handed_out() -> None:
    async def open_connection(seconds: float) -> ClientConnection:
        connection = _made(pool)
        connection.connection_lost(None)
        return connection

    pool = ConnectionPool(open_connection, max_connections=1, idle_seconds=10)
    for _ in range(3):
        with pytest.raises(TransportFailed):
            await pool.acquire(0.1, 1)
    await asyncio.wait_for(pool.close(), 5)
