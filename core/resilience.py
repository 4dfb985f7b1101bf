"""Retries with backoff, behind a circuit breaker, for calls to providers."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from core.circuits import CircuitBreakers, Key, Outcome
from core.errors import DeadlineExceeded, PorticoError, RateLimited, Unavailable
from core.http.errors import BadResponse, TransportFailed, UpstreamTimeout

T = TypeVar("T")

RETRYABLE_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""A provider's answers that another attempt may change. An attempt turns them into Retryable."""


class Retryable(Exception):
    """An attempt failed in a way that another may not. `error` is what the caller gets when there is none;
    `retry_after` is what the provider asked for, in seconds."""

    def __init__(self, error: PorticoError, retry_after: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Times in seconds. Before attempt n+1 comes a wait of initial * 2^(n-1), `cap` at most, give or take the share
    `jitter`; or what the provider asked for if that is more, but a call that would have to wait longer than `patience`
    ends at once."""

    attempts: int = 3
    initial: float = 0.2
    cap: float = 5.0
    jitter: float = 0.25
    patience: float = 30.0


class RetryBudget:
    """Number of retries that one request of a caller may spend, over all its calls and layers."""

    __slots__ = ("left",)

    def __init__(self, retries: int = 2) -> None:
        self.left = retries


WORTH_A_RETRY = (Retryable, TransportFailed, UpstreamTimeout)
"""Failures of an attempt that another attempt may not have."""


class Resilience:
    """The one way to call a provider."""

    def __init__(
        self,
        policy: RetryPolicy | None = None,
        breakers: CircuitBreakers | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._policy = policy or RetryPolicy()
        self.breakers = breakers or CircuitBreakers(clock=clock)
        self._clock = clock
        self._sleep = sleep

    async def call(
        self, key: Key, attempt: Callable[[], Awaitable[T]], *, budget: RetryBudget, deadline: float | None = None
    ) -> T:
        """Call `attempt` until it succeeds, and return its result. `deadline` is on the monotonic clock, in seconds.

        For a stream `attempt` is its opening: what was already passed on cannot be taken back. Raises CircuitOpen
        without an attempt, or the error of the last one (of a Retryable, the error in it); it is `final` if it was not
        the first, since callers retry too, and their attempts would multiply with these.
        """
        probe = self.breakers.enter(key)
        retries = budget.left
        try:
            try:
                result = await attempt()
            except WORTH_A_RETRY as failure:
                if probe:  # one call may try, not one call three times
                    raise
                result = await self._again(failure, attempt, budget, deadline)
        except BaseException as error:
            self.breakers.leave(key, probe, _outcome(error))
            told = error.error if isinstance(error, Retryable) else error
            if isinstance(told, PorticoError) and budget.left < retries:
                told.final = True
            if isinstance(error, Retryable):
                if error.error.retry_after is None:
                    error.error.retry_after = error.retry_after
                raise error.error from error.__cause__
            raise
        self.breakers.leave(key, probe, Outcome.ANSWERED)
        return result

    async def once(self, key: Key, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call `attempt` a single time, behind the circuit breaker, for callers who have somewhere else to go. Raises
        CircuitOpen without an attempt, or what the attempt raises, a Retryable as it is."""
        probe = self.breakers.enter(key)
        try:
            result = await attempt()
        except BaseException as error:
            self.breakers.leave(key, probe, _outcome(error))
            raise
        self.breakers.leave(key, probe, Outcome.ANSWERED)
        return result

    async def wait(self, number: int, failure: Exception, budget: RetryBudget, deadline: float | None) -> bool:
        """Wait until another attempt may follow the failed attempt `number`, the first of which is 1, and take it from
        the budget. False at once where there must be none: the budget is spent, or the wait would be too long."""
        policy = self._policy
        pause = self._pause(number, failure)
        time_left = policy.patience if deadline is None else deadline - self._clock()
        if number >= policy.attempts or budget.left <= 0 or pause >= min(time_left, policy.patience):
            return False
        budget.left -= 1
        await self._sleep(pause)
        return True

    async def _again(
        self,
        failure: Exception,
        attempt: Callable[[], Awaitable[T]],
        budget: RetryBudget,
        deadline: float | None,
    ) -> T:
        """`failure` counts as the first attempt. Raises the failure of the last one."""
        number = 1
        while await self.wait(number, failure, budget, deadline):
            number += 1
            try:
                return await attempt()
            except WORTH_A_RETRY as error:
                failure = error
        raise failure

    def _pause(self, number: int, failure: Exception) -> float:
        """Seconds to wait after the attempt `number`, the first of which is 1."""
        policy = self._policy
        backoff = min(policy.cap, policy.initial * 2.0 ** (number - 1))
        asked = (failure.retry_after if isinstance(failure, Retryable) else None) or 0.0
        return max(backoff * random.uniform(1 - policy.jitter, 1 + policy.jitter), asked)


def _outcome(error: BaseException) -> Outcome:
    """A caller's mistake is an answer. So is "too many requests": the provider is well, says itself when to come back,
    and may still serve the tenant's other models, which an open circuit would cut off."""
    if isinstance(error, Retryable):
        return Outcome.ANSWERED if isinstance(error.error, RateLimited) else Outcome.FAILED
    if isinstance(error, (TransportFailed, UpstreamTimeout, BadResponse)):
        return Outcome.FAILED
    if isinstance(error, PorticoError) and not isinstance(error, (Unavailable, DeadlineExceeded)):
        return Outcome.ANSWERED
    return Outcome.UNKNOWN  # cancelled, out of the caller's time, no free connection, or a mistake of ours
