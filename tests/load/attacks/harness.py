"""A suite with an attacking tenant and a second one, who chats; what the second notices, and the suite's memory."""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

import aiohttp
import grpc

from tests.load import processes
from tests.load.attacks import attacker, inference, rag, vector
from tests.load.attacks.attack import MIB, Attack, Target
from tests.load.attacks.calls import ANY_SIZE, Call
from tests.support.cluster import RELAXED, Cluster, Rest
from tests.support.connections import http_session
from tests.support.hostile_servers import HERE

LONGEST_WAIT = 0.5
"""Seconds that an answer to the second tenant may take."""
MOST_GROWTH = 150 * MIB
"""Memory that the suite may take more during an attack."""
MOST_KEPT = 50 * MIB
"""Memory that it may still have more some seconds after."""
ENVIRONMENT = {
    **dict.fromkeys(RELAXED, ""),  # the limits that an installation has
    "PORTICO_OUTBOUND_BLOCK_PRIVATE": "true",
    "PORTICO_OUTBOUND_ALLOWED_HOSTS": HERE,
}
PREPARATIONS: Mapping[str, Callable[[], Iterator[Call]]] = {
    "inference": inference.large_models,
    "vector": vector.large_points,
    "rag": rag.files_with_metadata,
}
"""Records that attacks on a service read."""
_PAUSE_SECONDS = 0.02

Ask = Callable[[], Awaitable[str]]
"""A call of the second tenant; returns what went wrong, if anything."""


@dataclass(slots=True)
class Noticed:
    """Measurements of the second tenant."""

    waits: list[float] = field(default_factory=list)
    """Seconds of each call."""
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def p99(self) -> float:
        return sorted(self.waits)[math.ceil(len(self.waits) * 0.99) - 1]


@dataclass(slots=True)
class Outcome:
    """The outcome of an attack; memory in bytes, of all processes of the suite."""

    noticed: Noticed
    before: int
    peak: int
    """The sum of each process's own peak, so at most too high."""
    after: int
    answers: str

    def over(self) -> list[str]:
        """List the measurements that exceed their bounds."""
        checks = {
            "errors": bool(self.noticed.errors),
            "wait": max(self.noticed.waits) > LONGEST_WAIT,
            "peak": self.peak - self.before > MOST_GROWTH,
            "kept": self.after - self.before > MOST_KEPT,
        }
        return [name for name, exceeded in checks.items() if exceeded]


def environment(attack: Attack) -> dict[str, str]:
    """Settings of the suite that an attack is made on."""
    return {**ENVIRONMENT, **attack.env}


async def prepare(cluster: Cluster) -> tuple[Target, str]:
    """Register two tenants; return what the first attacks, and the second's token."""
    noted = json.loads((cluster.data / "processes.json").read_text())
    ports = {name: int(each["port"]) for name, each in noted.items() if isinstance(each, dict)}
    log = (cluster.data / "logs" / "inference.log").read_text().splitlines()
    (*_, started) = (line for line in log if "edge_port" in line)
    ports["inference_http1"] = int(json.loads(started)["edge_port"])
    async with http_session() as http:
        rest = Rest(cluster.url, http)
        attacking, other = await rest.register(), await rest.register()
        stranger, insider = await rest.token(attacking.session, "usage:read"), await rest.token(attacking.session)
        return Target(ports, stranger, insider), await rest.token(other.session)


async def furnish(rest: Rest, target: Target, other: str, services: set[str]) -> None:
    """Make the records that attacks on these services, and the second tenant's calls, read."""
    for token in (target.insider, other):
        await rest.echo(token)
    indexes = "/v1/vector/providers/default/indexes"
    await rest.ok("POST", indexes, {"name": "small", "dimension": 3}, token=other)
    await rest.ok("POST", f"{indexes}/small/upsert", {"vectors": [{"id": "a", "values": [1, 0, 0]}]}, token=other)
    for service in sorted(services):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{target.ports[service]}", options=ANY_SIZE) as channel:
            for call in PREPARATIONS[service]():
                await call.send(channel, target.insider)


def asks(rest: Rest, token: str) -> Mapping[str, Ask]:
    """A small call of each kind, through the edge."""

    async def ask(method: str, path: str, body: object = None) -> str:
        try:
            answer = await rest.call(method, path, body, token=token)
        except (aiohttp.ClientError, TimeoutError) as failure:
            return repr(failure)
        return "" if answer.status == 200 else f"{answer.status} {answer.raw[:80]!r}"

    chat = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    query = {"query": {"vector": [1, 0, 0], "topK": 3}}
    return {
        "chat": lambda: ask("POST", "/v1/chat/completions", chat),
        "auth": lambda: ask("GET", "/v1/tokens"),
        "vector": lambda: ask("POST", "/v1/vector/providers/default/indexes/small/query", query),
        "rag": lambda: ask("GET", "/v1/files/buckets/default"),
    }


async def go_on(ask: Ask, noticed: Noticed, over: asyncio.Event) -> None:
    """Call again and again, and note waits and errors."""
    while not over.is_set():
        began = time.monotonic()
        if error := await ask():
            noticed.errors[error] += 1
        noticed.waits.append(time.monotonic() - began)
        await asyncio.sleep(_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class Run:
    """One suite, and how long it is attacked."""

    root: int
    """The process that has started all others."""
    asks: Mapping[str, Ask]
    target: Target
    seconds: float
    settle: float
    """Seconds until memory is read again."""

    async def measure(self, attack: Attack | None) -> Outcome:
        """Attack while the second tenant chats and calls the attacked service; without an attack, for comparison."""
        if attack is not None and attack.warm_up is not None:
            await attack.warm_up(self.target)
        noticed, over = Noticed(), asyncio.Event()
        kinds = {"chat"} | ({attack.target} & self.asks.keys() if attack else self.asks.keys())
        before = processes.tree(self.root).rss
        processes.forget_peaks(self.root)
        asking = [asyncio.ensure_future(go_on(self.asks[kind], noticed, over)) for kind in sorted(kinds)]
        answers = ""
        if attack is None:
            await asyncio.sleep(self.seconds)
        else:
            process = await attacker.start(attack, self.target, self.seconds)
            answers = (await process.communicate())[0].decode().strip()
        over.set()
        await asyncio.gather(*asking)
        peak = processes.tree(self.root).peak_rss
        await asyncio.sleep(self.settle)
        return Outcome(noticed, before, peak, processes.tree(self.root).rss, answers)
