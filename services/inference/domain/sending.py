"""Requests to providers: with retries and circuit breaker, and their refusals as our errors."""

import asyncio

from core import logs
from core.errors import PorticoError
from core.http.ports import Stream
from core.resilience import RETRYABLE_STATUSES, Resilience, Retryable, RetryBudget
from core.runtime_pool import Lease, RuntimePool
from core.tasks import Tasks
from services.inference.domain.calls import Call
from services.inference.domain.errors import response_error
from services.inference.domain.routes import ClientKey, Route
from services.inference.ports import Client

_TOO_MANY, _OVERLOADED = 429, 529
_RETRYABLE = (RETRYABLE_STATUSES | {_OVERLOADED}) - {_TOO_MANY}
_MAX_ERROR_BYTES = 64 * 1024
_DRAIN_SECONDS = 2.0

log = logs.get(__name__)


class Sender:
    """Sends a call's request to its route: `attempts` times at most, the first one included."""

    def __init__(
        self, resilience: Resilience, clients: RuntimePool[ClientKey, Client], tasks: Tasks, *, attempts: int
    ) -> None:
        self._resilience = resilience
        self._clients = clients
        self._tasks = tasks
        self._retries = attempts - 1

    async def post(self, call: Call, route: Route, target: bytes, body: bytes) -> bytes:
        """The whole answer. Raises PorticoError."""
        with self._clients.lease(route.client_key) or await self._lease(route) as client:

            async def attempt() -> bytes:
                answer = await client.upstream.post(
                    target, client.headers, body, timeouts=route.timeouts, deadline=call.deadline
                )
                if answer.status != 200:
                    raise _refusal(answer.status, answer.body, answer.header("retry-after"), route)
                return answer.body

            return await self._resilience.call(
                route.breaker, attempt, budget=RetryBudget(self._retries), deadline=_give_up(call, route)
            )

    async def stream(self, call: Call, route: Route, target: bytes, body: bytes) -> Stream:
        """The answer from its head on; only the opening is retried. Raises PorticoError."""
        with self._clients.lease(route.client_key) or await self._lease(route) as client:

            async def attempt() -> Stream:
                answer = await client.upstream.stream(
                    target, client.headers, body, timeouts=route.timeouts, deadline=call.deadline
                )
                if answer.status == 200:
                    return answer
                async with answer:
                    text = await answer.read(_MAX_ERROR_BYTES)
                raise _refusal(answer.status, text, answer.header("retry-after"), route)

            return await self._resilience.call(
                route.breaker, attempt, budget=RetryBudget(self._retries), deadline=_give_up(call, route)
            )

    async def _lease(self, route: Route) -> Lease[Client]:
        return await self._clients.acquire(route.client_key, route.connect)

    def drain(self, stream: Stream) -> None:
        """Reads what follows the last event, so that the connection can be used again; nobody waits for it."""
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


def _refusal(status: int, body: bytes, retry_after: str | None, route: Route) -> PorticoError | Retryable:
    """What to raise. A rate limit is tried again only where the provider says when: sooner would make it worse."""
    seconds = _seconds(retry_after)
    error = response_error(status, body, seconds, route.scrub)
    worth_it = status in _RETRYABLE or (status == _TOO_MANY and seconds is not None)
    return Retryable(error, seconds) if worth_it else error


def _give_up(call: Call, route: Route) -> float:
    """When the provider must have begun to answer, all attempts together; monotonic seconds."""
    limit = call.started + route.timeouts.first_byte
    return limit if call.deadline is None else min(limit, call.deadline)


def _seconds(text: str | None) -> float | None:
    """Of a Retry-After header; None for dates and nonsense."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 86400 else None
