"""The pipeline: every call to a model, of every frontend, goes through here.

The order of the steps, outermost first:

    metering            a usage record of every call, refused ones too; before the model is looked up
    admission           quotas and budgets: reserve before, settle when the answer has ended
    prompt              a prompt that the request names becomes messages
    memory              recalls memories for the chat, and stores it when it has been answered
    input guardrails
    PII policy          after the guardrails, which see what was said; before all that leaves the service
    cache
    output guardrails
    routing             the innermost: it sends the request to a target

`steps` is the list of those between metering and routing that the service has. They are compiled for a model when its
route is made, so one that does not apply to a model is not even called for it.
"""

from collections.abc import Awaitable, Callable, Sequence

from core.resilience import RetryBudget
from services.inference.domain.catalogue.models import LLM
from services.inference.domain.guardrails.steps import GuardrailSteps, PiiSteps
from services.inference.domain.memory.uses import FIELD as MEMORY
from services.inference.domain.pipeline import requests
from services.inference.domain.pipeline.answer import Answer
from services.inference.domain.pipeline.exchange import Body, Exchange
from services.inference.domain.pipeline.native import NativeRequest
from services.inference.domain.pipeline.step import Step, StepFactory, steps_of_fields
from services.inference.domain.routing.routes import Routes
from services.inference.domain.usage import calls

METADATA = "metadata"
"""Field of a request that tells its tags."""


def steps(
    *, admission: StepFactory, prompt: StepFactory, memory: StepFactory, guardrails: GuardrailSteps, pii: PiiSteps
) -> Sequence[StepFactory]:
    """The steps of a route in their order, without the first and the last."""
    asked_for = steps_of_fields({requests.PROMPT: prompt, MEMORY: memory})
    return (admission, asked_for, guardrails.input, pii.step, guardrails.output)


class Pipeline:
    """Answers exchanges. `attempts` is the most that one of them may send to providers, the first included.
    `apply_prompt` gives a request that is to be counted the text of its prompt."""

    def __init__(
        self,
        routes: Routes,
        metering: Step,
        apply_prompt: Callable[[Exchange], Awaitable[Exchange]],
        *,
        attempts: int,
    ) -> None:
        self._routes = routes
        self._apply_prompt = apply_prompt
        self._metering = metering
        self._retries = attempts - 1

    async def chat(self, request: Body | NativeRequest) -> tuple[Exchange, Answer]:
        """Answer a chat of the present caller. Raises PorticoError."""
        native, body = (request, request.canonical) if isinstance(request, NativeRequest) else (None, request)
        requests.check_chat(body)
        streamed = bool(body.get("stream"))
        exchange = self._begin(calls.CHAT, body, streamed, streamed and requests.wants_usage(body))
        exchange.native = native
        return exchange, await self._metering(exchange, self._routed)

    async def count_tokens(self, request: NativeRequest) -> int:
        """Count the tokens that a chat would let the model read. It is no call to a model, so nothing is recorded.
        Raises PorticoError."""
        requests.check_chat(request.canonical)
        exchange = self._begin(calls.CHAT, request.canonical, False, False)
        exchange.native = request
        route = await self._routes.find(exchange.call.identity.project, exchange.call.model, LLM)
        return await route.count(await self._apply_prompt(exchange))

    async def embeddings(self, request: Body) -> tuple[Exchange, Answer]:
        """Answer a canonical embedding request of the present caller. Raises PorticoError."""
        requests.check_embedding(request)
        exchange = self._begin(calls.EMBEDDING, request, False, False)
        return exchange, await self._metering(exchange, self._routed)

    async def rerank(self, request: Body) -> tuple[Exchange, Answer]:
        """Answer a canonical rerank request of the present caller. Raises PorticoError."""
        requests.check_rerank(request)
        exchange = self._begin(calls.RERANK, request, False, False)
        return exchange, await self._metering(exchange, self._routed)

    def _routed(self, exchange: Exchange) -> Awaitable[Answer]:
        call = exchange.call
        route = self._routes.known(call.identity.project, call.model, calls.CATEGORIES[call.operation])
        return self._looked_up(exchange) if route is None else route.answer(exchange)

    async def _looked_up(self, exchange: Exchange) -> Answer:
        call = exchange.call
        route = await self._routes.find(call.identity.project, call.model, calls.CATEGORIES[call.operation])
        return await route.answer(exchange)

    def _begin(self, operation: str, request: Body, stream: bool, with_usage: bool) -> Exchange:
        call = calls.begin(operation, request["model"], streamed=stream)
        if METADATA in request:
            call.tags = calls.tags_of(request[METADATA])
        own = requests.own_request_id(request, call.request_id) if requests.REQUEST_ID in request else call.request_id
        return Exchange(call, request, own, stream, with_usage, RetryBudget(self._retries))
