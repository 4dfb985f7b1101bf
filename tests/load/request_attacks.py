"""What attacks with requests take of a service, and what others notice: memory, errors and the longest wait.

A Portico with two tenants is attacked by another process, one attack after the other, while a second tenant goes on
calling the same service. `python -m tests.load.request_attacks --seconds 30`
"""

import argparse
import asyncio
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc

from portico.auth.v1 import token_service_pb2, token_service_pb2_grpc
from portico.inference.v1 import model_service_pb2, model_service_pb2_grpc
from portico.rag.v1 import bucket_service_pb2, bucket_service_pb2_grpc
from tests.support import http1_channel
from tests.support.cluster import Cluster, Rest
from tests.support.http2_client import frame, http2

MIB = 1024 * 1024
AFTER_SECONDS = 12.0
"""Until the memory is read again, when an attack is over."""

LOGIN = "/portico.auth.v1.AccountService/Login"
CHAT = "/portico.inference.v1.InferenceService/Chat"
OPENAI_CHAT = "/portico.inference.v1.OpenAIService/CreateChatCompletion"
UPLOAD = "/portico.rag.v1.FileService/UploadFile"
HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to attack, and as whom."""

    ports: dict[str, int]
    stranger: str
    """A token without the scope that the attacked calls need."""
    insider: str
    """One with all scopes, of the same tenant."""


Headers = Sequence[tuple[str, str]]
Strike = Callable[[Target], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """`workers` do the same again and again."""

    name: str
    service: str
    workers: int
    strike: Strike


def send(path: str, service: str, data: bytes, *, who: str = "", headers: Headers = (), hold: float = 0) -> Strike:
    """One call on a connection of its own; without an end, and held for so many seconds, where `hold` says so."""

    async def strike(target: Target) -> None:
        async with http2(target.ports[service]) as client:
            stream = client.start(path, [*headers, *_bearer(target, who)])
            sending = asyncio.create_task(client.send(stream, data, end=not hold))
            try:
                async with asyncio.timeout(hold or 60):
                    await client.answer(stream)
            except TimeoutError:
                pass
            finally:
                sending.cancel()

    return strike


def hang(path: str, service: str, data: bytes, streams: int, *, who: str = "", headers: Headers = ()) -> Strike:
    """Many calls on one connection that begin and do not end."""

    async def strike(target: Target) -> None:
        async with http2(target.ports[service]) as client:
            opened = [client.start(path, [*headers, *_bearer(target, who)]) for _ in range(streams)]
            sending = [asyncio.create_task(client.send(stream, data)) for stream in opened]
            await asyncio.sleep(5)
            for task in sending:
                task.cancel()

    return strike


def by_http1(path: str, cluster: str, data: bytes, *, who: str) -> Strike:
    async def strike(target: Target) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.ports[cluster])
        try:
            writer.write(http1_channel.request(path, data, _bearer(target, who)))
            async with asyncio.timeout(60):
                await reader.readuntil(b"\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return strike


def _bearer(target: Target, who: str) -> Headers:
    return [("authorization", f"Bearer {getattr(target, who)}")] if who else []


EMPTY_MESSAGES = b"\x12\x00" * (8 * MIB)
EMPTY_ATTACHMENTS = b"\x0a\x80\x80\x80\x08" + b"\x1a\x00" * (8 * MIB)
GZIP = gzip.compress(bytes(40 * MIB))
CODED: Headers = [("grpc-encoding", "gzip")]
LONG_HEAD: Headers = [(f"x-{at}", "y" * 4000) for at in range(20)]

UNFINISHED = frame(bytes(63_000), size=65_000)
LARGE_UNFINISHED = frame(bytes(31 * MIB), size=32 * MIB)
PIECE_UNFINISHED = frame(bytes(2_000_000), size=2_100_000)

HEAVY = [
    Attack("40 MiB to Login", "auth", 12, send(LOGIN, "auth", frame(bytes(40 * MIB)))),
    Attack("40 MiB to Login, gzipped", "auth", 12, send(LOGIN, "auth", frame(GZIP, compressed=True), headers=CODED)),
    *(
        Attack(f"empty messages {how} the scope{by}", "inference", 12, strike)
        for how, who in (("without", "stranger"), ("with", "insider"))
        for by, strike in (
            ("", send(CHAT, "inference", frame(EMPTY_MESSAGES), who=who)),
            (", by HTTP/1.1", by_http1(OPENAI_CHAT, "inference_http1", EMPTY_ATTACHMENTS, who=who)),
        )
    ),
    Attack("40 MiB to reflection", "auth", 12, send(REFLECTION, "auth", frame(bytes(40 * MIB)))),
    Attack("31 MiB to reflection", "inference", 12, send(REFLECTION, "inference", frame(bytes(31 * MIB)))),
]
"""Large requests, which end by themselves."""
UNFINISHED_MESSAGES = [
    Attack("unfinished Logins", "auth", 4, hang(LOGIN, "auth", UNFINISHED, 500)),
    Attack("31 of 32 MiB", "inference", 12, send(CHAT, "inference", LARGE_UNFINISHED, who="insider", hold=8)),
]
"""Requests that never end."""
HANGING = [
    *UNFINISHED_MESSAGES,
    Attack("Logins with long heads", "auth", 4, hang(LOGIN, "auth", b"", 200, headers=LONG_HEAD)),
    Attack("chats that wait", "inference", 8, hang(CHAT, "inference", LARGE_UNFINISHED[:65_000], 400, who="insider")),
    Attack("uploads that hang", "rag", 6, hang(UPLOAD, "rag", PIECE_UNFINISHED, 50, who="insider")),
    Attack("reflection streams", "auth", 4, hang(REFLECTION, "auth", UNFINISHED, 500)),
    Attack("unfinished health checks", "auth", 4, hang(HEALTH, "auth", UNFINISHED, 500)),
]
"""Requests that keep calls open."""
NOTHING = Attack("nothing, for comparison", "auth", 1, lambda _: asyncio.sleep(1))
ATTACKS = [NOTHING, *HEAVY, *HANGING]


@dataclass(slots=True)
class Seen:
    """What an attack did."""

    before: int = 0
    """MiB, as the next two."""
    peak: int = 0
    after: int = 0
    calls: int = 0
    """Of the second tenant."""
    errors: list[str] = field(default_factory=list)
    longest: float = 0.0
    """Seconds of the slowest of these calls."""


async def strike(attack: Attack, target: Target) -> None:
    """Until the process is ended."""

    async def worker() -> None:
        while True:
            try:
                await attack.strike(target)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.1)

    await asyncio.gather(*(worker() for _ in range(attack.workers)))


Call = Callable[[], Awaitable[Any]]


async def observe(attack: Attack, target: Target, pid: int, call: Call, seconds: float) -> Seen:
    """Attacks from another process. `call` is what the second tenant does meanwhile."""
    seen = Seen(before=rss(pid))
    command = [sys.executable, "-m", "tests.load.request_attacks", "--strike", attack.name, json.dumps(asdict(target))]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await _observe(seen, pid, call)
            await asyncio.sleep(0.05)
    finally:
        process.kill()
        await process.wait()
    await asyncio.sleep(AFTER_SECONDS)
    seen.after = rss(pid)
    return seen


async def _observe(seen: Seen, pid: int, call: Call) -> None:
    began = time.monotonic()
    try:
        await call()
    except grpc.aio.AioRpcError as error:
        seen.errors.append(f"{error.code().name}: {error.details()}")
    seen.calls += 1
    seen.longest = max(seen.longest, time.monotonic() - began)
    seen.peak = max(seen.peak, rss(pid))


def rss(pid: int) -> int:
    """Resident memory of a process in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 // MIB


async def prepare(cluster: Cluster) -> tuple[Target, str]:
    """Whom to attack as, and the token of a second tenant."""
    noted = json.loads((cluster.data / "processes.json").read_text())
    ports = {name: int(each["port"]) for name, each in noted.items() if isinstance(each, dict)}
    started = [
        line for line in (cluster.data / "logs" / "inference.log").read_text().splitlines() if "edge_port" in line
    ]
    ports["inference_http1"] = int(json.loads(started[-1])["edge_port"])
    async with aiohttp.ClientSession() as http:
        rest = Rest(cluster.url, http)
        attacker, other = await rest.register(), await rest.register()
        stranger, insider = await rest.token(attacker.session, "usage:read"), await rest.token(attacker.session)
        return Target(ports, stranger, insider), await rest.token(other.session)


def calls_of(channel: grpc.aio.Channel, token: str) -> dict[str, Call]:
    """A cheap call for each service that is attacked. The channel is that service's."""
    said = {"metadata": (("authorization", f"Bearer {token}"),), "timeout": 30}
    tokens = token_service_pb2_grpc.TokenServiceStub(channel)
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    buckets = bucket_service_pb2_grpc.BucketServiceStub(channel)
    return {
        "auth": lambda: tokens.ListTokens(token_service_pb2.ListTokensRequest(), **said),
        "inference": lambda: models.ListModels(model_service_pb2.ListModelsRequest(), **said),
        "rag": lambda: buckets.ListBuckets(bucket_service_pb2.ListBucketsRequest(), **said),
    }


async def measure(cluster: Cluster, attacks: Sequence[Attack], seconds: float) -> dict[str, Seen]:
    """By the attack's name. Prints a line for each."""
    target, token = await prepare(cluster)
    found = {}
    print(f"{'attack':46} {'before':>7} {'peak':>6} {'after':>6} MiB {'calls':>6} {'errors':>6} {'longest':>8}")
    for attack in attacks:
        port = target.ports[attack.service]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = calls_of(channel, token)[attack.service]
            await call()
            seen = await observe(attack, target, cluster.pid(attack.service), call, seconds)
        found[attack.name] = seen
        print(
            f"{attack.name:46} {seen.before:7} {seen.peak:6} {seen.after:6} MiB {seen.calls:6} {len(seen.errors):6}"
            f" {seen.longest * 1000:5.0f} ms {'; '.join(sorted(set(seen.errors))[:2])}",
            flush=True,
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.request_attacks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="how long each attack lasts (default 30)")
    parser.add_argument("--only", default="", help="attacks whose name holds this text")
    parser.add_argument("--strike", nargs=2, metavar=("ATTACK", "TARGET"), help="attack until stopped; for the above")
    given = parser.parse_args()
    if given.strike:
        name, target = given.strike
        attack = next(each for each in ATTACKS if each.name == name)
        asyncio.run(strike(attack, Target(**json.loads(target))))
        return
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder)).start()
        try:
            asyncio.run(measure(cluster, [each for each in ATTACKS if given.only in each.name], given.seconds))
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
