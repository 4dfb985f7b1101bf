"""The ports of inference, beyond those of core."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.http.ports import Upstream
from core.providers.drivers import Values
from services.inference.domain.memory.uses import MemoryUse


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


@dataclass(frozen=True, slots=True)
class Recall:
    """Memories as one text, and how many they are."""

    context: str
    count: int


class Memories(Protocol):
    """The memory stores of the caller's project, in the rag service. Both methods raise what the service raises."""

    async def recall(self, use: MemoryUse, query: str, seconds: float) -> Recall:
        """Return what the store remembers about a query. It takes `seconds` at most."""

    async def store(self, use: MemoryUse, messages: Sequence[tuple[str, str]], seconds: float) -> None:
        """Remember messages, each with its role. It takes `seconds` at most."""
