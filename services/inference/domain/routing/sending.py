"""Send requests to providers, with retries and a circuit breaker; refusals become Portico's errors."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from core import logs, telemetry
from core.errors import PorticoError
from core.http.errors import UpstreamTimeout
from core.http.ports import Stream
from core.offload import offload
from core.resilience import RETRYABLE_STATUSES, Resilience, Retryable
from core.runtime_pool import Lease, RuntimePool
from core.tasks import Tasks
from services.inference.domain.codecs.codec import Decoded, Encoded
from services.inference.domain.codecs.errors import Refusal
from services.inference.domain.codecs.headers import Headers, forbids_retry, rate_limits, retry_after
from services.inference.domain.codecs.openai.completions import chunks_of
from services.inference.domain.pipeline.answer import Answer, WholeAnswer
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.step import Next
from services.inference.domain.routing.streams import KeepAlive, ProviderStream
from services.inference.domain.routing.targets import ClientKey, Target
from services.inference.domain.usage import calls
from services.inference.ports import Client

_TOO_MANY, _OVERLOADED = 429, 529
_RETRYABLE = (RETRYABLE_STATUSES | {_OVERLOADED}) - {_TOO_MANY}
MAX_ERROR_BYTES = 64 * 1024
_DRAIN_SECONDS = 2.0

log = logs.get(__name__)


class ProviderSender:
    """Sends an exchange to a target. A body of more than `max_answer_bytes` is refused."""

    def __init__(
        self,
        resilience: Resilience,
        clients: RuntimePool[ClientKey, Client],
        tasks: Tasks,
        keep_alive: KeepAlive,
        *,
        max_answer_bytes: int,
    ) -> None:
        self._resilience = resilience
        self._clients = clients
        self._tasks = tasks
        self._keep_alive = keep_alive
        self._max_answer_bytes = max_answer_bytes

    def to(self, target: Target) -> Next:
        """`send` to this target."""
        return partial(self._send, target)

    def send(self, exchange: Exchange, target: Target) -> Awaitable[Answer]:
        """The answer of a target. Raises PorticoError."""
        return self._send(target, exchange)

    async def _send(self, target: Target, exchange: Exchange) -> Answer:
        """The target's answer: of a stream, once its first chunk has come. Nothing is tried again after that. Raises
        PorticoError."""
        exchange.call.target = target
        encoded = target.codec.encode(exchange, target)
        with self._clients.lease(target.client_key) or await self._lease(target) as client:
            attempt = self._stream if encoded.stream else self._post
            return await self._resilience.call(
                target.breaker,
                partial(attempt, exchange, target, encoded, client),
                budget=exchange.retries,
                deadline=_give_up(exchange, target),
            )

    async def once(self, exchange: Exchange, target: Target) -> Answer:
        """As `send`, in one attempt and within the target's own time limits. Raises Retryable, too."""
        exchange.call.target, exchange.call.first_byte = target, 0.0
        encoded = target.codec.encode(exchange, target)
        seconds = target.first_token_seconds if encoded.stream else target.whole_seconds
        with self._clients.lease(target.client_key) or await self._lease(target) as client:
            attempt = partial(self._stream if encoded.stream else self._post, exchange, target, encoded, client)
            return await self._resilience.once(
                target.breaker, attempt if seconds is None else partial(_within, seconds, attempt)
            )

    async def wait(self, exchange: Exchange, round: int, failure: Exception) -> bool:
        """Wait until all targets may be tried again; False where they must not. See `Resilience.wait`."""
        return await self._resilience.wait(round, failure, exchange.retries, exchange.call.deadline)

    async def _post(self, exchange: Exchange, target: Target, encoded: Encoded, client: Client) -> Answer:
        exchange.call.attempts += 1
        headers: Headers = {}
        try:
            answer = await client.upstream.post(
                target.path,
                client.headers,
                encoded.data,
                extra_headers=encoded.headers + telemetry.headers(),
                timeouts=target.timeouts,
                deadline=exchange.call.deadline,
            )
            headers = answer.headers
            if not 200 <= answer.status < 300:
                raise target.codec.refusal(answer.status, answer.body, target)
            read = await offload(partial(target.codec.whole, answer.body, exchange, target), len(answer.body))
            return _whole(exchange, encoded, read, headers)
        except (Refusal, PorticoError) as error:
            raise _noted(exchange, target, error, headers) from None

    async def _stream(self, exchange: Exchange, target: Target, encoded: Encoded, client: Client) -> Answer:
        exchange.call.attempts += 1
        answer: Stream | None = None
        try:
            answer = await client.upstream.stream(
                target.path,
                client.headers,
                encoded.data,
                extra_headers=encoded.headers + telemetry.headers(),
                timeouts=target.timeouts,
                deadline=exchange.call.deadline,
            )
            if not 200 <= answer.status < 300:
                raise target.codec.refusal(answer.status, await answer.read(MAX_ERROR_BYTES), target)
            return await self._opened(exchange, target, encoded, answer)
        except BaseException as error:
            if answer is not None:
                await answer.aclose()
            if isinstance(error, Refusal | PorticoError):
                raise _noted(exchange, target, error, answer.headers if answer is not None else {}) from None
            raise

    async def _opened(self, exchange: Exchange, target: Target, encoded: Encoded, answer: Stream) -> Answer:
        """A stream with its first chunk, or the whole answer of a provider that does not stream. Raises Refusal,
        PorticoError."""
        chunks = target.codec.stream(exchange, target)
        limits = rate_limits(answer.headers)
        stream = ProviderStream(exchange, answer, chunks, self._keep_alive, self._drain, encoded.dropped, limits)
        start = await stream.open(early=target.first_token_seconds is None)
        if start is None:
            return stream
        data = start + await answer.read(self._max_answer_bytes, seconds=target.timeouts.body)
        read = await offload(partial(target.codec.whole, data, exchange, target), len(data))
        return _whole(exchange, encoded, read, answer.headers)

    async def _lease(self, target: Target) -> Lease[Client]:
        return await self._clients.acquire(target.client_key, target.make_client)

    def _drain(self, stream: Stream) -> None:
        """Read what follows the last event, so that the connection can be used again; nobody waits for it."""
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


async def _within(seconds: float, attempt: Callable[[], Awaitable[Answer]]) -> Answer:
    """The attempt's answer. Raises UpstreamTimeout where it takes longer."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await attempt()
    except TimeoutError:
        if not limit.expired():
            raise
        raise UpstreamTimeout("The provider took too long to answer.", sent=True) from None


def _noted(
    exchange: Exchange, target: Target, failure: Refusal | PorticoError, headers: Headers
) -> PorticoError | Retryable:
    """The error to raise for a failed attempt, which the call keeps in mind."""
    error = _error(failure, headers) if isinstance(failure, Refusal) else failure
    told = error.error if isinstance(error, Retryable) else error
    exchange.call.failed_at(target, told.reason)
    return error


def _error(refused: Refusal, headers: Headers) -> PorticoError | Retryable:
    """The error to raise. A rate limit is tried again only where the provider says when: sooner would make it worse."""
    error, status = refused.error, refused.status
    error.headers = rate_limits(headers)
    if status == _TOO_MANY or status in _RETRYABLE or status >= 500:
        seconds = retry_after(headers)
        error.retry_after = error.retry_after if seconds is None else seconds
    error.final = error.final or forbids_retry(headers)
    again = status in _RETRYABLE or (status == _TOO_MANY and error.retry_after is not None)
    return Retryable(error, error.retry_after) if again and not error.final else error


def _whole(exchange: Exchange, encoded: Encoded, read: Decoded, headers: Headers) -> WholeAnswer:
    call = exchange.call
    call.first_byte = call.first_byte or calls.now()
    chunks = chunks_of(read.body, with_usage=exchange.with_usage) if exchange.stream else [read.body]
    return WholeAnswer(chunks, read.usage, read.finish_reason, encoded.dropped, rate_limits(headers))


def _give_up(exchange: Exchange, target: Target) -> float:
    """The time until which a provider must have begun to answer, over all attempts; monotonic seconds."""
    call = exchange.call
    limit = call.started + target.timeouts.first_byte
    return limit if call.deadline is None else min(limit, call.deadline)
