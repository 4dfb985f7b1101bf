"""One RPC as the chain sees it, and what it needs of a transport."""

import hmac
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol
from urllib.parse import unquote

import grpc

from core import context
from core.addresses import network_of
from core.context import RequestContext
from core.rpc.policy import Policy

EDGE_SECRET = "x-portico-edge"  # noqa: S105  # the name of a header
SERVICE_SECRET = "x-portico-service-secret"  # noqa: S105  # the name of a header
REST = "x-portico-rest"
CLIENT_ADDRESS = "x-client-address"
_REQUEST_ID = "x-request-id"
_MAX_REQUEST_ID = 128
_INTERNAL = "internal"

Metadata = Mapping[str, str | bytes]


class CallContext(Protocol):
    """The part of gRPC's ServicerContext that the chain and the servicers use."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...

    def peer(self) -> str:
        """As gRPC writes it: "ipv4:127.0.0.1:5000"."""

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline; None: there is none."""

    async def read(self) -> Any:
        """The next request message as bytes; grpc.aio.EOF where there is none."""

    @property
    def arrived(self) -> bool:
        """Whether `read` has nothing to wait for. Only a transport that refuses messages by the RPC's own limit has
        this."""

    async def send_initial_metadata(self, metadata: Iterable[tuple[str, str | bytes]]) -> None: ...

    async def write(self, message: Any) -> None: ...

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Iterable[tuple[str, str | bytes]] = ()
    ) -> NoReturn:
        """Raises AbortError."""


@dataclass(slots=True)
class Call:
    """One RPC on its way through the stages."""

    policy: Policy
    metadata: Metadata
    request: RequestContext
    started: float
    rest: bool
    """Whether the edge transcoded it from REST."""
    message: Any = None
    """The request of a call that was refused before it was read, where the audit log wants it."""
    _caller: str = ""

    def header(self, name: str) -> str:
        value = self.metadata.get(name, "")
        return value if isinstance(value, str) else ""

    def bind(self, request: RequestContext) -> None:
        self.request = request
        context.bind(request)

    @property
    def caller(self) -> str:
        """Whom to count the call for: the verified tenant, or the address of a caller without a token. Known once the
        token is verified."""
        if not self._caller:
            identity = self.request.identity
            if identity is not None:
                self._caller = identity.tenant.slug
            elif self.policy.internal:
                self._caller = _INTERNAL
            else:
                self._caller = f"@{network_of(self.request.peer_address)}"
        return self._caller


def open_call(policy: Policy, servicer_context: CallContext, edge_secret: bytes) -> Call:
    """Read the metadata and bind the request context. What only the edge may say is believed only where the call brings
    the edge's secret; without a secret nobody is believed."""
    metadata = dict(servicer_context.invocation_metadata() or ())
    started = time.monotonic()
    left = servicer_context.time_remaining()
    by_edge = _by_edge(metadata.get(EDGE_SECRET), edge_secret)
    address = _text(metadata, CLIENT_ADDRESS) if by_edge else ""
    request = RequestContext(
        _request_id(_text(metadata, _REQUEST_ID)),
        peer_address=address or _address(servicer_context.peer()),
        user_agent=_text(metadata, "user-agent"),
        deadline=None if left is None else started + left,
    )
    context.bind(request)
    return Call(policy, metadata, request, started, by_edge and REST in metadata)


def _by_edge(given: str | bytes | None, secret: bytes) -> bool:
    """Whether the call has proved that it comes from the edge."""
    return isinstance(given, str) and secret != b"" and hmac.compare_digest(given.encode(), secret)


def _address(peer: str) -> str:
    """The address alone of gRPC's "ipv4:127.0.0.1:5000" or "ipv6:%5B::1%5D:5000"."""
    return unquote(peer.partition(":")[2].rpartition(":")[0]).strip("[]")


def _request_id(given: str) -> str:
    return given if 0 < len(given) <= _MAX_REQUEST_ID else str(uuid.uuid4())


def _text(metadata: Metadata, name: str) -> str:
    value = metadata.get(name, "")
    return value if isinstance(value, str) else ""
