"""Admission, the step after metering: what a call will need is reserved under quotas and budgets before it is sent.

Metering charges what the usage record says, in place of what was reserved. A call that no limit holds for passes at the
cost of one look.
"""

from collections.abc import Awaitable, Sequence

from core.errors import PorticoError
from core.quotas.admission import Admission, Reservation
from core.quotas.rules import Amounts, Dimension, Rule, Subject, Window
from core.quotas.standing import too_large
from core.tenancy import Project
from services.inference.domain.admission.charged_stream import STEP_TOKENS, ChargedStream
from services.inference.domain.admission.estimates import input_tokens, most_output
from services.inference.domain.catalogue.models import LLM, Model
from services.inference.domain.catalogue.prices import Pricing
from services.inference.domain.pipeline.answer import Answer, WholeAnswer
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.step import Next, Step
from services.inference.domain.usage.calls import CHAT
from services.inference.domain.usage.metering import amounts_of
from services.inference.domain.usage.tokens import TokenUsage

OUTPUT_TOKENS = 1_024
"""Tokens that are reserved for a whole answer where neither the request nor a policy bounds it."""
MAX_TOKENS = "max_tokens"
_INPUT_FIELDS = {CHAT: "messages"}


class AdmissionSteps:
    """Makes the step of each model."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def step(self, project: Project, model: Model) -> Step:
        """See step.StepFactory."""
        return ModelAdmission(self._admission, project, model)


class ModelAdmission:
    """The step of one model."""

    def __init__(self, admission: Admission, project: Project, model: Model) -> None:
        self._admission = admission
        self._project = project
        self._model = model

    def __call__(self, exchange: Exchange, call_next: Next) -> Awaitable[Answer]:
        identity, model = exchange.call.identity, self._model
        subject = Subject(
            self._project, model.category, identity.subject, identity.token_id, model.key, model.provider_key
        )
        rules = self._admission.rules(subject)
        if rules is not None and not rules:
            return call_next(exchange)
        return self._admitted(exchange, call_next, subject)

    async def _admitted(self, exchange: Exchange, call_next: Next, subject: Subject) -> Answer:
        call, admission = exchange.call, self._admission
        rules = await admission.rules_for(subject)
        amounts, read = _REQUEST, 0
        if any(rule.dimension is not Dimension.REQUESTS for rule in rules):
            read = input_tokens(call.operation, exchange.request)
            exchange = self._capped(exchange, rules, read)
            amounts = self._amounts(exchange, read)
        if call.reservation is None:
            fields = {Dimension.INPUT_TOKENS: _INPUT_FIELDS.get(call.operation, "input"), Dimension.TOKENS: MAX_TOKENS}
            call.reservation = await admission.admit(subject, amounts, fields=fields)
        else:  # a dynamic model has chosen this one, or fallen back to it
            try:
                await admission.widen(call.reservation, subject, amounts)
            except PorticoError:  # refused: it consumes nothing, and a fallback is admitted anew
                call.reservation.release()
                call.reservation = None
                raise
        answer = await call_next(exchange)
        if exchange.stream and type(answer) is not WholeAnswer and _grows(call.reservation):
            return ChargedStream(answer, call.reservation, self._pricing, read)
        return answer

    @property
    def _pricing(self) -> Pricing:
        return self._model.pricing

    def _amounts(self, exchange: Exchange, read: int) -> Amounts:
        most = most_output(exchange.request) if self._model.category == LLM else 0
        if exchange.stream:  # it grows while it is streamed
            written = STEP_TOKENS if most is None else min(most, STEP_TOKENS)
        else:
            written = OUTPUT_TOKENS if most is None else most
        return amounts_of(TokenUsage(read, written), self._pricing)

    def _capped(self, exchange: Exchange, rules: Sequence[Rule], read: int) -> Exchange:
        """The exchange, whose answer must not be longer than limits of single calls allow. Raises InvalidInput."""
        if self._model.category != LLM:
            return exchange
        cap: tuple[int, Rule] | None = None
        for rule in rules:
            if rule.window is Window.REQUEST and rule.dimension in _BOUND_OUTPUT:
                allowed = rule.limit - (read if rule.dimension is Dimension.TOKENS else 0)
                if cap is None or allowed < cap[0]:
                    cap = allowed, rule
        if cap is None:
            return exchange
        allowed, rule = cap
        most = most_output(exchange.request)
        if allowed < 1 or (most is not None and most > allowed):
            asked = read + (most or 1) if rule.dimension is Dimension.TOKENS else most or 1
            raise too_large(rule, asked, MAX_TOKENS if allowed > 0 else "messages")
        return exchange if most is not None else exchange.with_request({**exchange.request, MAX_TOKENS: allowed})


_REQUEST: Amounts = {Dimension.REQUESTS: 1}
_BOUND_OUTPUT = (Dimension.OUTPUT_TOKENS, Dimension.TOKENS)


def _grows(reservation: Reservation) -> bool:
    return any(reservation.has(each) for each in (Dimension.TOKENS, Dimension.OUTPUT_TOKENS, Dimension.SPEND))
