"""Shadow traffic: copies of requests to a target that is tried out. It never touches the answer."""

import asyncio
from contextlib import suppress

from core import logs
from core.errors import PorticoError
from core.resilience import RetryBudget
from core.tasks import Tasks
from services.inference.domain.pipeline.answer import Answer
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.step import Step
from services.inference.domain.routing.sending import ProviderSender
from services.inference.domain.routing.targets import Target

MAX_SHADOWS = 16
"""Copies of one model's requests in progress; further ones are not sent."""
SHADOW_SECONDS = 600.0

log = logs.get(__name__)


class Shadow:
    """The shadow target of one model, and the share of the requests that it gets, 0 to 1."""

    def __init__(self, sender: ProviderSender, metering: Step, tasks: Tasks, target: Target, share: float) -> None:
        self._sender = sender
        self._metering = metering
        self._tasks = tasks
        self._target = target
        self._share = share
        self._turn = 0.0
        self._in_progress = 0

    def copy(self, exchange: Exchange) -> None:
        """Send a copy beside the call, if it is this one's turn. Never waits and never raises."""
        self._turn += self._share
        if self._turn < 1:
            return
        self._turn -= 1
        if self._in_progress >= MAX_SHADOWS:
            log.info("shadow request not sent", in_progress=self._in_progress)
            return
        call = exchange.call.shadow()
        copied = Exchange(call, exchange.request, exchange.request_id, exchange.stream, False, RetryBudget(0))
        with suppress(PorticoError):  # too much background work
            self._tasks.spawn("shadow request", self._run(copied))
            self._in_progress += 1

    async def _run(self, exchange: Exchange) -> None:
        try:
            async with asyncio.timeout(SHADOW_SECONDS):
                answer = await self._metering(exchange, self._send)
                try:
                    while not answer.ended:
                        await answer.next()
                finally:
                    await answer.close()
        except (PorticoError, TimeoutError):  # the usage record says so
            log.debug("shadow request failed")
        finally:
            self._in_progress -= 1

    async def _send(self, exchange: Exchange) -> Answer:
        return await self._sender.send(exchange, self._target)
