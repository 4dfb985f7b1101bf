"""Calls to Portico's other services: the caller's own identity, a deadline, retries, and errors of Portico's tree.

    inference = ServiceClient("inference", address)
    answer = await inference.call(stub.Embed, request, seconds=60.0)

A call is made on behalf of the present request or job (`core.rpc.channel.caller_metadata`), so it reaches the tenant
and project of its token and no others. What the other service refuses arrives as it was raised there, with its message,
its reason and its field. A service that cannot be reached is Unavailable.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
from google.rpc import error_details_pb2, status_pb2

from core import context, errors
from core.errors import SERVICE_AWAY, DeadlineExceeded, PorticoError, Unavailable
from core.resilience import Resilience, Retryable, RetryBudget, RetryPolicy
from core.rpc.channel import caller_metadata, open_channel
from core.rpc.errors import DOMAIN, ERROR_MAPPINGS

R = TypeVar("R")

_DETAILS = "grpc-status-details-bin"
_RETRIES = 2
_POLICY = RetryPolicy(attempts=_RETRIES + 1, initial=0.1, cap=1.0)
_C = grpc.StatusCode


class ServiceClient:
    """The connection to one service, for any of its stubs (`channel`). Close it at the end."""

    def __init__(self, service: str, address: str, resilience: Resilience | None = None) -> None:
        self._service = service
        self._resilience = resilience or Resilience(_POLICY)
        self.channel = open_channel(address)

    async def call(self, rpc: Callable[..., Awaitable[R]], request: Any, *, seconds: float) -> R:
        """Return the answer to a unary call, which takes `seconds` at most, and less where the caller's own deadline is
        nearer. A call that has not reached the service is made again, so it should do no harm twice."""

        async def attempt() -> R:
            try:
                return await rpc(request, metadata=caller_metadata(), timeout=_seconds_left(seconds))
            except grpc.aio.AioRpcError as error:
                raise self._failure(error) from None

        deadline = time.monotonic() + seconds
        return await self._resilience.call((self._service,), attempt, budget=RetryBudget(_RETRIES), deadline=deadline)

    async def stream(self, rpc: Callable[..., Any], request: Any, *, seconds: float) -> AsyncGenerator[Any, None]:
        """Yield the messages of a streamed answer. Close it if you leave early. It is never tried again."""
        call = rpc(request, metadata=caller_metadata(), timeout=_seconds_left(seconds))
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            failure = self._failure(error)
            raise (failure.error if isinstance(failure, Retryable) else failure) from None
        finally:
            call.cancel()

    async def close(self) -> None:
        await self.channel.close()

    def _failure(self, error: grpc.aio.AioRpcError) -> PorticoError | Retryable:
        known = error_of(error)
        if known is not None:
            return known
        if error.code() is _C.DEADLINE_EXCEEDED:
            return DeadlineExceeded(f"The {self._service} service took too long. Try again.")
        if error.code() is _C.UNAVAILABLE:
            return Retryable(
                Unavailable(
                    f"The {self._service} service cannot be reached now. Try again in a moment.",
                    reason=SERVICE_AWAY,
                    retry_after=1.0,
                )
            )
        return PorticoError(f"The {self._service} service failed. Quote the request id when you report it.")


def error_of(error: grpc.aio.AioRpcError) -> PorticoError | None:
    """The error that another service of Portico raised; None: it comes from the transport."""
    packed = next((value for name, value in error.trailing_metadata() or () if name == _DETAILS), None)
    if not isinstance(packed, bytes):
        return None
    status = status_pb2.Status.FromString(packed)
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        for message in (info, bad, retry):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    if info.domain != DOMAIN:
        return None
    return _class_of(error.code(), info.reason)(
        status.message,
        reason=info.reason,
        field=bad.field_violations[0].field if bad.field_violations else None,
        retry_after=retry.retry_delay.ToMilliseconds() / 1000 if retry.HasField("retry_delay") else None,
    )


def _class_of(code: grpc.StatusCode, reason: str) -> type[PorticoError]:
    """The class with this reason, or else the general one of the code."""
    classes = [cls for cls, row in ERROR_MAPPINGS.items() if row.code is code]
    return next(
        (cls for cls in classes if cls.default_reason == reason), classes[0] if classes else errors.PorticoError
    )


def _seconds_left(seconds: float) -> float:
    request = context.current()
    if request is None or request.deadline is None:
        return seconds
    return max(0.0, min(seconds, request.deadline - time.monotonic()))
