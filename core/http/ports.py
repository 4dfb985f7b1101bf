"""The port of HTTP calls to providers."""

from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from core.http.limits import (
    BODY_SECONDS,
    CONNECT_SECONDS,
    FIRST_BYTE_SECONDS,
    IDLE_SECONDS,
    POOL_SECONDS,
    READ_SECONDS,
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts of a request, in seconds. The time for the whole exchange is the caller's `deadline`."""

    pool: float = POOL_SECONDS
    """Longest wait for a free connection."""
    connect: float = CONNECT_SECONDS
    """Name lookup, TCP and TLS together."""
    first_byte: float = FIRST_BYTE_SECONDS
    """Time from sending the request to the end of the response's headers."""
    idle: float = IDLE_SECONDS
    """Seconds between two chunks of the body."""
    body: float = BODY_SECONDS
    """The body of a whole answer, however steadily it trickles. A streamed one takes as long as its reader likes."""


class Head:
    """Status and headers. `headers` has lower-case names; of a repeated header the last value counts."""

    __slots__ = ("headers", "status")

    def __init__(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        self.status = status
        self.headers = headers

    def header(self, name: str) -> str | None:
        value = self.headers.get(name.lower().encode())
        return None if value is None else value.decode("latin-1")


class Response(Head):
    """A whole response: `body` is complete and decoded."""

    __slots__ = ("body",)

    def __init__(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Stream(Protocol):
    """A response whose body comes in chunks, each as it was received. Close it, best with `async with`.

    Iteration raises TransportFailed, UpstreamTimeout, DeadlineExceeded or BadResponse when the body breaks off.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[bytes, bytes]: ...

    def header(self, name: str) -> str | None: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def wake(self) -> None:
        """Wake the reader that waits for the next chunk: it gets b"" at once; the body goes on. Nothing if nobody
        waits."""

    async def read(self, limit: int, *, seconds: float = READ_SECONDS) -> bytes:
        """The rest of the body. Raises BadResponse when it is longer than `limit` bytes, UpstreamTimeout when it takes
        longer than `seconds`."""

    async def aclose(self) -> None:
        """Drop the rest of the body; an unfinished exchange closes its connection at once. May be repeated."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Upstream(Protocol):
    """One provider's origin. Redirects are returned as they are; there are no cookies, proxies or ambient settings.

    `target` is the path with the query; `headers` and `extra_headers` come from `core.http.headers`. `deadline` is on
    the monotonic clock, in seconds. Raises the errors of `core.http.errors`, and DeadlineExceeded for the deadline.
    """

    def post(
        self,
        target: bytes,
        headers: bytes,
        body: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Awaitable[Response]: ...

    def get(
        self,
        target: bytes,
        headers: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Awaitable[Response]: ...

    def stream(
        self,
        target: bytes,
        headers: bytes,
        body: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Awaitable[Stream]: ...

    async def close(self) -> None: ...
