"""The tracing service under load: spans a second, CPU time of a span, lists and timelines of a large tenant, another
tenant's chats beside it.

    python -m tests.load.bench_tracing                          # 2,000 spans/s for a minute, then 1,000,000 spans
    python -m tests.load.bench_tracing --seconds 10 --spans 0   # a short look

Exporters send requests that were serialised before, so that their own CPU time is small; they are OpenTelemetry's over
gRPC, through the edge.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import grpc

from tests.load import processes
from tests.load.span_data import SPANS_OF_A_TRACE, requests
from tests.support.cluster import Cluster, Rest
from tests.support.connections import http_session

EXPORTERS = 8
BATCH = 128
"""Spans of a request: a quarter of what exporters hold at most, so that requests come evenly."""
_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_CHATS_A_SECOND = 20
_PREPARED = 400
"""Requests that are made before, and sent in turn. Each carries traces of its own."""


@dataclass
class Sent:
    """Outcome of a load."""

    spans: int = 0
    failed: int = 0
    seconds: float = 0.0


async def export(cluster: Cluster, token: str, prepared: Sequence[bytes], rate: float | None) -> Sent:
    """Send all requests by eight exporters, at so many spans a second in all; None: as fast as they are taken."""
    sent, bearer = Sent(), (("authorization", f"Bearer {token}"),)
    began = time.monotonic()

    async def run(number: int) -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{cluster.port}") as channel:
            call = channel.unary_unary(_EXPORT)
            for turn, data in enumerate(prepared[number::EXPORTERS]):
                if rate is not None:
                    due = began + (turn * EXPORTERS + number) * BATCH / rate
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                try:
                    await call(data, metadata=bearer, timeout=60)
                    sent.spans += BATCH
                except grpc.aio.AioRpcError as error:
                    sent.failed += BATCH
                    print(f"  failed: {error.code()} {error.details()}", file=sys.stderr)

    await asyncio.gather(*map(run, range(EXPORTERS)))
    sent.seconds = time.monotonic() - began
    return sent


async def stored(rest: Rest, token: str) -> tuple[int, int]:
    """Sessions and their events, as the agents' totals say."""
    agents = (await rest.ok("GET", "/v1/tracing/agents", token=token))["agents"]
    return sum(each["sessionCount"] for each in agents), sum(each["totals"]["events"] for each in agents)


async def chats(rest: Rest, token: str, seconds: float) -> list[float]:
    """Milliseconds of chats that begin at an even pace."""
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hello, Portico!"}]}
    took: list[float] = []

    async def chat() -> None:
        began = time.perf_counter()
        await rest.ok("POST", "/v1/chat/completions", body, token=token)
        took.append((time.perf_counter() - began) * 1000)

    running = []
    for _ in range(int(seconds * _CHATS_A_SECOND)):
        running.append(asyncio.create_task(chat()))
        await asyncio.sleep(1 / _CHATS_A_SECOND)
    await asyncio.gather(*running)
    return took


def percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]


async def rated(cluster: Cluster, rest: Rest, token: str, seconds: float, rate: float) -> None:
    prepared = list(requests(int(seconds * rate / BATCH), BATCH, seed=1))
    assert cluster.process is not None
    before = processes.tree(cluster.process.pid)
    sent = await export(cluster, token, prepared, rate)
    sessions, events = await stored(rest, token)
    used = processes.tree(cluster.process.pid).cpu_since(before)
    print(f"{sent.spans} spans in {sent.seconds:.1f} s ({sent.spans / sent.seconds:.0f}/s), {sent.failed} failed")
    print(f"stored: {events} events in {sessions} sessions; lost: {sent.spans - events}")
    share = ", ".join(f"{name} {cpu / sent.spans * 1000:.3f}" for name, cpu in used.items() if cpu > 0.05)
    print(f"CPU of a span: {sum(used.values()) / sent.spans * 1000:.3f} ms ({share})")


async def beside(cluster: Cluster, rest: Rest, spans: str, chatting: str, seconds: float, rate: float) -> None:
    prepared = list(requests(int(seconds * rate / BATCH), BATCH, seed=2))
    await chats(rest, chatting, 2)
    alone = await chats(rest, chatting, seconds)
    together, _ = await asyncio.gather(chats(rest, chatting, seconds), export(cluster, spans, prepared, rate))
    for name, took in (("alone", alone), ("beside spans", together)):
        print(f"chats {name}: p50 {percentile(took, 50):.1f} ms, p99 {percentile(took, 99):.1f} ms ({len(took)})")


async def large(cluster: Cluster, rest: Rest, token: str, spans: int) -> None:
    _, known = await stored(rest, token)
    began = time.monotonic()
    while (missing := spans - known) > 0:
        count = min(_PREPARED, -(-missing // BATCH))
        known += (await export(cluster, token, list(requests(count, BATCH, seed=known)), None)).spans
    print(f"filled to {known} spans in {time.monotonic() - began:.0f} s")
    page = await rest.ok("GET", "/v1/tracing/sessions?pageSize=200", token=token)
    ids = [each["id"] for each in page["sessions"]]
    paths: dict[str, Callable[[], str]] = {
        "list": lambda: "/v1/tracing/sessions?pageSize=50",
        "list of an agent": lambda: "/v1/tracing/sessions?pageSize=50&agent=agent-1",
        "list with a search that finds nothing": lambda: "/v1/tracing/sessions?pageSize=50&search=nowhere",
        "timeline": lambda: f"/v1/tracing/sessions/{random.choice(ids)}?includeEventContent=false",
        "timeline with contents": lambda: f"/v1/tracing/sessions/{random.choice(ids)}",
        "threads": lambda: "/v1/tracing/threads",
        "agents": lambda: "/v1/tracing/agents",
    }
    for name, path in paths.items():
        took = []
        for _ in range(30 if name in ("threads", "agents") else 100):
            at = time.perf_counter()
            await rest.ok("GET", path(), token=token)
            took.append((time.perf_counter() - at) * 1000)
        print(f"{name}: p50 {percentile(took, 50):.0f} ms, p95 {percentile(took, 95):.0f} ms")


async def main(given: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "data").start()
        try:
            async with http_session() as http:
                rest = Rest(cluster.url, http)
                owner = await rest.register()
                token = await rest.token(owner.session)
                print(f"{EXPORTERS} exporters, {BATCH} spans a request, {SPANS_OF_A_TRACE} spans a trace")
                await rated(cluster, rest, token, given.seconds, given.rate)
                if given.chat_seconds:
                    await beside(cluster, rest, token, cluster.dev_token, given.chat_seconds, given.rate)
                if given.spans:
                    await large(cluster, rest, token, given.spans)
        finally:
            cluster.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=2000, help="spans a second")
    parser.add_argument("--chat-seconds", type=float, default=30, help="0: no chats")
    parser.add_argument("--spans", type=int, default=1_000_000, help="spans of the large tenant; 0: none")
    asyncio.run(main(parser.parse_args()))
