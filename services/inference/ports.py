"""What inference needs of the outside, beyond the ports of core."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from core.http.ports import Upstream

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider is: `url` without a trailing slash, and the headers that every request to it carries."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """A provider's connections, and what is the same in all its requests: the header block and the path's beginning."""

    upstream: Upstream
    headers: bytes = b""
    base_path: str = ""


class Connect(Protocol):
    """Makes a client. Opens no connection yet. Raises InvalidInput for an address that cannot be used."""

    def __call__(self, endpoint: Endpoint) -> Client: ...


CheckUrl = Callable[[str, str], Awaitable[object]]
"""Raises InvalidInput, naming the field (second), for a URL (first) that Portico must not call."""


class Resilience(Protocol):
    """Retries and circuit breaker around calls of providers."""

    async def call(self, key: tuple[str, ...], attempt: Callable[[], Awaitable[T]]) -> T:
        """`attempt`'s result; it is made again after failures that may pass. `key` begins with the tenant. Raises
        attempt's last error, or Unavailable while the key's circuit is open."""


class Pool(Protocol[K, V]):
    """What is made once and kept while it is used: `core.runtime_pool`."""

    def lookup(self, key: K) -> V | None: ...

    async def get(self, key: K, build: Callable[[], Awaitable[V]]) -> V: ...

    def invalidate(self, match: Callable[[K], bool]) -> None: ...
