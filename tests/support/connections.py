"""Connections and servers of a test, all of whose sockets are closed when it leaves them.

A transport closes its socket only once it has sent what it still holds, and by its event loop. What is left open when
the test's event loop ends is found by the garbage collector, in the middle of a later test, which fails.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from tests.support.waiting import until


@asynccontextmanager
async def http_session(*, limit: int = 100) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client with at most `limit` connections.

    aiohttp forgets a connection whose request is refused before its body is sent; the rest of the body keeps it open.
    """
    sockets: list[socket.socket] = []

    def opened(address: Any) -> socket.socket:
        family, kind, protocol, _, _ = address
        sockets.append(socket.socket(family, kind, protocol))
        return sockets[-1]

    connector = aiohttp.TCPConnector(limit=limit, socket_factory=opened)
    async with aiohttp.ClientSession(connector=connector) as http:
        yield http
    await _closed(sockets)


class _Listener(socket.socket):
    """A listening socket that keeps those which it accepts."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[socket.socket] = []

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        self.accepted.append(connection)
        return connection, address


@asynccontextmanager
async def listening(
    start: Callable[[socket.socket], Awaitable[asyncio.Server]], host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """A TCP server on a port, a free one unless it is given, which is yielded: `start` starts it on a bound socket.

    At the end its connections are shut down, and what serves them has to close them once it notices.
    """
    listener = _Listener()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    server = await start(listener)
    try:
        yield listener.getsockname()[1]
    finally:
        for _round in range(5):  # a connection that is just being accepted would be lost, open, when the server closes
            await asyncio.sleep(0)
        server.close()
        await _closed(listener.accepted)


async def _closed(sockets: list[socket.socket]) -> None:
    """Shut the sockets down and return when those who own them have closed them."""
    for each in sockets:
        with suppress(OSError):  # it is closed, or the other side was faster
            each.shutdown(socket.SHUT_RDWR)
    await until(lambda: all(each.fileno() == -1 for each in sockets))
