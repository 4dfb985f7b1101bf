"""Connections to checked addresses: look up, check, connect to the very address that was checked, TLS."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from core.http.connection import ClientConnection
from core.http.errors import TransportFailed, UpstreamTimeout
from core.http.guard import OutboundGuard
from core.http.origin import Origin

T = TypeVar("T")


async def connect_checked(
    guard: OutboundGuard, host: str, port: int, seconds: float, connect: Callable[[str], Awaitable[T]]
) -> T:
    """Resolve and check the host, then `connect` to its addresses one after the other, each with its share of the time
    that is left. Raises AddressRefused, TimeoutError, or what `connect` raised last, of OSError."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + seconds
    async with asyncio.timeout_at(give_up):
        addresses = await guard.addresses(host, port)
        failure = OSError("no address")
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                async with asyncio.timeout((give_up - loop.time()) / left):
                    return await connect(address)
            except OSError as error:
                failure = error
        raise failure


class Connector:
    """Opens connections to checked addresses. Every connection asks the guard anew, so a name that has changed its
    address since is checked again."""

    def __init__(
        self,
        origin: Origin,
        guard: OutboundGuard,
        tls: ssl.SSLContext | None,
        make: Callable[[], ClientConnection],
    ) -> None:
        self._origin = origin
        self._guard = guard
        self._tls = tls
        self._make = make

    async def connect(self, seconds: float) -> ClientConnection:
        """Open a connection. Raises UpstreamTimeout, TransportFailed and AddressRefused."""
        try:
            return await connect_checked(self._guard, self._origin.host, self._origin.port, seconds, self._connect)
        except TimeoutError as error:
            raise UpstreamTimeout("The provider could not be reached in time.", sent=False) from error
        except ssl.SSLError as error:
            raise TransportFailed(
                "No secure connection to the provider: its certificate or TLS version was not accepted.", sent=False
            ) from error
        except OSError as error:
            raise TransportFailed("The provider could not be reached.", sent=False) from error

    async def _connect(self, address: str) -> ClientConnection:
        name = None if self._tls is None else self._origin.host.rstrip(".")
        _, connection = await asyncio.get_running_loop().create_connection(
            self._make, address, self._origin.port, ssl=self._tls, server_hostname=name
        )
        return connection


@lru_cache(maxsize=16)  # reading the authorities takes the loop some 20 ms
def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Certificates and names are verified; `ca_file` (PEM) is trusted besides the system's authorities."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context
