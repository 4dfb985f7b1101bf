"""Requests to providers: with retries and circuit breaker, and their refusals as our errors."""

import asyncio

from core import logs
from core.errors import PorticoError
from core.http.ports import Stream
from core.tasks import Tasks
from services.inference.domain.calls import Call
from services.inference.domain.errors import response_error
from services.inference.domain.routes import Route
from services.inference.ports import Resilience

_MAX_ERROR_BYTES = 64 * 1024
_DRAIN_SECONDS = 2.0

log = logs.get(__name__)


class Sender:
    """Sends a call's request to its route."""

    def __init__(self, resilience: Resilience, tasks: Tasks) -> None:
        self._resilience = resilience
        self._tasks = tasks

    async def post(self, call: Call, route: Route, target: bytes, body: bytes) -> bytes:
        """The whole answer. Raises PorticoError."""
        client = route.client

        async def attempt() -> bytes:
            answer = await client.upstream.post(
                target, client.headers, body, timeouts=route.timeouts, deadline=call.deadline
            )
            if answer.status != 200:
                raise response_error(
                    answer.status, answer.body, _retry_after(answer.header("retry-after")), route.scrub
                )
            return answer.body

        return await self._resilience.call(route.breaker, attempt)

    async def stream(self, call: Call, route: Route, target: bytes, body: bytes) -> Stream:
        """The answer from its head on; only the opening is retried. Raises PorticoError."""
        client = route.client

        async def attempt() -> Stream:
            answer = await client.upstream.stream(
                target, client.headers, body, timeouts=route.timeouts, deadline=call.deadline
            )
            if answer.status == 200:
                return answer
            async with answer:
                text = await answer.read(_MAX_ERROR_BYTES)
            raise response_error(answer.status, text, _retry_after(answer.header("retry-after")), route.scrub)

        return await self._resilience.call(route.breaker, attempt)

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


def _retry_after(text: str | None) -> float | None:
    """Seconds; None for dates and nonsense."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 86400 else None
