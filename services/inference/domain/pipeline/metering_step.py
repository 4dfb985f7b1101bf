"""Metering, the outermost step: a usage record of every call, whatever became of it."""

from functools import partial

from core.errors import PorticoError
from services.inference.domain.pipeline.answer import Answer, WholeAnswer
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.step import Next
from services.inference.domain.usage import tokens
from services.inference.domain.usage.calls import CANCELLED, CHAT, ERROR, ModelCall
from services.inference.domain.usage.metering import Meter


class Metering:
    """The step. Nothing of it runs per chunk: the answer tells when it has ended."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    async def __call__(self, exchange: Exchange, call_next: Next) -> Answer:
        call = exchange.call
        try:
            answer = await call_next(exchange)
        except PorticoError as error:
            call.status, call.error_reason = ERROR, error.reason
            self._meter.add(call)
            await self._settled()
            raise
        except BaseException:  # cancelled: the client has gone
            call.status = CANCELLED
            if call.operation == CHAT:
                call.usage = tokens.estimated(tokens.request_characters(exchange.request), 0)
            self._meter.add(call)
            raise
        if type(answer) is WholeAnswer:  # it is there, and nobody can change it any more
            self._add(call, answer)
            await self._settled()
        else:
            answer.when_ended(partial(self._add, call))
            answer.settling = self._meter.synced
        return answer

    async def _settled(self) -> None:
        if self._meter.synced is not None:
            await self._meter.synced()

    def _add(self, call: ModelCall, answer: Answer) -> None:
        call.status, call.usage, call.finish_reason = answer.status, answer.usage, answer.finish_reason
        if answer.error is not None:
            call.error_reason = answer.error.reason
        self._meter.add(call)
