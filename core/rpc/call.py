"""RpcCall, an RPC on its way through the chain, and the port to its transport."""

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
from core.rpc.error_formats import ErrorFormat
from core.rpc.headers import CLIENT_ADDRESS, EDGE_SECRET, HTTP_STATUS, REST
from core.rpc.policy import Policy

_REQUEST_ID = "x-request-id"
_ANTHROPIC_REQUEST_ID = "request-id"
"""Header in which Anthropic's clients look for the id, of answers and errors."""
_MAX_REQUEST_ID = 128
_INTERNAL = "internal"

Metadata = Mapping[str, str | bytes]
Pairs = Iterable[tuple[str, str | bytes]]
Headers = tuple[tuple[str, str], ...]


class Transport(Protocol):
    """One RPC as its transport has it: the part of grpc.aio's ServicerContext that the chain uses."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...

    def peer(self) -> str:
        """Return the peer's address as gRPC writes it: "ipv4:127.0.0.1:5000"."""

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline; None: there is none."""

    async def read(self) -> Any:
        """The next request message as bytes; grpc.aio.EOF where there is none."""

    @property
    def arrived(self) -> bool:
        """True if `read` has nothing to wait for. Only a transport that refuses messages by the RPC's own limit has
        this."""

    async def send_initial_metadata(self, metadata: Pairs) -> None:
        """Send the initial metadata: at most once, before the first message."""

    async def write(self, message: Any) -> None: ...

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Pairs = ()) -> NoReturn:
        """End the call with a status. Raises AbortError."""

    def code(self) -> grpc.StatusCode | int:
        """The status that `abort` has set."""


class CallContext(Protocol):
    """One RPC as its servicer sees it, on whatever transport it came."""

    @property
    def metadata(self) -> Metadata:
        """The request's metadata by name in lower case; of a repeated name the last value."""

    @property
    def rest(self) -> bool:
        """True if the edge transcoded the call from REST."""

    def header(self, name: str) -> str:
        """A header of the request as text; empty where there is none."""

    def add_header(self, name: str, value: str, *, native: bool = False) -> None:
        """Add a header to the answer over REST; with `native` also to the initial metadata of native gRPC calls. `name`
        is in lower case, `value` in ASCII. All headers are sent with the first message, or with the error in its place:
        raises RuntimeError after that."""

    def set_http_status(self, status: int) -> None:
        """The HTTP status of a success over REST, where it is not what the contract names. As for headers, it must be
        set before the first message."""


@dataclass(slots=True)
class RpcCall:
    """One RPC on its way through the stages."""

    policy: Policy
    metadata: Metadata
    request: RequestContext
    started: float
    rest: bool
    transport: Transport
    outer: bool = True
    """A call of a client's, not one that another service makes on the way. Where the edge proves itself, what does not
    come from it is made by a service."""
    message: Any = None
    """The request of a call that was refused before it was read, where the audit log wants it."""
    _caller: str = ""
    _headers: Headers = ()
    _native_headers: Headers = ()
    _http_status: int = 0
    _answered: bool = False
    """The first message, or the error in its place, is being sent."""

    def header(self, name: str) -> str:
        return _text(self.metadata, name)

    def add_header(self, name: str, value: str, *, native: bool = False) -> None:
        if self._answered:
            raise RuntimeError(f"the header {name} comes after the first message of the answer")
        header = (name, value)
        self._headers = (*self._headers, header)
        if native:
            self._native_headers = (*self._native_headers, header)

    def set_http_status(self, status: int) -> None:
        if self._answered:
            raise RuntimeError("the HTTP status comes after the first message of the answer")
        self._http_status = status

    def take_headers(self, *, success: bool) -> Headers:
        """Return the headers added to the answer, as initial metadata of a `success`, or to go with an error. Empty at
        the second call, and nothing can be added any more."""
        if self._answered:
            return ()
        self._answered = True
        if not self.rest:
            return self._native_headers
        status = self._http_status or self.policy.http_success
        if success and status != 200:
            return (*self._headers, (HTTP_STATUS, str(status)))
        return self._headers

    async def write(self, message: Any) -> None:
        """Send a message of a stream. For servicers that do not yield their answers, such as gRPC's own."""
        if not self._answered and (headers := self.take_headers(success=True)):
            await self.transport.send_initial_metadata(headers)
        await self.transport.write(message)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Pairs = ()) -> NoReturn:
        """End the call with a status. For gRPC's own servicers: Portico's raise a PorticoError."""
        await self.transport.abort(code, details, trailing_metadata)

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


def open_call(policy: Policy, transport: Transport, edge_secret: bytes) -> RpcCall:
    """Read the metadata and bind the request context. What only the edge may say is believed only where the call brings
    the edge's secret; without a secret nobody is believed."""
    metadata = dict(transport.invocation_metadata() or ())
    started = time.monotonic()
    left = transport.time_remaining()
    by_edge = _by_edge(metadata.get(EDGE_SECRET), edge_secret)
    address = _text(metadata, CLIENT_ADDRESS) if by_edge else ""
    request = RequestContext(
        _request_id(_text(metadata, _REQUEST_ID)),
        peer_address=address or _address(transport.peer()),
        user_agent=_text(metadata, "user-agent"),
        deadline=None if left is None else started + left,
    )
    context.bind(request)
    rest, outer = by_edge and REST in metadata, by_edge or not edge_secret
    call = RpcCall(policy, metadata, request, started, rest, transport, outer)
    if policy.error_format is ErrorFormat.ANTHROPIC:
        call.add_header(_ANTHROPIC_REQUEST_ID, request.request_id)
    return call


def _by_edge(given: str | bytes | None, secret: bytes) -> bool:
    """Return whether the call has proved that it comes from the edge."""
    return isinstance(given, str) and secret != b"" and hmac.compare_digest(given.encode(), secret)


def _address(peer: str) -> str:
    """The address alone of gRPC's "ipv4:127.0.0.1:5000" or "ipv6:%5B::1%5D:5000"."""
    return unquote(peer.partition(":")[2].rpartition(":")[0]).strip("[]")


def _request_id(given: str) -> str:
    return given if 0 < len(given) <= _MAX_REQUEST_ID else str(uuid.uuid4())


def _text(metadata: Metadata, name: str) -> str:
    value = metadata.get(name, "")
    return value if isinstance(value, str) else ""
