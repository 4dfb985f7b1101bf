"""Benchmark of the embedded engine in this process: `python -m tests.load.vector_engine [points] [dimension]`.

Points come in clusters, as embeddings do; recall is against exact search by numpy over the same points.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.tenancy import Project, Tenant
from services.vector.adapters.embedded.engine import EmbeddedEngine
from services.vector.domain.filters import parse
from services.vector.domain.points import IndexSpec, Point, vector
from services.vector.ports import IndexLocation, Query

_BATCH = 1_000
_QUERIES = 300
_CLUSTERS = 500
_TENANT = Tenant("bench")
_LANGUAGES = ("en", "de", "fr")

Floats = NDArray[np.float32]
FILTERS: dict[str, tuple[dict[str, Any] | None, Callable[[NDArray[np.int64]], NDArray[np.bool_]]]] = {
    "no filter": (None, lambda at: at >= 0),
    "equality, 1 in 3": ({"lang": "de"}, lambda at: at % 3 == 1),
    "equality, 1 in 20": ({"bucket": 7}, lambda at: at % 20 == 7),
    "equality, 1 in 1000": ({"rare": 5}, lambda at: at % 1000 == 5),
    "range, 1 in 2": ({"year": {"$gte": 1960}}, lambda at: 1900 + at % 120 >= 1960),
    "range, 1 in 24": ({"year": {"$gte": 2015}}, lambda at: 1900 + at % 120 >= 2015),
    "unequal, 19 in 20": ({"bucket": {"$ne": 7}}, lambda at: at % 20 != 7),
}


def clustered(count: int, dimension: int) -> Floats:
    random = np.random.default_rng(1)
    centres = random.normal(size=(_CLUSTERS, dimension))
    found = centres[random.integers(0, _CLUSTERS, count)] + 0.8 * random.normal(size=(count, dimension))
    return found.astype(np.float32)


def point(at: int, values: Floats) -> Point:
    metadata = {
        "lang": _LANGUAGES[at % 3], "bucket": at % 20, "rare": at % 1000, "year": 1900 + at % 120, "title": f"page {at}"
    }  # fmt: skip
    return Point(str(at), vector(values.tolist()), metadata)


async def main(count: int, dimension: int) -> None:
    values = clustered(count, dimension)
    with tempfile.TemporaryDirectory() as folder:
        engine = EmbeddedEngine(Path(folder))
        try:
            location = IndexLocation(Project(_TENANT, "p"), "large")
            await engine.create(location, IndexSpec(dimension))
            await fill(engine, location, values)
            print("before the rebuild")
            await measure(engine, location, values, {"no filter": FILTERS["no filter"]})
            print("while rebuilding")
            await during(engine, location, values)
            print("after the rebuild")
            await measure(engine, location, values, FILTERS)
        finally:
            await engine.close()


async def fill(engine: EmbeddedEngine, location: IndexLocation, values: Floats) -> None:
    points = [point(at, values[at]) for at in range(len(values))]
    began = time.perf_counter()
    for start in range(0, len(points), _BATCH):
        await engine.upsert(location, points[start : start + _BATCH])
    print(f"upsert: {len(points) / (time.perf_counter() - began):,.0f} points/s in batches of {_BATCH}")


async def measure(engine: EmbeddedEngine, location: IndexLocation, values: Floats, filters: dict[str, Any]) -> None:
    random = np.random.default_rng(2)
    at = np.arange(len(values))
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    for name, (raw, meets) in filters.items():
        took, recall = [], []
        among = np.flatnonzero(meets(at))
        for _ in range(_QUERIES):
            asked = values[random.integers(len(values))] + 0.5 * random.normal(size=values.shape[1:])
            nearest = among[np.argsort(-(unit[among] @ asked))[:10]]
            query = Query(vector(asked.tolist()), 10, parse(raw))
            began = time.perf_counter()
            found = await engine.query(location, query)
            took.append(time.perf_counter() - began)
            recall.append(len({int(match.id) for match in found} & set(nearest.tolist())) / len(nearest))
        print(f"  {name:22} {_milliseconds(took)}, recall@10 {statistics.fmean(recall):.3f}")


async def during(engine: EmbeddedEngine, location: IndexLocation, values: Floats) -> None:
    other = IndexLocation(Project(_TENANT, "p"), "small")
    await engine.create(other, IndexSpec(values.shape[1]))
    some = [point(at, values[at]) for at in range(200)]
    await engine.upsert(other, some)
    query = Query(some[0].values, 10)
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "queries": lambda: engine.query(location, query),
        "writes": lambda: engine.upsert(location, some[:10]),
        "queries elsewhere": lambda: engine.query(other, query),
        "writes elsewhere": lambda: engine.upsert(other, some),
    }
    done = asyncio.create_task(engine.rebuilds.finished())
    began = time.perf_counter()
    took = await asyncio.gather(*(_repeat(step, done) for step in steps.values()))
    await done
    print(f"  took {time.perf_counter() - began:.1f} s")
    for name, each in zip(steps, took, strict=True):
        print(f"  {name:22} {_milliseconds(each)}, longest {max(each) * 1000:.0f} ms")


async def _repeat(step: Callable[[], Awaitable[object]], until: asyncio.Task[None]) -> list[float]:
    took = []
    while not until.done():
        began = time.perf_counter()
        await step()
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0.02)
    return took


def _milliseconds(took: list[float]) -> str:
    p50, p99 = np.quantile(took, (0.5, 0.99)) * 1000
    return f"p50 {p50:6.2f} ms, p99 {p99:6.2f} ms"


if __name__ == "__main__":
    asyncio.run(main(*(int(argument) for argument in (*sys.argv[1:], *("100000", "384")[len(sys.argv) - 1 :]))))
