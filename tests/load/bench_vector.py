"""Vectors over gRPC and REST beside the engine in this process: writes, queries, recall, and what queries see of other
work.

The same query goes in turn to a copy of the index opened here, to the vector service, through the edge, and to a gRPC
server that does nothing, so that whatever else the machine does falls on all alike.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import grpc
import orjson

from services.vector.domain.points import MAX_POINTS
from tests.load import portico, processes, programs, vector_report
from tests.load.vector_calls import (
    Client,
    Library,
    Rest,
    Untuned,
    batches,
    fill,
    generation,
    index_folder,
    json_batches,
)
from tests.load.vector_data import FILTERS, Collection, collection, recall
from tests.load.vector_report import EDGE, EMPTY, GRPC, IN_PROCESS, REST, UNTUNED, Asked, Results, Stall
from tests.support.ports import reserved_port

_PAUSE = 0.005  # seconds between the queries that watch for stalls
_CALLERS = 8
_WARM = 50  # queries before the measurement
_OTHERS = 6
"""Indexes that the other tenant writes, so that some are kept by the same engine worker as the one that is queried."""

_LARGEST = 31 * 1024 * 1024
"""Bytes of an upsert over REST; the edge takes 32 MiB."""
_LARGEST_UPSERTS = 5

_OPTIMISED_BYTES = 20 * 1024 * 1024
"""Indexes below this size are not optimised: see services/vector/adapters/embedded/engine.py."""

_PATIENCE = 900.0
TENANT = "default"
"""The one that `make run` makes."""


class Asking(Protocol):
    def query(self, values: Sequence[float], filter: Mapping[str, Any] | None) -> list[str]: ...


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.bench_vector", description=__doc__)
    parser.add_argument("--points", type=int, default=100_000, help="vectors in the index (default %(default)s)")
    parser.add_argument("--dimension", type=int, default=384, help="numbers in a vector (default %(default)s)")
    parser.add_argument("--batch", type=int, default=500, help="vectors in an upsert (default %(default)s)")
    parser.add_argument("--writers", type=int, default=2, help="callers that upsert at once (default %(default)s)")
    parser.add_argument("--queries", type=int, default=300, help="different queries, 50 or more (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of all queries (default %(default)s)")
    parser.add_argument("--out", type=Path, help="write the figures into this Markdown file, between its markers")
    options = parser.parse_args()
    if options.queries < _WARM:
        parser.error(f"--queries: at least {_WARM}")
    try:
        results = _measure(options)
    except programs.Failed as problem:
        print(problem, file=sys.stderr)
        return 1
    except grpc.RpcError as problem:
        print(f"a call failed: {problem}", file=sys.stderr)
        return 1
    if options.out:
        vector_report.write(options.out, results)
    print(vector_report.text(results))
    return 0


def _measure(options: argparse.Namespace) -> Results:
    results = Results(
        options.points, options.dimension, options.batch, options.writers, options.queries, options.rounds
    )
    data = collection(options.points, options.queries, options.dimension)
    with tempfile.TemporaryDirectory(prefix="portico-bench-") as scratch, portico.local(Path(scratch)) as running:
        folder = Path(scratch) / "data"
        service = orjson.loads((folder / "processes.json").read_bytes())["vector"]
        client = Client(f"127.0.0.1:{service['port']}", running.token)
        client.index = client.create("bench", options.dimension)
        index = index_folder(folder, TENANT)
        first = generation(index)

        _say(f"upserting {options.points} vectors")
        requests = list(batches(client.index, data.points, options.batch))
        results.upsert_seconds = fill(client.upsert, requests, options.writers)
        if (stored := client.count()) != options.points:
            raise programs.Failed(f"{stored} of {options.points} vectors are there")

        if options.points * options.dimension * 4 > _OPTIMISED_BYTES:
            _say("querying while it is optimised")
            results.stalls["its index is optimised"], results.optimise_seconds = _optimising(client, data, index, first)

        engine = Library(index, Path(scratch) / "copy")
        port = reserved_port()
        empty = [sys.executable, "-m", "tests.load.empty_service", str(port)]
        with programs.running(empty, log=Path(scratch) / "empty.log") as process:
            programs.wait_for_port(process, port)
            ways: dict[str, Asking] = {
                IN_PROCESS: engine,
                UNTUNED: Untuned(engine),
                GRPC: client,
                EDGE: Client(f"127.0.0.1:{running.port}", client.token, client.index),
                REST: Rest(running.port, client.token, client.index),
                EMPTY: Client(f"127.0.0.1:{port}", client.token),
            }
            for name in FILTERS:
                _say(f"querying, filter: {name}")
                used = engine.cpu
                results.asked[name] = _in_turns(ways, data, name, options.rounds)
                asked = _WARM + options.rounds * options.queries
                results.asked[name][IN_PROCESS].cpu = (engine.cpu - used) / asked
                results.together[name] = _together(client, data, name, options.rounds, service["pid"])

        results.stalls["nothing else happens"] = _watched(client, data, _sleeping(3.0))
        _say("querying while another tenant writes")
        session = _other_tenant(running)
        other = Client(client.address, session)
        work = threading.Thread(target=_write_elsewhere, args=(other, data, options))
        results.stalls["another tenant's are written"] = _watched(client, data, work)
        large = Rest(running.port, session, other.create("large", options.dimension))
        body = _largest_upsert(data)
        work = threading.Thread(target=fill, args=(large.upsert, [body] * _LARGEST_UPSERTS))
        results.stalls["another tenant's come in 31 MiB of JSON"] = _watched(client, data, work)
        _say("upserting over REST")
        rest = Rest(running.port, client.token, client.create("bench rest", options.dimension))
        some = data.points[: max(options.batch, options.points // 5)]
        results.rest_rate = len(some) / fill(rest.upsert, list(json_batches(some, options.batch)))
        tree = processes.tree(service["pid"])
        results.rss, results.peak_rss = tree.rss, tree.peak_rss
    return results


def _optimising(client: Client, data: Collection, index: Path, first: str) -> tuple[Stall, float]:
    began = time.perf_counter()
    ended: list[float] = []

    def wait() -> None:
        while generation(index) == first and time.perf_counter() - began < _PATIENCE:
            time.sleep(0.05)
        ended.append(time.perf_counter() - began)

    stall = _watched(client, data, threading.Thread(target=wait))
    if generation(index) == first:
        raise programs.Failed(f"the index was not optimised within {_PATIENCE:.0f} s")
    return stall, ended[0]


def _watched(client: Client, data: Collection, work: threading.Thread) -> Stall:
    """Latencies of queries, one at a time with short pauses, from the start of `work` to its end."""
    stall = Stall()
    rows = data.queries.tolist()
    work.start()
    while work.is_alive():
        stall.add(_timed(client, rows[len(stall.took) % len(rows)], None)[1])
        time.sleep(_PAUSE)
    work.join()
    return stall


def _sleeping(seconds: float) -> threading.Thread:
    return threading.Thread(target=time.sleep, args=(seconds,))


def _write_elsewhere(other: Client, data: Collection, options: argparse.Namespace) -> None:
    values = data.points[: max(options.batch, options.points // 20)]
    keys = [other.create(f"other {at}", options.dimension) for at in range(_OTHERS)]
    for requests in zip(*(batches(key, values, options.batch) for key in keys), strict=True):
        for request in requests:
            other.upsert(request)


def _largest_upsert(data: Collection) -> bytes:
    (one,) = json_batches(data.points[:1], 1)
    fitting = min(MAX_POINTS, len(data.points), _LARGEST // len(one))
    (body,) = json_batches(data.points[:fitting], fitting)
    return body


def _in_turns(ways: Mapping[str, Asking], data: Collection, name: str, rounds: int) -> dict[str, Asked]:
    """Each query asked in each way, one after the other, in an order that changes from query to query."""
    asked = {way: Asked() for way in ways}
    rows, exact, order = data.queries.tolist(), data.nearest(name), list(ways)
    dice = random.Random(1)
    for asking in ways.values():  # connections, caches and pages of files are not what is measured
        for row in rows[:_WARM]:
            asking.query(row, FILTERS[name])
    for round in range(rounds):
        found: dict[str, list[list[str]]] = {way: [] for way in ways}
        took: dict[str, list[float]] = {way: [] for way in ways}
        for row in rows:
            dice.shuffle(order)
            for way in order:
                ids, seconds = _timed(ways[way], row, FILTERS[name])
                found[way].append(ids)
                took[way].append(seconds)
        for way, each in asked.items():
            each.took += took[way]
            each.medians.append(median(took[way]))
            if not round:
                each.recall = recall(found[way], exact)
    return asked


def _together(client: Client, data: Collection, name: str, rounds: int, pid: int) -> Asked:
    """The same by eight callers at once, each over its own channel."""
    rows, asked = data.queries.tolist() * rounds, Asked()
    clients = [Client(client.address, client.token, client.index) for _ in range(_CALLERS)]
    before, began = processes.tree(pid).cpu, time.perf_counter()
    with ThreadPoolExecutor(_CALLERS) as pool:
        shares = pool.map(lambda at: _share(clients[at], rows[at::_CALLERS], name), range(_CALLERS))
        asked.took = [seconds for share in shares for seconds in share]
    asked.seconds = time.perf_counter() - began
    asked.cpu = (processes.tree(pid).cpu - before) / len(rows)
    return asked


def _share(client: Client, rows: Sequence[Sequence[float]], name: str) -> list[float]:
    return [_timed(client, row, FILTERS[name])[1] for row in rows]


def _timed(way: Asking, row: Sequence[float], filter: Mapping[str, Any] | None) -> tuple[list[str], float]:
    began = time.perf_counter()
    ids = way.query(row, filter)
    return ids, time.perf_counter() - began


def _other_tenant(running: portico.Portico) -> str:
    account = {"email": "other@example.com", "password": "Aa1-another-tenant", "name": "O", "companyName": "Other"}
    return str(running.call("POST", "/auth/register", account)["token"])


def _say(text: str) -> None:
    print(f"{text} ...", flush=True)


if __name__ == "__main__":
    sys.exit(main())
