"""Many tenants on one Portico, each of them used: what the processes hold, and what a request costs, as their number
grows.

    python -m tests.load.bench_tenants                                    # 1,000 tenants on SQLite and memory
    python -m tests.load.bench_tenants --stores mongodb --tenants 100     # fewer, on MongoDB's protocol and Redis

Each tenant has models, a chat, an index with a vector that is queried, a file and a trace. At each count the same
requests are made again, by one tenant that is in use (warm) and by tenants that rested since they were made (cold). CPU
time is that of all of Portico's processes, the servers of the stores not counted.
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.load import processes
from tests.support.cluster import Cluster, Rest
from tests.support.connections import http_session
from tests.support.deployments import MONGODB, STORES, mongodb_and_redis, on_own_databases

COUNTS = (1, 10, 100, 300, 1000, 3000)
_ROUNDS = 20
_AT_A_TIME = 8
_MIB = 1024 * 1024
_FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
    b"A file of its own.\r\n--x--\r\n"
)
_INDEX = "/v1/vector/providers/default/indexes"
_CHAT = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}


@dataclass(frozen=True)
class User:
    """A tenant's token and its index."""

    token: str
    index: str


async def make(rest: Rest) -> User:
    """A tenant that has used each part once."""
    tenant = await rest.register()
    await rest.echo(tenant.session)
    token = await rest.token(tenant.session)
    made = await rest.ok("POST", _INDEX, {"name": "docs", "dimension": 8}, token=token)
    await rest.ok("POST", "/v1/files/buckets", {"key": "b", "name": "b", "providerKey": "default"}, token=token)
    user = User(token, made["index"]["key"])
    for use in USES.values():
        await use(rest, user, 0)
    return user


async def chat(rest: Rest, user: User, turn: int) -> None:
    await rest.ok("POST", "/v1/chat/completions", _CHAT, token=user.token)


async def upsert(rest: Rest, user: User, turn: int) -> None:
    vectors = [{"id": f"v{turn}", "values": [1.0] * 8}]
    await rest.ok("POST", f"{_INDEX}/{user.index}/upsert", {"vectors": vectors}, token=user.token)


async def query(rest: Rest, user: User, turn: int) -> None:
    body = {"query": {"vector": [1.0] * 8, "topK": 1}}
    await rest.ok("POST", f"{_INDEX}/{user.index}/query", body, token=user.token)


async def file(rest: Rest, user: User, turn: int) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    form = _FORM.replace(b"a.txt", b"%d.txt" % turn)
    path = "/v1/files/buckets/b/objects"
    answer = await rest.call("POST", path, token=user.token, headers=headers, data=form)
    assert answer.status in (200, 201), answer.raw


async def trace(rest: Rest, user: User, turn: int) -> None:
    event = {"id": "e", "type": "ai_call", "label": "call"}
    session = {"sessionId": f"s{turn}", "agent": {"name": "a"}, "events": [event]}
    await rest.ok("POST", "/v1/tracing/sessions", session, token=user.token)


Use = Callable[[Rest, User, int], Awaitable[None]]
USES: Mapping[str, Use] = {"chat": chat, "upsert": upsert, "query": query, "file": file, "trace": trace}


@dataclass(frozen=True)
class Cost:
    """Of one request: CPU of all processes, and the median of its time, in ms."""

    cpu: float
    wait: float


async def cost(cluster: Cluster, rest: Rest, use: Use, users: Sequence[User], turn: int) -> Cost:
    assert cluster.process is not None
    before, waits = processes.tree(cluster.process.pid).cpu, []
    for at in range(_ROUNDS):
        began = time.monotonic()
        await use(rest, users[at % len(users)], turn + at)
        waits.append(time.monotonic() - began)
    used = processes.tree(cluster.process.pid).cpu - before
    return Cost(1000 * used / _ROUNDS, 1000 * median(waits))


def held(cluster: Cluster) -> str:
    """Memory, open files and, of these, sockets, by process."""
    assert cluster.process is not None
    found: dict[str, list[int]] = {}
    for pid, process in processes.tree(cluster.process.pid).processes.items():
        row = found.setdefault(process.label, [0, 0, 0])
        row[0] += process.rss
        with contextlib.suppress(OSError):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                row[1] += 1
                with contextlib.suppress(OSError):
                    row[2] += str(entry.readlink()).startswith("socket:")
    return "; ".join(
        f"{name.removeprefix('services.')} {rss // _MIB}/{files}/{sockets}"
        for name, (rss, files, sockets) in sorted(found.items())
    )


async def measure(cluster: Cluster, rest: Rest, users: Sequence[User], turn: int) -> None:
    await asyncio.sleep(2)  # what is written behind
    warm, cold = users[-1:], users[:_ROUNDS]
    print(f"\n{len(users)} tenants: RSS MiB/open files/sockets: {held(cluster)}", flush=True)
    print("| request | CPU ms, warm | ms, warm | CPU ms, cold | ms, cold |\n|---|--:|--:|--:|--:|")
    for name, use in USES.items():
        hot = await cost(cluster, rest, use, warm, turn)
        other = await cost(cluster, rest, use, cold, turn)
        print(f"| {name} | {hot.cpu:.2f} | {hot.wait:.1f} | {other.cpu:.2f} | {other.wait:.1f} |", flush=True)


async def run(cluster: Cluster, tenants: int) -> None:
    users: list[User] = []
    async with http_session() as http:
        rest = Rest(cluster.url, http)
        for turn, count in enumerate(each for each in (*COUNTS, tenants) if each <= tenants):
            while len(users) < count:
                more = min(_AT_A_TIME, count - len(users))
                users += await asyncio.gather(*(make(rest) for _ in range(more)))
            await measure(cluster, rest, users, 1 + turn * _ROUNDS)
            if count == tenants:
                return


@contextlib.contextmanager
def stores_settings(stores: str) -> Iterator[Mapping[str, Any]]:
    if stores != MONGODB:
        yield {}
        return
    with mongodb_and_redis() as servers:
        yield on_own_databases(servers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", choices=STORES, default=STORES[0])
    parser.add_argument("--tenants", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, stores_settings(given.stores) as settings:
        cluster = Cluster(Path(folder), stores=settings).start()
        try:
            asyncio.run(run(cluster, given.tenants))
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
