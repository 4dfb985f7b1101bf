"""A vLLM server's metrics page, made by prometheus_client as vLLM makes it, with the names of its current version.

    python -m tests.support.fake_vllm PORT TOKENS_PER_SECOND

serves one whose counters grow by themselves, until it is killed.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

LABELS = ("model_name", "engine")
SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass
class Engine:
    """One engine of a server: the metrics of a model."""

    server: "FakeVllm"
    model: str
    number: str = "0"

    def generate(self, requests: int, tokens: int, *, prompt: int = 10, latency: float = 0.3) -> None:
        """Have requests ended, with so many tokens in all."""
        labels = (self.model, self.number)
        self.server.prompt.labels(*labels).inc(prompt * requests)
        self.server.generation.labels(*labels).inc(tokens)
        self.server.success.labels(*labels, "stop").inc(requests)
        self.server.queries.labels(*labels).inc(prompt * requests)
        self.server.hits.labels(*labels).inc(prompt * requests / 2)
        for _ in range(requests):
            self.server.first_token.labels(*labels).observe(latency / 10)
            self.server.latency.labels(*labels).observe(latency)
            self.server.per_token.labels(*labels).observe(latency / 100)

    def set(self, *, running: int = 0, waiting: int = 0, cache: float = 0.0) -> None:
        labels = (self.model, self.number)
        self.server.running.labels(*labels).set(running)
        self.server.waiting.labels(*labels).set(waiting)
        self.server.cache.labels(*labels).set(cache)


@dataclass
class FakeVllm:
    """`authorization` is what the last request was signed in with; `body`, where set, is served instead."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    authorization: str | None = None
    body: bytes | None = None
    status: int = 200
    requests: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        def counter(name: str, *more: str) -> Counter:
            return Counter(name, name, (*LABELS, *more), registry=self.registry)

        def gauge(name: str) -> Gauge:
            return Gauge(name, name, LABELS, registry=self.registry)

        def histogram(name: str) -> Histogram:
            return Histogram(name, name, LABELS, buckets=SECONDS, registry=self.registry)

        ProcessCollector(registry=self.registry)
        self.running, self.waiting = gauge("vllm:num_requests_running"), gauge("vllm:num_requests_waiting")
        self.cache = gauge("vllm:kv_cache_usage_perc")
        self.prompt, self.generation = counter("vllm:prompt_tokens"), counter("vllm:generation_tokens")
        self.success = counter("vllm:request_success", "finished_reason")
        self.queries, self.hits = counter("vllm:prefix_cache_queries"), counter("vllm:prefix_cache_hits")
        self.first_token = histogram("vllm:time_to_first_token_seconds")
        self.per_token = histogram("vllm:inter_token_latency_seconds")
        self.latency = histogram("vllm:e2e_request_latency_seconds")
        self.engine().set()  # a server names its model before its first request

    def engine(self, model: str = "llama", number: str = "0") -> Engine:
        return Engine(self, model, number)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def text(self) -> bytes:
        return generate_latest(self.registry)

    async def serve(self, request: web.Request) -> web.Response:
        self.requests += 1
        self.authorization = request.headers.get("Authorization")
        body = self.text() if self.body is None else self.body
        return web.Response(body=body, status=self.status, content_type="text/plain")


@asynccontextmanager
async def fake_vllm(port: int = 0) -> AsyncIterator[FakeVllm]:
    """A server in this event loop."""
    server = FakeVllm()
    app = web.Application()
    app.router.add_get("/metrics", server.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


async def _main(port: int, tokens_per_second: float) -> None:
    async with fake_vllm(port) as server:
        engine, begun, tokens = server.engine(), time.monotonic(), 0
        engine.set(running=2, waiting=1, cache=0.5)
        while True:
            due = int((time.monotonic() - begun) * tokens_per_second)
            engine.generate(1, due - tokens)
            tokens = due
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2])))
