"""Routing, the innermost step of a model with several targets: plan, send, and move on where a target fails."""

import time
from collections.abc import Sequence

from core.errors import InvalidInput, PorticoError, RateLimited, Unavailable, UpstreamFailed
from core.http.errors import UpstreamTimeout
from core.resilience import WORTH_A_RETRY, Retryable
from services.inference.domain.pipeline.answer import Answer
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.routing.policies import measured, ordered
from services.inference.domain.routing.sending import ProviderSender
from services.inference.domain.routing.shadow import Shadow
from services.inference.domain.routing.targets import Target
from services.inference.domain.usage.calls import FAILOVER, FIRST

COOL_SECONDS = 1.0
"""Seconds for which a target is tried last after a failure, if it does not say itself when to come back."""
MAX_COOL_SECONDS = 60.0

ELSEWHERE = (UpstreamFailed, Unavailable, RateLimited, UpstreamTimeout)
"""Errors that another target may not have. All others are the client's own, or the end of the client's time."""


class Router:
    """Answers the exchanges of one model with the first of its targets that does."""

    def __init__(
        self, sender: ProviderSender, targets: Sequence[Target], policy: str, shadow: Shadow | None = None
    ) -> None:
        self._sender = sender
        self._targets = targets
        self._policy = policy
        self._shadow = shadow

    async def __call__(self, exchange: Exchange) -> Answer:
        """Raises PorticoError: a client's own mistake at once, else the error of the last target."""
        if self._shadow is not None:
            self._shadow.copy(exchange)
        call, retries = exchange.call, exchange.retries
        decision = call.decided()
        decision.policy = self._policy
        # Every target gets a chance, even if there are more of them than attempts.
        retries.left = max(retries.left, len(self._targets) - 1)
        before = call.attempts
        plan = ordered(self._targets, self._policy, time.monotonic())
        first, round, paid = plan[0], 1, True  # the first attempt is not taken from the retries
        while True:
            failure: PorticoError | Retryable | None = None
            again: list[Target] = []
            for target in plan:
                if not paid:
                    if retries.left <= 0:
                        break
                    retries.left -= 1
                made = call.attempts
                answer = await self._try(exchange, target)
                if isinstance(answer, Answer):
                    decision.reason = FIRST if target is first and call.attempts == before + 1 else FAILOVER
                    return answer
                paid = call.attempts == made
                failure = answer if failure is None or not paid else failure
                if isinstance(answer, WORTH_A_RETRY):
                    again.append(target)
            if failure is None or not again or not await self._sender.wait(exchange, round, failure):
                raise _told(failure, retried=call.attempts > before + 1)
            plan, round, paid = again, round + 1, True

    async def _try(self, exchange: Exchange, target: Target) -> Answer | PorticoError | Retryable:
        """The target's answer, or what it failed with if another one may do better. Raises PorticoError."""
        began, made = time.monotonic(), exchange.call.attempts
        target.in_progress += 1
        try:
            answer = await self._sender.once(exchange, target)
        except (PorticoError, Retryable) as error:
            target.in_progress -= 1
            if exchange.call.attempts == made and isinstance(error, InvalidInput):
                return error  # this target's codec cannot carry the request
            told = error.error if isinstance(error, Retryable) else error
            if not isinstance(told, ELSEWHERE):
                raise
            target.cool_until = time.monotonic() + min(told.retry_after or COOL_SECONDS, MAX_COOL_SECONDS)
            return error
        except BaseException:  # cancelled: the client has gone
            target.in_progress -= 1
            raise
        now = time.monotonic()
        measured(target, now - began, now)

        def ended(_: Answer) -> None:
            target.in_progress -= 1

        answer.when_ended(ended)
        return answer


def _told(failure: PorticoError | Retryable | None, *, retried: bool) -> PorticoError:
    """The error that the caller gets. It is `final` after several attempts, since callers retry too, and their attempts
    would multiply with these."""
    told = failure.error if isinstance(failure, Retryable) else failure
    assert told is not None
    told.final = told.final or retried
    return told
