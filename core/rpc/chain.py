"""The interceptor chain, the same for every RPC: telemetry > errors > load shedding > audit > auth > tenant > quota.

It wraps each handler once, whatever transport the calls come by, and then runs the stages in order around every call.
It is no gRPC interceptor: an error raised in one would slip past the mapping. It writes streams itself, so that a
client's cancellation reaches the handler at once instead of waiting for the garbage collector.
"""

import hmac
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, Protocol
from urllib.parse import unquote

import grpc
from grpc.aio import AbortError
from opentelemetry.trace import SpanKind

from core import context, logs, telemetry
from core.config import Secret
from core.context import Identity, Kind, RequestContext
from core.errors import PermissionDenied, PorticoError, RateLimited, Unauthenticated, Unavailable
from core.identity import TokenVerifier
from core.permissions import allows
from core.rate_limits import RateLimits
from core.rpc import reply
from core.rpc.errors import HTTP_STATUS, grpc_message, internal, trailing_metadata, wire_of
from core.rpc.parsing import Parser, Received, message_of, messages_of
from core.rpc.policy import Policy

log = logs.get(__name__)

SERVICE_SECRET = "x-portico-service-secret"  # noqa: S105  # the name of a header
_REST = "x-portico-rest"
_REQUEST_ID = "x-request-id"
_MAX_REQUEST_ID = 128
_BEARER = "Bearer "


@dataclass(slots=True)
class Call:
    """One RPC on its way through the stages."""

    policy: Policy
    metadata: Mapping[str, str | bytes]
    request: RequestContext
    started: float
    received: Any
    """The request as the transport gave it: `Received`, or an iterator of them."""

    @property
    def rest(self) -> bool:
        """Whether the edge transcoded it from REST."""
        return _REST in self.metadata

    def header(self, name: str) -> str:
        value = self.metadata.get(name, "")
        return value if isinstance(value, str) else ""

    def bind(self, request: RequestContext) -> None:
        self.request = request
        context.bind(request)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: the name of its gRPC code, and the error that the caller is told; None: it succeeded, or was
    cancelled."""

    code: str
    error: PorticoError | None = None


SUCCEEDED = Outcome("OK")


class Stage(Protocol):
    """One concern. `begin` may refuse the call by raising a PorticoError; `end` runs for every stage that began."""

    async def begin(self, call: Call) -> None: ...

    def end(self, call: Call, outcome: Outcome) -> None: ...


class LoadShedding:
    """Refuses at once what would only wait: more than `limit` calls in flight."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_flight = 0

    async def begin(self, call: Call) -> None:
        if self._in_flight >= self._limit:
            raise Unavailable("Too many calls at once. Try again in a moment.", reason="OVERLOADED", retry_after=1.0)
        self._in_flight += 1

    def end(self, call: Call, outcome: Outcome) -> None:
        self._in_flight -= 1


class Auth:
    """Verifies who calls and whether the RPC's rule lets them: permission comes before existence."""

    def __init__(self, verifier: TokenVerifier, service_secret: Secret) -> None:
        self._verifier = verifier
        self._secret = service_secret.reveal().encode()

    async def begin(self, call: Call) -> None:
        policy = call.policy
        if policy.public:
            return
        if policy.internal:
            if not hmac.compare_digest(call.header(SERVICE_SECRET).encode(), self._secret):
                raise Unauthenticated("This call is for Portico's own services.")
            return
        identity = self._identify(call)
        if policy.scope and not allows(identity.scopes, policy.scope):
            raise PermissionDenied(
                f"The token lacks the scope {policy.scope}.", reason="MISSING_SCOPE", metadata={"scope": policy.scope}
            )

    def _identify(self, call: Call) -> Identity:
        authorization = call.header("authorization")
        if not authorization.startswith(_BEARER):
            raise Unauthenticated(
                "No token. Send one as 'Authorization: Bearer ptc_...'; POST /v1/tokens makes one.", reason="NO_TOKEN"
            )
        token = authorization[len(_BEARER) :]
        identity = self._verifier.verify(token)
        old = call.request
        call.bind(RequestContext(old.request_id, identity, token, old.peer_address, old.user_agent, old.deadline))
        return identity

    def end(self, call: Call, outcome: Outcome) -> None:
        pass


class Quota:
    """Requests per token, for whoever set a limit. Services' own calls are not counted."""

    def __init__(self, limits: RateLimits, limit: str) -> None:
        self._limits = limits
        self._limit = limit

    async def begin(self, call: Call) -> None:
        identity = call.request.identity
        if identity is not None and identity.kind is not Kind.SERVICE:
            await self._limits.hit(identity.project, f"calls:{identity.token_id}", self._limit)

    def end(self, call: Call, outcome: Outcome) -> None:
        pass


class CallContext(Protocol):
    """What the chain and the servicers need of a transport: the part of gRPC's ServicerContext that they use."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...

    def peer(self) -> str:
        """As gRPC writes it: "ipv4:127.0.0.1:5000"."""

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline; None: there is none."""

    async def send_initial_metadata(self, metadata: Iterable[tuple[str, str | bytes]]) -> None: ...

    async def write(self, message: Any) -> None: ...

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Iterable[tuple[str, str | bytes]] = ()
    ) -> NoReturn:
        """Raises AbortError."""


Handler = Callable[[Any, CallContext], Any]
Read = Callable[[Any], Awaitable[Any]]
"""Of what a transport gives as the request. Raises InvalidInput."""


class Chain:
    """Wraps methods in the stages. One set of stages may stand in several chains and counts the calls of all."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    def wrap(self, handler: grpc.RpcMethodHandler, policy: Policy) -> grpc.RpcMethodHandler:
        make = {
            (False, False): (grpc.unary_unary_rpc_method_handler, self._unary, handler.unary_unary),
            (False, True): (grpc.unary_stream_rpc_method_handler, self._stream, handler.unary_stream),
            (True, False): (grpc.stream_unary_rpc_method_handler, self._unary, handler.stream_unary),
            (True, True): (grpc.stream_stream_rpc_method_handler, self._stream, handler.stream_stream),
        }
        factory, wrap, inner = make[handler.request_streaming, handler.response_streaming]
        parser = Parser(handler.request_deserializer)
        read = messages_of if handler.request_streaming else message_of
        return factory(wrap(inner, policy, read), partial(Received, parser), handler.response_serializer)

    def _unary(self, inner: Handler, policy: Policy, read: Read) -> Handler:
        async def unary(request: Any, servicer_context: CallContext) -> Any:
            async def run(call: Call) -> Any:
                response = await inner(await read(request), servicer_context)
                if call.rest:
                    await _send_head(policy, servicer_context)
                return response

            return await self._call(policy, servicer_context, request, run)

        return unary

    def _stream(self, inner: Handler, policy: Policy, read: Read) -> Handler:
        if not inspect.isasyncgenfunction(inner):
            raise TypeError(f"{policy.method} must be an async generator")

        async def stream(request: Any, servicer_context: CallContext) -> None:
            async def run(call: Call) -> None:
                write = servicer_context.write
                messages: AsyncIterator[Any] = inner(await read(request), servicer_context)
                head = call.rest
                async with aclosing(messages):  # type: ignore[type-var]  # an async generator, as checked above
                    async for message in messages:
                        if head:
                            head = False
                            await _send_head(policy, servicer_context)
                        await write(message)

            await self._call(policy, servicer_context, request, run)

        return stream

    async def _call(
        self, policy: Policy, servicer_context: CallContext, request: Any, run: Callable[[Call], Awaitable[Any]]
    ) -> Any:
        call = _open(policy, servicer_context, request)
        begun = 0
        outcome = SUCCEEDED
        try:
            parent = telemetry.extract(call.metadata.items())
            with telemetry.span(policy.method, kind=SpanKind.SERVER, parent=parent):
                for stage in self._stages:
                    await stage.begin(call)
                    begun += 1
                return await run(call)
        except PorticoError as error:
            outcome = Outcome(wire_of(error).code.name, error)
            await _abort(call, servicer_context, error)
        except AbortError:
            raise
        except Exception:  # whatever it is, its text must not reach the client
            outcome = Outcome("INTERNAL", internal())
            log.exception("unhandled error", method=policy.method)
            await _abort(call, servicer_context, internal())
        except BaseException:
            outcome = Outcome("CANCELLED")
            raise
        finally:
            for stage in reversed(self._stages[:begun]):
                stage.end(call, outcome)
            telemetry.metrics().call(policy.method, outcome.code, time.monotonic() - call.started)


async def _send_head(policy: Policy, servicer_context: CallContext) -> None:
    """What the edge is to make of a success."""
    headers = reply.headers()
    if (status := reply.status() or policy.http_success) != 200:
        headers = (*headers, (HTTP_STATUS, str(status)))
    if headers:
        await servicer_context.send_initial_metadata(headers)


def _open(policy: Policy, servicer_context: CallContext, received: Any) -> Call:
    metadata = dict(servicer_context.invocation_metadata() or ())
    started = time.monotonic()
    left = servicer_context.time_remaining()
    request = RequestContext(
        request_id=_request_id(metadata),
        peer_address=_text(metadata, "x-client-address") or _address(servicer_context.peer()),
        user_agent=_text(metadata, "user-agent"),
        deadline=None if left is None else started + left,
    )
    context.bind(request)
    return Call(policy, metadata, request, started, received)


def _address(peer: str) -> str:
    """The address alone of gRPC's "ipv4:127.0.0.1:5000" or "ipv6:%5B::1%5D:5000"."""
    return unquote(peer.partition(":")[2].rpartition(":")[0]).strip("[]")


def _request_id(metadata: Mapping[str, str | bytes]) -> str:
    given = _text(metadata, _REQUEST_ID)
    return given if 0 < len(given) <= _MAX_REQUEST_ID else str(uuid.uuid4())


def _text(metadata: Mapping[str, str | bytes], name: str) -> str:
    value = metadata.get(name, "")
    return value if isinstance(value, str) else ""


async def _abort(call: Call, servicer_context: CallContext, error: PorticoError) -> None:
    """Ends the call with the error's status. Raises AbortError."""
    wire = wire_of(error)
    if wire.http >= 500 and not isinstance(error, RateLimited):
        log.warning("call failed", method=call.policy.method, reason=error.reason, code=wire.code.name)
    metadata = trailing_metadata(error, call.request.request_id, rest=call.rest)
    if call.rest:
        metadata = (*reply.headers(), *metadata)
    await servicer_context.abort(wire.code, grpc_message(error), metadata)
