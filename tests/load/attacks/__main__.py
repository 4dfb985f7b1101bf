"""Repeat each attack from another process while a second tenant calls, and tell what that tenant notices.

Starts Portico with two tenants. One sends the attack again and again to the service's own gRPC port, where no edge
stands before it; the other chats, and calls the attacked service, through the edge. Prints for each attack the calls of
the second tenant, their longest wait and their errors, the memory of the whole suite before, at its peak and some
seconds after, and how the attack was answered. What exceeds the bounds is marked with "!". The attacker's process runs
on the same machine: the first line is without attacks, for comparison.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc

from tests.load import processes
from tests.load.attacks import inference, rag, vector
from tests.load.attacks.calls import MIB, Attack, Call
from tests.support.cluster import Cluster, Rest

ATTACKS = [*inference.ATTACKS, *vector.ATTACKS, *rag.ATTACKS]
PREPARATIONS: Mapping[str, Callable[[], Iterator[Call]]] = {
    "inference": inference.large_models,
    "vector": vector.large_points,
    "rag": rag.files_with_notes,
}
LONGEST_WAIT = 0.5
"""Seconds that an answer to the second tenant may take."""
MOST_GROWTH = 150 * MIB
"""That the suite may take more during an attack, and not keep."""

_PORTS, _TOKEN = "ATTACK_PORTS", "ATTACK_TOKEN"  # the name of a variable
_PAUSE = 0.02
_HEAD = f"  {'service':10}{'attack':54}{'calls':>6}{'longest':>11}{'errors':>7}{'before':>7}{'peak':>6}{'after':>6}"
_ANY_SIZE = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]

Ask = Callable[[], Awaitable[str]]
"""A call of the second tenant: what went wrong, if anything."""


@dataclass(slots=True)
class Noticed:
    """By the second tenant."""

    calls: int = 0
    longest: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Outcome:
    """Of one attack; memory in bytes, of all processes of the suite."""

    noticed: Noticed
    before: int
    peak: int
    after: int
    answers: str

    @property
    def held(self) -> bool:
        grown = max(self.peak, self.after) - self.before
        return not self.noticed.errors and self.noticed.longest <= LONGEST_WAIT and grown <= MOST_GROWTH

    def row(self, service: str, name: str) -> str:
        noticed, errors = self.noticed, "; ".join(f"{count} x {text}" for text, count in self.noticed.errors.items())
        return (
            f"{'' if self.held else '!':2}{service:10}{name:54}{noticed.calls:6}{noticed.longest * 1000:8.0f} ms"
            f"{sum(noticed.errors.values()):7}{self.before // MIB:7}{self.peak // MIB:6}{self.after // MIB:6} MiB"
            f"  {self.answers} {errors}"
        )


# The attacker, in a process of its own


async def attack_from_here(name: str, seconds: float, workers: int) -> None:
    """Tells how the attack was answered, and how often."""
    attack = next(each for each in ATTACKS if each.name == name)
    call, answers = attack.make(), Counter[str]()
    print("ready", flush=True)
    address = f"127.0.0.1:{json.loads(os.environ[_PORTS])[attack.service]}"
    end = time.monotonic() + seconds

    async def strike(channel: grpc.aio.Channel) -> None:
        while time.monotonic() < end:
            try:
                await call.send(channel, os.environ[_TOKEN])
                answers["OK"] += 1
            except grpc.aio.AioRpcError as error:
                answers[f"{error.code().name} {(error.details() or '')[:60]}"] += 1

    async with grpc.aio.insecure_channel(address, options=_ANY_SIZE) as channel:
        await asyncio.wait([asyncio.ensure_future(strike(channel)) for _ in range(workers)], timeout=seconds + 1)
    print(", ".join(f"{count} x {text}" for text, count in answers.most_common(3)))


# What the second tenant does meanwhile


def asks(rest: Rest, token: str) -> Mapping[str, Ask]:
    """A small call of each kind, through the edge."""

    async def ask(method: str, path: str, body: object = None) -> str:
        answer = await rest.call(method, path, body, token=token)
        return "" if answer.status == 200 else f"{answer.status} {answer.raw[:80]!r}"

    chat = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    query = {"query": {"vector": [1, 0, 0], "topK": 3}}
    return {
        "chat": lambda: ask("POST", "/v1/chat/completions", chat),
        "vector": lambda: ask("POST", "/v1/vector/providers/default/indexes/small/query", query),
        "rag": lambda: ask("GET", "/v1/files/buckets/default"),
    }


async def go_on(ask: Ask, noticed: Noticed, over: asyncio.Event) -> None:
    while not over.is_set():
        began = time.monotonic()
        try:
            error = await ask()
        except (aiohttp.ClientError, TimeoutError) as failure:
            error = repr(failure)
        noticed.longest = max(noticed.longest, time.monotonic() - began)
        noticed.calls += 1
        if error:
            noticed.errors[error] += 1
        await asyncio.sleep(_PAUSE)


# The measurement


@dataclass(frozen=True, slots=True)
class Run:
    """One suite and what is done to it."""

    root: int
    """The process that has started all others."""
    asks: Mapping[str, Ask]
    env: Mapping[str, str]
    seconds: float
    workers: int
    settle: float

    async def measure(self, attack: Attack | None) -> Outcome:
        """None: without one."""
        process = None if attack is None else await self._attacker(attack)
        noticed, over = Noticed(), asyncio.Event()
        before = processes.tree(self.root).rss
        processes.forget_peaks(self.root)
        kinds = {"chat"} | ({attack.service} & self.asks.keys() if attack else self.asks.keys())
        asking = [asyncio.ensure_future(go_on(self.asks[kind], noticed, over)) for kind in sorted(kinds)]
        await asyncio.sleep(self.seconds)
        answers = "" if process is None else (await process.communicate())[0].decode().strip()
        over.set()
        await asyncio.gather(*asking)
        peak = processes.tree(self.root).peak_rss
        await asyncio.sleep(self.settle if process else 0)
        return Outcome(noticed, before, peak, processes.tree(self.root).rss, answers)

    async def _attacker(self, attack: Attack) -> asyncio.subprocess.Process:
        """Returns when it has made its request, which takes some time for the large ones."""
        command = [sys.executable, "-m", "tests.load.attacks", "--seconds", str(self.seconds)]
        process = await asyncio.create_subprocess_exec(
            *(*command, "--workers", str(self.workers), "--attacker", attack.name),
            env={**os.environ, **self.env},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        return process


async def prepare(rest: Rest, ports: Mapping[str, int], attacker: str, neighbour: str, services: set[str]) -> None:
    """What attacks and calls want to be there."""
    for token in (attacker, neighbour):
        await rest.echo(token)
    indexes = "/v1/vector/providers/default/indexes"
    await rest.ok("POST", indexes, {"name": "small", "dimension": 3}, token=neighbour)
    point = {"id": "a", "values": [1, 0, 0]}
    await rest.ok("POST", f"{indexes}/small/upsert", {"vectors": [point]}, token=neighbour)
    for service in sorted(services):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{ports[service]}", options=_ANY_SIZE) as channel:
            for call in PREPARATIONS[service]():
                await call.send(channel, attacker)


async def run_all(cluster: Cluster, wanted: Sequence[Attack], given: argparse.Namespace) -> None:
    async with aiohttp.ClientSession() as http:
        rest = Rest(cluster.url, http)
        attacker, neighbour = [(await rest.register()).session for _ in range(2)]
        ports = {service: cluster.service_port(service) for service in PREPARATIONS}
        await prepare(rest, ports, attacker, neighbour, {attack.service for attack in wanted})
        env = {_PORTS: json.dumps(ports), _TOKEN: attacker}
        run = Run(cluster.pid("launcher"), asks(rest, neighbour), env, given.seconds, given.workers, given.settle)
        print(
            f"  {'service':10}{'attack':54}{'calls':>6}{'longest':>11}{'errors':>7}{'before':>7}{'peak':>6}{'after':>6}"
        )
        print((await run.measure(None)).row("all", "nothing, for comparison"), flush=True)
        outcomes = []
        for attack in wanted:
            outcomes.append(await run.measure(attack))
            print(outcomes[-1].row(attack.service, attack.name), flush=True)
    held = sum(outcome.held for outcome in outcomes)
    print(
        f"{held} of {len(outcomes)} attacks were noticed by nobody: no error, no answer later than "
        f"{LONGEST_WAIT * 1000:.0f} ms, at most {MOST_GROWTH // MIB} MiB more."
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.load.attacks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="parts of the names of attacks, or services; default: all")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each attack goes on (default: 30)")
    parser.add_argument("--workers", type=int, default=4, help="how many requests the attacker has open (default: 4)")
    parser.add_argument("--settle", type=float, default=10.0, help="seconds until memory is read again (default: 10)")
    parser.add_argument("--attacker", metavar="NAME", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.attacker:
        asyncio.run(attack_from_here(given.attacker, given.seconds, given.workers))
        return
    wanted = [
        attack
        for attack in ATTACKS
        if not given.names or any(part in attack.name or part == attack.service for part in given.names)
    ]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends, too
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "data").start()
        try:
            asyncio.run(run_all(cluster, wanted, given))
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
