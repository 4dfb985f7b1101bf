"""Tune ef_search by measuring on the index itself.

How much of an HNSW index must be searched to find most of the nearest depends on the vectors: a few percent suffices
for embeddings of text, and no HNSW index is worth its while for noise. So after one is built, some queries like those
that will come are answered exactly and by wider and wider walks, and the narrowest that finds enough is kept. Once
with a filter, which thins the HNSW index out, and once without.
"""

import math
import random
import statistics
import time
from collections.abc import Sequence
from typing import Any

import qdrant_edge as edge

from services.vector.adapters.embedded.layout import Tuning

_TARGET = 0.98
"""Share of the nearest that a walk must find."""

_EF_SEARCH_VALUES = (100, 128, 192, 256, 384, 512, 768, 1024)
"""The first is the engine's own default; less takes as long and finds less."""

_FEWEST_QUERIES, _MOST_QUERIES = 50, 200
_COMPARED = 20_000_000
"""Points that all queries together are compared with: some seconds. With 50 queries chance had a say, and the same
index was searched twice as far after one rebuild as after another."""

_NEAREST = 10
_NEIGHBOURS = 20


def params(tuning: Tuning, filtered: bool, limit: int) -> edge.SearchParams:
    ef_search = tuning.ef_search_filtered if filtered else tuning.ef_search
    return search_params(max(ef_search, 2 * limit), filtered) if ef_search else edge.SearchParams(exact=True)


def search_params(ef_search: int, filtered: bool) -> edge.SearchParams:
    """Return the parameters of a search. With a filter the walk also looks past nodes that do not meet it (ACORN): they
    would otherwise cut the HNSW index into components, and a third of the points could only be searched one by one."""
    acorn = edge.AcornSearchParams(enable=True, max_selectivity=1.0) if filtered else None
    return edge.SearchParams(hnsw_ef=ef_search, acorn=acorn)


def tuned(engine: edge.EdgeShard) -> Tuning:
    queries = _queries(engine)
    third = edge.Filter(must=[edge.SliceCondition(3, 0)])  # type: ignore[attr-defined]  # a third, by hash of id
    return Tuning(_smallest_ef_search(engine, queries, None), _smallest_ef_search(engine, queries, third))


def _smallest_ef_search(engine: edge.EdgeShard, queries: Sequence[list[float]], filter: edge.Filter | None) -> int:
    exact, exact_seconds = _answers(engine, queries, filter, edge.SearchParams(exact=True))
    for ef_search in _EF_SEARCH_VALUES:
        found, seconds = _answers(engine, queries, filter, search_params(ef_search, filter is not None))
        if seconds > exact_seconds:
            break
        if _hardly_less_than([len(a & b) / max(len(b), 1) for a, b in zip(found, exact, strict=True)]) >= _TARGET:
            return ef_search
    return 0


def _hardly_less_than(shares: Sequence[float]) -> float:
    """Lower bound of the mean over all queries that may come, but for one case in forty: two standard errors less
    than that of these. The mean alone would meet the target by chance where the walk is a little too narrow."""
    return statistics.fmean(shares) - 2 * statistics.stdev(shares) / math.sqrt(len(shares))


def _answers(
    engine: edge.EdgeShard, queries: Sequence[list[float]], filter: edge.Filter | None, params: edge.SearchParams
) -> tuple[list[set[Any]], float]:
    """Answers of the queries, and the median of the seconds that one took."""
    found, took = [], []
    for query in queries:
        began = time.perf_counter()
        points = _nearest(engine, query, _NEAREST, filter, params)
        took.append(time.perf_counter() - began)
        found.append({point.id for point in points})
    return found, statistics.median(took)


def _queries(engine: edge.EdgeShard) -> list[list[float]]:
    """Points that might be there: one that is, moved as far as its neighbours differ among themselves."""
    dice = random.Random(1)
    count = max(_FEWEST_QUERIES, min(_MOST_QUERIES, _COMPARED // max(1, engine.info().points_count)))
    request = edge.QueryRequest(limit=count, query=edge.Sample.Random, with_vector=True)
    queries = []
    for found in engine.query(request):
        around = _nearest(engine, _dense(found), _NEIGHBOURS, None, edge.SearchParams(), with_vector=True)
        one, other = (_dense(each) for each in dice.sample(around, 2))
        queries.append([x + (a - b) / 2 for x, a, b in zip(_dense(found), one, other, strict=True)])
    return queries


def _nearest(
    engine: edge.EdgeShard,
    vector: list[float],
    limit: int,
    filter: edge.Filter | None,
    params: edge.SearchParams,
    with_vector: bool = False,
) -> list[edge.ScoredPoint]:
    return engine.query(
        edge.QueryRequest(
            limit=limit, query=edge.Query.Nearest(vector), filter=filter, params=params, with_vector=with_vector
        )
    )


def _dense(found: edge.ScoredPoint) -> list[float]:
    vector = found.vector
    return vector[""] if isinstance(vector, dict) else vector  # type: ignore[return-value]
