"""Connections to a PostgreSQL server: to addresses that the guard has checked, with bounds on what it answers.

asyncpg opens its connections through the loop that it is given. `_GuardedLoop` is the running loop with one difference:
it resolves, checks, connects and secures by itself, so asyncpg neither looks up a name nor reads a byte that was not
looked at. Nothing of this machine's own has a say, either: asyncpg would take passwords, certificates and hosts from
the environment and the home folder.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache, partial
from typing import Any, NoReturn

import asyncpg  # type: ignore[import-untyped]

from core import logs
from core.errors import InsufficientStorage, PorticoError, Unavailable, UpstreamFailed
from core.http.connector import connect_checked, tls_context
from core.http.errors import TransportFailed
from core.http.guard import OutboundGuard
from services.vector.adapters.answers import malformed, unreadable
from services.vector.adapters.postgres_limits import (
    ACQUIRE_SECONDS,
    CONNECT_SECONDS,
    CONNECTIONS,
    OPERATION_SECONDS,
    RELEASE_SECONDS,
    STATEMENT_SECONDS,
)
from services.vector.adapters.postgres_target import PostgresTarget, TlsMode
from services.vector.adapters.postgres_wire import CheckedProtocol

_SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"

Prepare = Callable[[Any], Awaitable[None]]

log = logs.get(__name__)


class PostgresServer:
    """Connects with the first operation."""

    def __init__(self, target: PostgresTarget, guard: OutboundGuard, *, max_answer_bytes: int) -> None:
        self.max_answer_bytes = max_answer_bytes
        self._target = target
        self._guard = guard
        self._first: Prepare
        self._each: Prepare
        self._pool: asyncpg.Pool[Any] | None = None
        self._opening = asyncio.Lock()

    def prepare(self, first: Prepare, each: Prepare) -> None:
        """Set what is done once, on a connection of its own, before all operations, and with every new one."""
        self._first, self._each = first, each

    @asynccontextmanager
    async def operation(self, *, rows: int = 0, reads: bool = False) -> AsyncIterator[Any]:
        """A connection for one operation on so many rows, which it `reads` or else writes. Whatever the server does
        is raised as PorticoError; errors of SQL that the caller wants to tell apart are caught within."""
        connection: Any = None
        checked: CheckedProtocol | None = None
        try:
            async with asyncio.timeout(OPERATION_SECONDS):
                pool = self._pool or await self._open()
                connection = await pool.acquire(timeout=ACQUIRE_SECONDS)
                checked = connection.checked
                checked.allow(bytes=self.max_answer_bytes if reads else 0, rows=rows)
                yield connection
        except Exception as error:
            _refuse(error, checked)
        finally:
            if checked is not None:
                checked.allow()
                await _release(pool, connection)

    async def close(self) -> None:
        async with self._opening:
            pool, self._pool = self._pool, None
            if pool is not None:
                await pool.close()

    async def _open(self) -> "asyncpg.Pool[Any]":
        async with self._opening:
            if self._pool is None:
                connection = await self._connect()
                try:
                    await self._first(connection)
                except Exception as error:
                    _refuse(error, connection.checked)
                finally:
                    with suppress(Exception):  # all was done, or its error is on its way
                        await connection.close(timeout=RELEASE_SECONDS)
                self._pool = await asyncpg.create_pool(
                    min_size=0,
                    max_size=CONNECTIONS,
                    connect=self._connect,
                    connection_class=_Connection,
                    init=self._each,
                )
            return self._pool

    async def _connect(self, *_: Any, **__: Any) -> "_Connection":
        """A new connection, of the first host that has one."""
        target, loop = self._target, _GuardedLoop(self._guard, self._target)
        try:
            connection: _Connection = await asyncpg.connect(
                host=[each.name for each in target.hosts],
                port=[each.port for each in target.hosts],
                user=target.user,
                password=target.password,
                database=target.database,
                server_settings=dict(target.settings),
                loop=loop,
                connection_class=_Connection,
                command_timeout=STATEMENT_SECONDS,
                timeout=ACQUIRE_SECONDS,
                # Each of these has a default in the environment. TLS is the loop's matter.
                ssl=False,
                direct_tls=False,
                target_session_attrs="any",
                krbsrvname="none",
                gsslib="gssapi",
            )
            return connection
        except Exception:
            if loop.checked is not None and loop.checked.refusal is not None:
                raise loop.checked.refusal from None
            raise


@asynccontextmanager
async def transaction(connection: Any, *, readonly: bool = False) -> AsyncIterator[None]:
    """Run a transaction as asyncpg does, but that a server which does not roll back keeps nobody waiting, nor is it the
    error then."""
    begun = connection.transaction(readonly=readonly)
    await begun.start()
    try:
        yield
    except BaseException as error:
        if not isinstance(error, _SOUND):
            connection.checked.refuse(malformed())
        with suppress(Exception):
            async with asyncio.timeout(RELEASE_SECONDS):
                await begun.rollback()
        raise
    await begun.commit()


async def _release(pool: "asyncpg.Pool[Any]", connection: Any) -> None:
    """Back to the pool. Where the server does not end in time what was cancelled, the connection is closed."""
    try:
        await pool.release(connection, timeout=RELEASE_SECONDS)
    except Exception as error:
        log.debug("a connection was not kept", error=type(error).__name__)


class _Connection(asyncpg.Connection):
    def __init__(self, protocol: Any, transport: asyncio.Transport, *more: Any) -> None:
        super().__init__(protocol, transport, *more)
        self.checked: Any = transport.get_protocol()


class _GuardedLoop:
    """Equal to the running loop, as asyncio compares them."""

    def __init__(self, guard: OutboundGuard, target: PostgresTarget) -> None:
        self.checked: CheckedProtocol | None = None
        """Protocol of the last connection."""
        self._loop = asyncio.get_running_loop()
        self._guard = guard
        self._tls = target.tls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._loop

    def __hash__(self) -> int:
        return hash(self._loop)

    async def create_connection(
        self, driver: Callable[[], asyncio.Protocol], host: str, port: int, **_: Any
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Raises AddressRefused, TransportFailed, OSError, TimeoutError."""
        connect = partial(self._connect, driver, host, port)
        return await connect_checked(self._guard, host, port, CONNECT_SECONDS, connect)

    async def create_unix_connection(self, *_: Any, **__: Any) -> NoReturn:
        raise OSError("sockets of this machine are not connected to")

    async def _connect(
        self, driver: Callable[[], asyncio.Protocol], host: str, port: int, address: str
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        transport, greeting = await self._loop.create_connection(_Greeting, address, port)
        try:
            if self._tls is not TlsMode.DISABLE and await greeting.has_tls(self._tls):
                context = postgres_tls(self._tls)
                secured = await self._loop.start_tls(transport, greeting, context, server_hostname=host.rstrip("."))
                if secured is None:
                    raise OSError("closed while it was secured")
                transport = secured
            if greeting.received:
                raise _not_postgres()
            inner = driver()
            self.checked = CheckedProtocol(inner)
            transport.set_protocol(self.checked)
            self.checked.connection_made(transport)
        except ssl.SSLError:
            transport.abort()
            raise TransportFailed(
                "No secure connection to the PostgreSQL server: its certificate or TLS version was not accepted.",
                sent=False,
            ) from None
        except BaseException:
            transport.abort()
            raise
        return transport, inner


class _Greeting(asyncio.Protocol):
    """Protocol before the driver sends its first message. The server says one byte, where it is asked for TLS, and
    nothing else."""

    def __init__(self) -> None:
        self.received = b""
        self._transport: asyncio.Transport
        self._heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def has_tls(self, mode: TlsMode) -> bool:
        """Raises TransportFailed where it has none and must."""
        self._transport.write(_SSL_REQUEST)
        await self._heard
        answer, self.received = self.received, b""
        if answer == b"S":
            return True
        if answer == b"N" and mode is TlsMode.PREFER:
            return False
        if answer == b"N":
            raise TransportFailed("The PostgreSQL server has no TLS, which settings.ssl wants.", sent=False)
        raise _not_postgres()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # it reads and writes

    def data_received(self, data: bytes) -> None:
        self.received = self.received[:2] + data[:2]
        if not self._heard.done():
            self._heard.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._heard.done():
            self._heard.set_exception(error or ConnectionResetError("closed before it answered"))
            self._heard.exception()  # seen: nobody may be waiting


@lru_cache(maxsize=8)  # reading the authorities takes the loop some 20 ms
def postgres_tls(mode: TlsMode) -> ssl.SSLContext:
    """Certificates are verified against the system's authorities, or not at all."""
    if mode is TlsMode.VERIFY_FULL:
        return tls_context(None)
    context = ssl.create_default_context()
    context.check_hostname = False
    if mode is not TlsMode.VERIFY_CA:
        context.verify_mode = ssl.CERT_NONE
    return context


def _not_postgres() -> UpstreamFailed:
    return UpstreamFailed("What answers at this address does not speak PostgreSQL's protocol.")


_MEANINGS: Sequence[tuple[type[Exception], type[PorticoError], str]] = (
    (asyncpg.DiskFullError, InsufficientStorage, "the disk of the PostgreSQL server is full"),
    (asyncpg.InvalidAuthorizationSpecificationError, UpstreamFailed, "the PostgreSQL server refuses user or password"),
    (asyncpg.InvalidCatalogNameError, UpstreamFailed, "the PostgreSQL server has no such database"),
    (asyncpg.InsufficientPrivilegeError, UpstreamFailed, "the PostgreSQL user may not do this: it needs to create "
        "a schema, tables and, once, the extension vector"),
    (asyncpg.FeatureNotSupportedError, UpstreamFailed, "the PostgreSQL server does not have the extension vector"),
    (asyncpg.UndefinedFileError, UpstreamFailed, "the PostgreSQL server does not have the extension vector"),
    (asyncpg.PostgresConnectionError, Unavailable, "the PostgreSQL server cannot be reached now"),
    (asyncpg.OperatorInterventionError, Unavailable, "the PostgreSQL server is stopping"),
    (asyncpg.InsufficientResourcesError, Unavailable, "the PostgreSQL server has no connection to spare"),
    (asyncpg.PostgresError, UpstreamFailed, "the PostgreSQL server could not do this"),
    (OSError, Unavailable, "the PostgreSQL server cannot be reached now"),
    (asyncpg.InterfaceError, Unavailable, "the PostgreSQL server cannot be reached now"),
)  # fmt: skip


_SOUND: tuple[type[BaseException], ...] = (PorticoError, asyncio.CancelledError, *(kind for kind, _, _ in _MEANINGS))
"""Errors after which the driver and the server agree on where they are, or the connection is gone."""


def _refuse(error: Exception, checked: CheckedProtocol | None) -> NoReturn:
    """Raise the mapped error. The server's texts are not even logged: they may name hosts and users, or hold what it
    was told."""
    if checked is not None and checked.refusal is not None:
        raise checked.refusal from None
    if isinstance(error, PorticoError):
        raise error
    for kind, meaning, message in _MEANINGS:
        if isinstance(error, kind):
            log.warning("pgvector failed", error=type(error).__name__)
            raise meaning(message) from None
    if checked is not None:
        checked.refuse(malformed())
    raise unreadable("pgvector", error) from None
