"""A span for each call of a model, by OpenTelemetry's conventions for generative AI. It tells what was called and what
it took, and nothing of what was said."""

from functools import partial
from typing import Any

from opentelemetry.trace import Span

from core import telemetry
from services.inference.domain.pipeline.answer import Answer, WholeAnswer
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.metering_step import Metering
from services.inference.domain.pipeline.step import Next, Step, before
from services.inference.domain.usage.calls import EMBEDDING, ERROR, ModelCall

_OPERATIONS = {EMBEDDING: "embeddings"}
"""Names of operations that the conventions spell otherwise."""


def traced(metering: Metering) -> Step:
    """The outermost step of calls: metering alone, or, where tracing is on, within a span."""
    return metering if telemetry.tracer() is None else Tracing(metering)


class Tracing:
    """The step around metering. The provider's call continues the span's trace."""

    def __init__(self, metering: Metering) -> None:
        self._metering = metering

    async def __call__(self, exchange: Exchange, call_next: Next) -> Answer:
        call = exchange.call
        operation = _OPERATIONS.get(call.operation, call.operation)
        attributes = {"gen_ai.operation.name": operation, "gen_ai.request.model": call.model}
        span = telemetry.begin_call(f"{operation} {call.model}", attributes)
        try:
            with telemetry.within(span):
                answer = await before(self._metering, call_next)(exchange)
        except BaseException as error:
            _end(span, call, error=type(error).__name__)
            raise
        if type(answer) is WholeAnswer:
            _end(span, call)
        else:
            answer.when_ended(partial(_ended, span, call))
        return answer


def _ended(span: Span | None, call: ModelCall, answer: Answer) -> None:
    _end(span, call)


def _end(span: Span | None, call: ModelCall, *, error: str = "") -> None:
    if span is None:
        return
    usage = call.usage
    attributes: dict[str, Any] = {
        "gen_ai.usage.input_tokens": usage.input,
        "gen_ai.usage.output_tokens": usage.output,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_input,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
        "portico.request_id": call.request_id,
        "portico.status": call.status,
    }
    if call.target is not None:
        attributes |= {"gen_ai.provider.name": call.target.provider_key, "gen_ai.response.model": call.target.model_id}
    if call.finish_reason:
        attributes["gen_ai.response.finish_reasons"] = [call.finish_reason]
    failed = call.error_reason or error if call.status == ERROR or error else ""
    if failed:
        attributes["error.type"] = failed
    telemetry.end_call(span, attributes, failed)
