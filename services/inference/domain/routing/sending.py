"""Sending of requests to providers, with retries and a circuit breaker; refusals become Portico's errors."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from core import logs
from core.errors import PorticoError
from core.http.ports import Stream
from core.offload import offload
from core.resilience import RETRYABLE_STATUSES, Resilience, Retryable, RetryBudget
from core.runtime_pool import Lease, RuntimePool
from core.tasks import Tasks
from services.inference.domain.codecs.errors import Refusal, refusal
from services.inference.domain.codecs.headers import Headers, forbids_retry, rate_limits, retry_after
from services.inference.domain.routing.routes import ClientKey, Route
from services.inference.domain.usage.calls import ModelCall
from services.inference.ports import Client

T = TypeVar("T")

_TOO_MANY, _OVERLOADED = 429, 529
_RETRYABLE = (RETRYABLE_STATUSES | {_OVERLOADED}) - {_TOO_MANY}
MAX_ERROR_BYTES = 64 * 1024
_DRAIN_SECONDS = 2.0

log = logs.get(__name__)


class ProviderSender:
    """Sends a call's request to its route: `attempts` times at most, the first one included."""

    def __init__(
        self, resilience: Resilience, clients: RuntimePool[ClientKey, Client], tasks: Tasks, *, attempts: int
    ) -> None:
        self._resilience = resilience
        self._clients = clients
        self._tasks = tasks
        self._retries = attempts - 1

    async def post(self, call: ModelCall, route: Route, target: bytes, body: bytes, read: Callable[[bytes], T]) -> T:
        """Send a request and return what `read` makes of the whole answer, if that is large in the worker thread; it
        may raise Refusal, which is then as good as a refusing status. Raises PorticoError."""
        with self._clients.lease(route.client_key) or await self._lease(route) as client:

            async def attempt() -> T:
                answer = await client.upstream.post(
                    target, client.headers, body, timeouts=route.timeouts, deadline=call.deadline
                )
                try:
                    if not 200 <= answer.status < 300:
                        raise refusal(answer.status, answer.body, route.scrub)
                    call.limits = rate_limits(answer.headers)
                    return await offload(partial(read, answer.body), len(answer.body))
                except Refusal as refused:
                    raise _error(refused, answer.headers) from None

            return await self._resilience.call(
                route.breaker, attempt, budget=RetryBudget(self._retries), deadline=_give_up(call, route)
            )

    async def stream(
        self, call: ModelCall, route: Route, target: bytes, body: bytes, begin: Callable[[Stream], Awaitable[T]]
    ) -> T:
        """Send a request and return what `begin` makes of an answer whose head has come; it may raise Refusal as in
        `post`. Nothing is tried again once it has returned. Raises PorticoError."""
        with self._clients.lease(route.client_key) or await self._lease(route) as client:

            async def attempt() -> T:
                answer = await client.upstream.stream(
                    target, client.headers, body, timeouts=route.timeouts, deadline=call.deadline
                )
                try:
                    if not 200 <= answer.status < 300:
                        raise refusal(answer.status, await answer.read(MAX_ERROR_BYTES), route.scrub)
                    call.limits = rate_limits(answer.headers)
                    return await begin(answer)
                except Refusal as refused:
                    await answer.aclose()
                    raise _error(refused, answer.headers) from None
                except BaseException:
                    await answer.aclose()
                    raise

            return await self._resilience.call(
                route.breaker, attempt, budget=RetryBudget(self._retries), deadline=_give_up(call, route)
            )

    async def _lease(self, route: Route) -> Lease[Client]:
        return await self._clients.acquire(route.client_key, route.make_client)

    def drain(self, stream: Stream) -> None:
        """Read what follows the last event, so that the connection can be used again; nobody waits for it."""
        try:
            self._tasks.spawn("drain stream", _drain(stream))
        except PorticoError:  # too much background work: the stream closes its connection when it is forgotten
            log.debug("stream not drained")


async def _drain(stream: Stream) -> None:
    async with stream:
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for _ in stream:
                    pass
        except (PorticoError, TimeoutError):
            log.debug("provider did not end its stream")


def _error(refused: Refusal, headers: Headers) -> PorticoError | Retryable:
    """The error to raise. A rate limit is tried again only where the provider says when: sooner would make it worse."""
    error, status = refused.error, refused.status
    error.headers = rate_limits(headers)
    if status == _TOO_MANY or status in _RETRYABLE or status >= 500:
        seconds = retry_after(headers)
        error.retry_after = error.retry_after if seconds is None else seconds
    error.final = error.final or forbids_retry(headers)
    again = status in _RETRYABLE or (status == _TOO_MANY and error.retry_after is not None)
    return Retryable(error, error.retry_after) if again and not error.final else error


def _give_up(call: ModelCall, route: Route) -> float:
    """The time until which a provider must have begun to answer, over all attempts; monotonic seconds."""
    limit = call.started + route.timeouts.first_byte
    return limit if call.deadline is None else min(limit, call.deadline)
