"""The connection pool of one provider: bounded, keeps idle connections for a while, serves waiting callers in order."""

import asyncio
import math
from collections.abc import Awaitable, Callable

from core.errors import Unavailable
from core.http.connection import ClientConnection
from core.http.errors import ConnectionsBusy, TransportFailed

_TICK = 0.01
"""Seconds between two looks at the deadlines, at least."""


class ConnectionPool:
    """`open_connection(seconds)` opens a connection. `idle` holds the free ones, the freshest last: take from its
    end."""

    def __init__(
        self,
        open_connection: Callable[[float], Awaitable[ClientConnection]],
        *,
        max_connections: int,
        idle_seconds: float,
    ) -> None:
        self.idle: list[ClientConnection] = []
        self._open_connection = open_connection
        self._max = max_connections
        self._idle_seconds = idle_seconds
        self._loop = asyncio.get_running_loop()
        self._open: set[ClientConnection] = set()
        self._slots = 0
        """Connections that are open, being opened, or promised to a waiter."""
        self._waiters: dict[asyncio.Future[ClientConnection | None], None] = {}
        """Waiting callers, in order of arrival. Each gets a connection, or None: a slot to open one in."""
        self._timer: asyncio.TimerHandle | None = None
        self._next_look = math.inf
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    async def acquire(self, wait: float, connect: float, *, fresh: bool = False) -> ClientConnection:
        """Return a free connection, or a new one (`fresh`: a new one if at all possible), waiting its turn for `wait`
        seconds.

        Raises ConnectionsBusy, UpstreamTimeout, TransportFailed, AddressRefused, and Unavailable once closed.
        """
        while True:
            if self._closed:
                raise Unavailable("The provider's settings have just changed. Try again.", retry_after=1.0)
            if self.idle and not fresh:
                return self.idle.pop()
            if self.idle and self._slots >= self._max:
                self.idle[0].abort()
            if self._slots < self._max:
                self._slots += 1
                self._empty.clear()
                return await self._connect(connect)
            connection = await self._queue(wait)
            if connection is None:
                return await self._connect(connect)
            if not connection.closed:
                return connection

    def release(self, connection: ClientConnection) -> None:
        if self._closed:
            connection.abort()
        elif waiter := self._next_waiter():
            waiter.set_result(connection)
        else:
            connection.deadline = due = self._loop.time() + min(self._idle_seconds, connection.keep_alive)
            self.idle.append(connection)
            self.watch(due)

    def forget(self, connection: ClientConnection) -> None:
        """Forget a connection that has closed. One that closes while it is being opened has no slot of its own: whoever
        opens it gives the slot back."""
        if connection not in self._open:
            return
        self._open.remove(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        self._vacate()

    def watch(self, deadline: float) -> None:
        """Expire connections at their deadlines, with one timer for all: it goes off for the earliest. Deadlines mostly
        move later, so it seldom has to be set."""
        if deadline < self._next_look:
            self._set_timer(deadline)

    async def close(self) -> None:
        """Refuse new callers, close idle connections, and return when the exchanges under way have ended.

        Cancelling it breaks these off.
        """
        self._closed = True
        for connection in tuple(self.idle):
            connection.abort()
        while waiter := self._next_waiter():
            waiter.set_exception(Unavailable("The provider's settings have just changed. Try again.", retry_after=1.0))
        try:
            await self._empty.wait()
        finally:
            for connection in tuple(self._open):
                connection.abort()
            if self._timer is not None:
                self._timer.cancel()

    async def _connect(self, seconds: float) -> ClientConnection:
        """Open a connection in a slot that the caller holds."""
        try:
            connection = await self._open_connection(seconds)
            if connection.closed:
                raise TransportFailed("The connection to the provider broke.", sent=False)
        except BaseException:  # cancellation too must give the slot back
            self._vacate()
            raise
        self._open.add(connection)
        return connection

    async def _queue(self, seconds: float) -> ClientConnection | None:
        waiter: asyncio.Future[ClientConnection | None] = self._loop.create_future()
        self._waiters[waiter] = None
        timer = self._loop.call_later(seconds, _refuse, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._give_back(waiter.result())
            raise
        finally:
            timer.cancel()
            self._waiters.pop(waiter, None)

    def _give_back(self, connection: ClientConnection | None) -> None:
        if connection is None:
            self._vacate()
        elif not connection.closed:
            self.release(connection)

    def _vacate(self) -> None:
        """Give a free slot to the caller that has waited longest."""
        if waiter := self._next_waiter():
            waiter.set_result(None)
            return
        self._slots -= 1
        if not self._slots:
            self._empty.set()

    def _next_waiter(self) -> asyncio.Future[ClientConnection | None] | None:
        while self._waiters:
            waiter = next(iter(self._waiters))
            del self._waiters[waiter]
            if not waiter.done():
                return waiter
        return None

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next_look = when
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        self._timer = None
        self._next_look = math.inf
        for connection in tuple(self._open):
            if connection.deadline <= now:
                connection.expire()
        earliest = min((connection.deadline for connection in self._open), default=math.inf)
        if earliest < math.inf:
            self._set_timer(max(earliest, now + _TICK))


def _refuse(waiter: asyncio.Future[ClientConnection | None]) -> None:
    if not waiter.done():
        waiter.set_exception(
            ConnectionsBusy("Too many requests to this provider are under way. Try again.", retry_after=1.0)
        )
