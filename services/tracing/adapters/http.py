"""Calls to servers that tenants name: metrics pages and webhooks, all behind the outbound guard."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from core.errors import PorticoError, Unavailable, UpstreamFailed
from core.http.client import HttpClient
from core.http.guard import OutboundGuard
from core.http.headers import header_block
from core.http.origin import Origin
from core.http.ports import Response, Timeouts
from core.tenancy import Project

MAX_METRICS_BYTES = 8 * 1024 * 1024
MAX_ANSWER_BYTES = 64 * 1024
"""Bytes of a webhook's answer, of which nothing is read but the status."""


class MetricsOverHttp:
    """The FetchMetrics of the ports: GET <base URL>/metrics. `seconds` bounds each phase of the exchange."""

    def __init__(self, guard: OutboundGuard, *, seconds: float) -> None:
        self._guard = guard
        self._timeouts = _timeouts(seconds)

    async def __call__(self, project: Project, base_url: str, api_key: str) -> bytes:
        headers = {"Accept": "text/plain;version=0.0.4, */*;q=0.1", "User-Agent": "portico"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        origin = Origin.parse(base_url)
        async with _client(origin, self._guard, self._timeouts, MAX_METRICS_BYTES) as client:
            path = origin.path.removesuffix("/metrics") + "/metrics"
            answer = await client.get(path.encode(), header_block(origin, headers))
        if answer.status != 200:
            raise UpstreamFailed(f"The server answered {answer.status} instead of its metrics.")
        return answer.body


class Webhooks:
    """The PostWebhook of the ports."""

    def __init__(self, guard: OutboundGuard, *, seconds: float) -> None:
        self._guard = guard
        self._timeouts = _timeouts(seconds)

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        origin, target = _parsed(url)
        async with _client(origin, self._guard, self._timeouts, MAX_ANSWER_BYTES) as client:
            answer = await client.post(target, header_block(origin, {"User-Agent": "portico", **headers}), body)
        _check(answer)


@asynccontextmanager
async def _client(
    origin: Origin, guard: OutboundGuard, timeouts: Timeouts, max_response_bytes: int
) -> AsyncIterator[HttpClient]:
    client = HttpClient(origin, guard, timeouts=timeouts, max_connections=1, max_response_bytes=max_response_bytes)
    try:
        yield client
    finally:
        await client.close()


def _timeouts(seconds: float) -> Timeouts:
    return Timeouts(pool=seconds, connect=seconds, first_byte=seconds, idle=seconds, body=seconds)


def _parsed(url: str) -> tuple[Origin, bytes]:
    """The origin of a webhook and its path with the query, which Slack-compatible servers may put a token into."""
    base, mark, query = url.partition("?")
    origin = Origin.parse(base, field="url")
    return origin, f"{origin.path or '/'}{mark}{query}".encode()


def _check(answer: Response) -> None:
    """Raise Unavailable where another attempt may succeed, UpstreamRefused where it will not."""
    if answer.status in range(200, 300):
        return
    message = f"The webhook answered {answer.status}."
    if answer.status in (408, 425, 429) or answer.status >= 500:
        raise Unavailable(message)
    raise PorticoError(message, reason="WEBHOOK_REFUSED")
