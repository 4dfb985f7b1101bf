import asyncio

import pytest

from core.circuits import CircuitBreakers, CircuitOpen, Outcome
from core.errors import DeadlineExceeded, InvalidInput, PorticoError, RateLimited, Unavailable, UpstreamFailed
from core.http.errors import BadResponse, ConnectionsBusy, TransportFailed, UpstreamTimeout
from core.resilience import Resilience, Retryable, RetryBudget, RetryPolicy

KEY = ("acme", "chat", "openai")


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Provider:
    """Raises the errors one by one, then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def resilience(time: Time) -> Resilience:
    return Resilience(clock=time.clock, sleep=time.sleep)


def _broken() -> TransportFailed:
    return TransportFailed("broke", sent=True)


def _overloaded(retry_after: float | None = None) -> Retryable:
    return Retryable(Unavailable("overloaded"), retry_after)


async def _fail(resilience: Resilience, times: int, error: type[Exception] = TransportFailed) -> None:
    for _ in range(times):
        with pytest.raises(error):
            await resilience.call(KEY, Provider(_broken()), budget=RetryBudget(0))


async def test_a_success_costs_one_attempt(resilience: Resilience, time: Time) -> None:
    provider = Provider()
    assert await resilience.call(KEY, provider, budget=RetryBudget()) == "answer"
    assert (provider.asked, time.slept) == (1, [])


@pytest.mark.parametrize("error", [_broken(), UpstreamTimeout("slow", sent=True), _overloaded()], ids=repr)
async def test_small_failures_are_survived(resilience: Resilience, time: Time, error: Exception) -> None:
    provider = Provider(error)
    assert await resilience.call(KEY, provider, budget=RetryBudget()) == "answer"
    assert provider.asked == 2
    [wait] = time.slept
    assert 0.15 <= wait <= 0.25


async def test_a_provider_that_always_fails_is_asked_three_times(resilience: Resilience, time: Time) -> None:
    provider = Provider(*(_broken() for _ in range(10)))
    with pytest.raises(TransportFailed):
        await resilience.call(KEY, provider, budget=RetryBudget(100))
    assert provider.asked == 3
    assert 0.15 <= time.slept[0] <= 0.25
    assert 0.3 <= time.slept[1] <= 0.5


async def test_nested_retries_do_not_multiply(resilience: Resilience) -> None:
    """A layer above that retries too shares the request's budget."""
    provider = Provider(*(_broken() for _ in range(20)))
    budget = RetryBudget()

    async def inner() -> str:
        return await resilience.call(KEY, provider, budget=budget)

    with pytest.raises(TransportFailed):
        await resilience.call(("acme", "outer"), inner, budget=budget)
    assert provider.asked == 3


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("bad"),
        UpstreamFailed("401"),
        BadResponse("nonsense"),
        DeadlineExceeded("the caller's"),
        ConnectionsBusy("busy"),
        KeyError("a mistake of ours"),
        asyncio.CancelledError(),
    ],
    ids=repr,
)
async def test_what_no_other_attempt_would_change_is_not_retried(resilience: Resilience, error: BaseException) -> None:
    provider = Provider(error)
    with pytest.raises(type(error)):
        await resilience.call(KEY, provider, budget=RetryBudget())
    assert provider.asked == 1


async def test_a_retryable_surfaces_as_the_error_in_it(resilience: Resilience) -> None:
    with pytest.raises(RateLimited) as failure:
        await resilience.call(KEY, Provider(Retryable(RateLimited("slow down"), 7.0)), budget=RetryBudget(0))
    assert failure.value.retry_after == 7.0


@pytest.mark.parametrize("error", [TransportFailed("broke", sent=True), Retryable(Unavailable("busy"))], ids=repr)
async def test_an_error_after_retries_is_final(resilience: Resilience, error: Exception) -> None:
    """code_puppy#317: three attempts of ours for each of three of the client's were nine upstream calls."""
    with pytest.raises(Unavailable) as failure:
        await resilience.call(KEY, Provider(error, error, error), budget=RetryBudget())
    assert failure.value.final
    with pytest.raises(Unavailable) as failure:
        await resilience.call(KEY, Provider(Retryable(Unavailable("once"))), budget=RetryBudget(0))
    assert not failure.value.final


async def test_the_last_error_is_the_one_that_surfaces(resilience: Resilience) -> None:
    with pytest.raises(InvalidInput):
        await resilience.call(KEY, Provider(_broken(), InvalidInput("bad")), budget=RetryBudget())


async def test_retry_after_is_waited_for(resilience: Resilience, time: Time) -> None:
    provider = Provider(_overloaded(3.0))
    assert await resilience.call(KEY, provider, budget=RetryBudget(), deadline=time.now + 10) == "answer"
    assert time.slept == [3.0]


async def test_a_shorter_retry_after_does_not_shorten_the_backoff(resilience: Resilience, time: Time) -> None:
    await resilience.call(KEY, Provider(_overloaded(0.01)), budget=RetryBudget())
    assert time.slept[0] >= 0.15


@pytest.mark.parametrize(("retry_after", "time_left"), [(11.0, 10.0), (3600.0, None)])
async def test_a_retry_after_that_is_too_long_ends_the_call_at_once(
    resilience: Resilience, time: Time, retry_after: float, time_left: float | None
) -> None:
    provider = Provider(_overloaded(retry_after))
    deadline = None if time_left is None else time.now + time_left
    with pytest.raises(Unavailable) as failure:
        await resilience.call(KEY, provider, budget=RetryBudget(), deadline=deadline)
    assert failure.value.retry_after == retry_after
    assert (provider.asked, time.slept) == (1, [])


async def test_no_retry_without_time_left(resilience: Resilience, time: Time) -> None:
    provider = Provider(_broken())
    with pytest.raises(TransportFailed):
        await resilience.call(KEY, provider, budget=RetryBudget(), deadline=time.now + 0.1)
    assert provider.asked == 1


async def test_backoff_is_capped(time: Time) -> None:
    resilience = Resilience(RetryPolicy(attempts=10, cap=1.0), clock=time.clock, sleep=time.sleep)
    with pytest.raises(TransportFailed):
        await resilience.call(KEY, Provider(*(_broken() for _ in range(10))), budget=RetryBudget(100))
    assert len(time.slept) == 9
    assert max(time.slept) <= 1.25


async def test_five_failed_calls_open_the_circuit(resilience: Resilience, time: Time) -> None:
    await _fail(resilience, 5)
    provider = Provider()
    time.now += 10
    with pytest.raises(CircuitOpen) as refusal:
        await resilience.call(KEY, provider, budget=RetryBudget())
    assert provider.asked == 0
    assert refusal.value.reason == "CIRCUIT_OPEN"
    assert refusal.value.retry_after == pytest.approx(20.0)
    assert resilience.breakers.open_keys() == [KEY]


async def test_a_call_counts_once_with_all_its_attempts(resilience: Resilience) -> None:
    for _ in range(4):
        with pytest.raises(TransportFailed):
            await resilience.call(KEY, Provider(*(_broken() for _ in range(3))), budget=RetryBudget())
    assert await resilience.call(KEY, Provider(), budget=RetryBudget()) == "answer"


async def test_one_tenants_circuit_is_not_anothers(resilience: Resilience) -> None:
    await _fail(resilience, 5)
    other = ("globex", *KEY[1:])
    assert await resilience.call(other, Provider(), budget=RetryBudget()) == "answer"


@pytest.mark.parametrize(
    "answer",
    [InvalidInput("bad"), UpstreamFailed("401"), Retryable(RateLimited("429"))],
    ids=repr,
)
async def test_an_answer_ends_a_row_of_failures(resilience: Resilience, answer: Exception) -> None:
    """Callers' mistakes and "too many requests" come from a provider that is well."""
    await _fail(resilience, 4)
    with pytest.raises(PorticoError):
        await resilience.call(KEY, Provider(answer), budget=RetryBudget(0))
    await _fail(resilience, 4)
    assert resilience.breakers.open_keys() == []


@pytest.mark.parametrize("error", [asyncio.CancelledError(), DeadlineExceeded("x"), ConnectionsBusy("x"), KeyError()])
async def test_what_says_nothing_changes_nothing(resilience: Resilience, error: BaseException) -> None:
    await _fail(resilience, 4)
    for _ in range(3):
        with pytest.raises(type(error)):
            await resilience.call(KEY, Provider(error), budget=RetryBudget(0))
    assert resilience.breakers.open_keys() == []
    await _fail(resilience, 1)
    assert resilience.breakers.open_keys() == [KEY]


async def test_exactly_one_probe(resilience: Resilience, time: Time) -> None:
    await _fail(resilience, 5)
    time.now += 30
    probing, answer = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        probing.set()
        await answer.wait()
        return "answer"

    probe = asyncio.create_task(resilience.call(KEY, slow, budget=RetryBudget()))
    await probing.wait()
    for _ in range(3):
        with pytest.raises(CircuitOpen) as refusal:
            await resilience.call(KEY, Provider(), budget=RetryBudget())
        assert refusal.value.retry_after
    answer.set()
    assert await probe == "answer"
    assert await resilience.call(KEY, Provider(), budget=RetryBudget()) == "answer"
    assert resilience.breakers.open_keys() == []


async def test_a_failed_probe_is_not_retried_and_opens_again(resilience: Resilience, time: Time) -> None:
    await _fail(resilience, 5)
    time.now += 30
    provider = Provider(_broken(), _broken())
    with pytest.raises(TransportFailed):
        await resilience.call(KEY, provider, budget=RetryBudget())
    assert provider.asked == 1
    with pytest.raises(CircuitOpen) as refusal:
        await resilience.call(KEY, Provider(), budget=RetryBudget())
    assert refusal.value.retry_after == pytest.approx(30.0)


async def test_a_cancelled_probe_leaves_its_place(resilience: Resilience, time: Time) -> None:
    """Else one impatient caller would keep the circuit open for ever."""
    await _fail(resilience, 5)
    time.now += 30
    probe = asyncio.create_task(resilience.call(KEY, asyncio.Event().wait, budget=RetryBudget()))
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.wait([probe])
    assert await resilience.call(KEY, Provider(), budget=RetryBudget()) == "answer"


def test_a_late_call_does_not_decide_for_the_probe() -> None:
    breakers = CircuitBreakers(threshold=1)
    late_success, late_failure = breakers.enter(KEY), breakers.enter(KEY)
    breakers.leave(KEY, breakers.enter(KEY), Outcome.FAILED)
    breakers.leave(KEY, late_success, Outcome.ANSWERED)
    breakers.leave(KEY, late_failure, Outcome.FAILED)
    with pytest.raises(CircuitOpen):
        breakers.enter(KEY)


def test_memory_is_bounded() -> None:
    breakers = CircuitBreakers(threshold=1, capacity=10)
    for number in range(100):
        breakers.leave(("acme", str(number)), breakers.enter(("acme", str(number))), Outcome.FAILED)
    assert breakers.open_keys() == [("acme", str(number)) for number in range(90, 100)]


def test_a_healthy_key_takes_no_memory() -> None:
    breakers = CircuitBreakers()
    breakers.leave(KEY, breakers.enter(KEY), Outcome.FAILED)
    breakers.leave(KEY, breakers.enter(KEY), Outcome.ANSWERED)
    assert not breakers._circuits
