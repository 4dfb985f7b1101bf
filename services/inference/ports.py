"""The ports of inference, beyond those of core."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from core.http.ports import Upstream
from core.providers.drivers import Values


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The endpoint of a provider: `url` without a trailing slash, and the headers that every request to it carries."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """A provider's connections, and the header block of all its requests."""

    upstream: Upstream
    headers: bytes = b""


class ClientFactory(Protocol):
    """Makes a client. Opens no connection yet. Raises InvalidInput for an address that cannot be used."""

    def __call__(self, endpoint: Endpoint) -> Client: ...


BuiltInClients = Mapping[str, Callable[[Values], Client]]
"""Makes the clients of drivers that need no network, by the driver's id, from the provider's settings."""
