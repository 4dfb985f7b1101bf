"""The interceptor chain, the same for every RPC: telemetry > errors > stages > request > handler.

It wraps each handler once, whatever transport the calls come by, and runs the stages in order around every call. They
see its metadata alone: the request is read after them, so a caller who may not call cannot make the service receive
or parse a message.

It is no gRPC interceptor: an error raised in one would slip past the mapping. It writes streams itself, so that a
client's cancellation reaches the handler at once instead of waiting for the garbage collector.
"""

import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import grpc
from grpc.aio import AbortError
from opentelemetry.trace import SpanKind

from core import logs, telemetry
from core.config import Secret
from core.errors import PermissionDenied, PorticoError, RateLimited
from core.rpc.arrivals import Arrivals
from core.rpc.call import CallContext, RpcCall, Transport, open_call
from core.rpc.error_formats import trailing_metadata
from core.rpc.errors import grpc_message, internal, mapping_of
from core.rpc.headers import REST
from core.rpc.policy import Policy
from core.rpc.requests import Requests
from core.rpc.stages.stage import SUCCEEDED, Outcome, Stage

log = logs.get(__name__)

Run = Callable[[Any, Transport], Awaitable[Any]]
"""A call from its metadata to its end. The first argument is what gRPC gives for requests, and is not used: they are
read from the transport. Returns the message of a unary answer; a stream writes its own and returns None."""
_Handler = Callable[[Any, CallContext], Any]
_Respond = Callable[[RpcCall, Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC behind the chain."""

    policy: Policy
    run: Run
    serialize: Callable[[Any], bytes]
    takes_stream: bool
    gives_stream: bool


class Chain:
    """Wraps methods in the stages. One chain may stand in several servers and counts the calls of all."""

    def __init__(
        self, stages: Sequence[Stage], *, arrivals: Arrivals | None = None, edge_secret: Secret | None = None
    ) -> None:
        """Set up the chain. Without `edge_secret` no call is taken to come from the edge."""
        self._begin = tuple(stage.begin for stage in stages)
        self._end = tuple(stage.end for stage in reversed(stages))
        self._arrivals = Arrivals() if arrivals is None else arrivals
        self._edge_secret = b"" if edge_secret is None else edge_secret.reveal().encode()
        self._doubted = False

    def wrap(self, handler: grpc.RpcMethodHandler, policy: Policy, arriving_bytes: int = 0) -> Method:
        """`arriving_bytes` is as `Requests` has it."""
        inner: _Handler = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        streaming, deserialize = handler.request_streaming, handler.request_deserializer
        requests = Requests(policy, deserialize, self._arrivals, arriving_bytes, streaming=streaming)
        wrapped = self._stream if handler.response_streaming else self._unary
        run = wrapped(inner, policy, requests)
        return Method(policy, run, handler.response_serializer, handler.request_streaming, handler.response_streaming)

    def _unary(self, inner: _Handler, policy: Policy, requests: Requests) -> Run:
        async def respond(call: RpcCall, request: Any) -> Any:
            response = await inner(request, call)
            if headers := call.take_headers(success=True):
                await call.transport.send_initial_metadata(headers)
            return response

        return partial(self._call, policy, requests, respond)

    def _stream(self, inner: _Handler, policy: Policy, requests: Requests) -> Run:
        if inspect.iscoroutinefunction(inner):  # it writes to the context
            return self._unary(inner, policy, requests)
        if not inspect.isasyncgenfunction(inner):
            raise TypeError(f"{policy.method} must be an async generator")

        async def respond(call: RpcCall, request: Any) -> None:
            write = call.transport.write
            messages: AsyncGenerator[Any, None] = inner(request, call)
            first = True
            try:
                async for message in messages:
                    if first:
                        first = False
                        if headers := call.take_headers(success=True):
                            await call.transport.send_initial_metadata(headers)
                    await write(message)
                if first and (headers := call.take_headers(success=True)):
                    await call.transport.send_initial_metadata(headers)
            finally:  # `aclosing` costs more than all the rest of this
                await messages.aclose()

        return partial(self._call, policy, requests, respond)

    async def _call(self, policy: Policy, requests: Requests, respond: _Respond, _: Any, transport: Transport) -> Any:
        call = open_call(policy, transport, self._edge_secret)
        if not call.rest and REST in call.metadata:
            self._doubt()
        begun = 0
        outcome = SUCCEEDED
        try:
            with self._span(call):
                for begin in self._begin:
                    if (rest := begin(call)) is not None:
                        await rest
                    begun += 1
                return await respond(call, await requests.read(call))
        except PorticoError as error:
            failure = _bare(error)
            outcome = Outcome(mapping_of(error).code.name, failure)
            if begun < len(self._begin) and isinstance(error, PermissionDenied) and _concerns_a_resource(policy):
                call.message = await requests.look(call)
        except AbortError:
            outcome = Outcome(_name_of(transport.code()))
            raise
        except Exception:  # whatever it is, its text must not reach the client
            failure = internal()
            outcome = Outcome("INTERNAL", failure)
            log.exception("unhandled error", method=policy.method)
        except BaseException:
            outcome = Outcome("DEADLINE_EXCEEDED" if _late(call) else "CANCELLED", cancelled=True)
            raise
        finally:
            for end in self._end[len(self._end) - begun :]:
                end(call, outcome)
            telemetry.metrics().call(policy.method, outcome.code, time.monotonic() - call.started)
        return await _abort(call, failure)

    def _span(self, call: RpcCall) -> AbstractContextManager[Any]:
        """The span of the call, in the caller's trace."""
        if telemetry.tracer() is None or not call.policy.traced:
            return _NO_SPAN
        parent = telemetry.extract(call.metadata.items())
        return telemetry.span(call.policy.method, kind=SpanKind.SERVER, parent=parent)

    def _doubt(self) -> None:
        """Log once that a caller claims to be the edge: if it is the edge, the two do not have the same secret."""
        if not self._doubted:
            self._doubted = True
            log.warning("a call says that it comes from the edge but does not prove it; see PORTICO_EDGE_SECRET")


_NO_SPAN: AbstractContextManager[None] = nullcontext()


def _bare(error: PorticoError) -> PorticoError:
    """Copy the error without its traceback, whose frames hold the request: gRPC keeps what ends a call in a cycle,
    which stays until the garbage collector comes by."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


def _concerns_a_resource(policy: Policy) -> bool:
    """Return whether the audit log names the resource of a call that is refused before it is read."""
    return policy.audit is not None and bool(policy.audit.resource)


def _name_of(code: grpc.StatusCode | int) -> str:
    """grpc.aio tells the number of a status alone."""
    return code.name if isinstance(code, grpc.StatusCode) else _CODE_NAMES.get(code, "UNKNOWN")


_CODE_NAMES: dict[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}


def _late(call: RpcCall) -> bool:
    """Return whether the caller's deadline has passed."""
    deadline = call.request.deadline
    return deadline is not None and time.monotonic() >= deadline


async def _abort(call: RpcCall, error: PorticoError) -> NoReturn:
    """End the call with the error's status. Raises AbortError.

    Over REST the headers go with the status: without initial metadata the error has one block of headers, which the
    edge can still turn into an HTTP error. Native callers look for them where they are in a success.
    """
    mapping, headers = mapping_of(error), call.take_headers(success=False)
    if mapping.http >= 500 and not isinstance(error, RateLimited):
        log.warning("call failed", method=call.policy.method, reason=error.reason, code=mapping.code.name)
    metadata = trailing_metadata(error, call.request.request_id, rest=call.rest, format=call.policy.error_format)
    if call.rest:
        metadata = (*headers, *metadata)
    elif headers:
        await call.transport.send_initial_metadata(headers)
    await call.transport.abort(mapping.code, grpc_message(error), metadata)
