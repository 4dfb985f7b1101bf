"""A server for the edge's hot calls: every RPC that takes one message, behind the same chain as on gRPC's own port."""

import asyncio
from collections.abc import Sequence

from core.health import Health
from core.rpc import tls
from core.rpc.chain import Chain, Method
from core.rpc.http1.connection import ServerConnection
from core.rpc.server import ServiceRegistration

MAX_CONNECTIONS = 10_000
"""Each carries one call. The edge opens no more either."""
_SWEEP_SECONDS = 5.0


class Http1Server:
    """`start` it, `stop` it. It may share its chain, which counts calls, with another server."""

    def __init__(self, registrations: Sequence[ServiceRegistration], chain: Chain, health: Health) -> None:
        self._methods = {
            path.encode(): method
            for registration in registrations
            for path, method in registration.methods(chain).items()
            if not method.takes_stream
        }
        self._health = health
        self._connections: set[ServerConnection] = set()
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self._stopping = False

    async def start(self, listen: str) -> int:
        """Serve on host:port and return the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        host, _, port = listen.rpartition(":")
        identity = tls.active()
        self._listener = await loop.create_server(
            lambda: self._accept(loop),
            host.strip("[]"),
            int(port),
            backlog=1024,
            ssl=identity.server_context() if identity else None,
        )
        self._sweep(loop)
        bound: int = self._listener.sockets[0].getsockname()[1]
        return bound

    async def stop(self, grace: float) -> None:
        """Take no more calls; those in flight have `grace` seconds to end."""
        if self._listener is None or self._sweeper is None:
            return
        self._stopping = True
        self._listener.close()
        for connection in tuple(self._connections):
            connection.retire()
        await self._wait_until_gone(grace)
        for connection in tuple(self._connections):
            connection.abort()
        await self._wait_until_gone(None)
        self._sweeper.cancel()

    async def _wait_until_gone(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                while self._connections:
                    self._gone.clear()
                    await self._gone.wait()
        except TimeoutError:
            pass

    def _accept(self, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        if len(self._connections) >= MAX_CONNECTIONS:
            return _Surplus()
        return ServerConnection(self, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in tuple(self._connections):
            if connection.deadline <= now:
                connection.expire()
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep, loop)

    # -- for the connections

    @property
    def serving(self) -> bool:
        return self._health.serving and not self._stopping

    @property
    def stopping(self) -> bool:
        return self._stopping or self._health.stopping

    def method(self, path: bytes) -> Method | None:
        return self._methods.get(path)

    def remember(self, connection: ServerConnection) -> None:
        """Take a connection that is there, after the handshake where there is TLS."""
        self._connections.add(connection)

    def forget(self, connection: ServerConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._gone.set()


class _Surplus(asyncio.Protocol):
    """A connection beyond the limit, which is closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
