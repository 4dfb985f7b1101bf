"""Attacks on vector."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from portico.vector.v1 import index_service_pb2 as index_pb
from portico.vector.v1 import point_service_pb2 as pb
from tests.load.attacks.attack import MIB
from tests.load.attacks.calls import Call, call, calling
from tests.support.large_requests import json_list, members

_BIG, _WIDE = "big", "wide"
_PLACE = {"provider_key": "default", "index_id": _BIG}


def rest(method: str, body: bytes, index: str = _BIG) -> Call:
    sent = HttpBody(content_type="application/json", data=body)
    request = getattr(pb, f"{method}Request")(provider_key="default", index_id=index, body=sent)
    return call(f"vector.v1.PointRestService/{method}", request)


def typed(method: str, entry: Any = None, count: int = 0, **fields: Any) -> Call:
    request = getattr(pb, f"{method}Request")(**_PLACE, **fields)
    return call(f"vector.v1.PointService/{method}", request, entry, count)


def index(name: str, dimension: int, **more: Any) -> Call:
    request = index_pb.CreateIndexRequest(provider_key="default", name=name, dimension=dimension, **more)
    return call("vector.v1.IndexService/CreateIndex", request)


def filtered(filter: bytes) -> Call:
    return rest("QueryVectors", b'{"query":{"vector":[1,0,0],"filter":%b}}' % filter)


def large_points() -> Iterator[Call]:
    """Two hundred with much metadata, and a thousand of many numbers."""
    yield index(_BIG, 3)
    notes = b'{"a":%b}' % json_list(b"1", 20_000)
    for start in range(0, 200, 50):
        points = (b'{"id":"p%d","values":[1,0,0],"metadata":%b}' % (at, notes) for at in range(start, start + 50))
        yield rest("UpsertVectors", b'{"vectors":[%b]}' % b",".join(points))
    yield index(_WIDE, 4096)
    values = json_list(b"0.123456", 4096)
    for start in range(0, 1000, 100):
        points = (b'{"id":"w%d","values":%b}' % (at, values) for at in range(start, start + 100))
        yield rest("UpsertVectors", b'{"vectors":[%b]}' % b",".join(points), _WIDE)


_vector = partial(calling, "vector", records=True)

ATTACKS = [
    _vector(
        "upsert: 1.5 million tiny points as JSON (30 MiB)",
        lambda: rest("UpsertVectors", b'{"vectors":%b}' % json_list(b'{"id":"","values":0}', 1_500_000)),
    ),
    _vector("upsert: 15 million empty points", lambda: typed("Upsert", pb.UpsertRequest(points=[{}]), 15 * MIB)),
    _vector(
        "upsert: one point with 1.5 million metadata members",
        lambda: typed("Upsert", points=[pb.Point(id="a", values=[1.0, 0.0, 0.0], metadata=members(1_500_000))]),
    ),
    _vector(
        "query: a filter of 8 MiB of empty lists",
        lambda: filtered(b'{"a":{"$in":%b}}' % json_list(b"[]", 2_700_000)),
    ),
    _vector(
        "query: 99 clauses of 1,000 values",
        lambda: filtered(b'{"$or":%b}' % json_list(b'{"a":{"$in":%b}}' % json_list(b'"abcdefgh"', 1000), 99)),
    ),
    _vector(
        "query: 10 clauses of 1,000 values",
        lambda: filtered(b'{"$or":%b}' % json_list(b'{"a":{"$in":%b}}' % json_list(b'"abcdefgh"', 1000), 10)),
    ),
    _vector(
        "query: a filter of 1.5 million members over gRPC",
        lambda: typed("Query", vector=[1, 0, 0], filter=members(1_500_000)),
    ),
    _vector(
        "query: 200 matches with 40 KiB of numbers each",
        lambda: rest("QueryVectors", b'{"query":{"vector":[1,0,0],"topK":1000}}'),
    ),
    _vector("query: the same over gRPC", lambda: typed("Query", vector=[1, 0, 0], top_k=1000)),
    _vector(
        "query: 100 matches with 40 KiB of numbers each",
        lambda: rest("QueryVectors", b'{"query":{"vector":[1,0,0],"topK":100}}'),
    ),
    _vector(
        "query: 1,000 matches with 4,096 values each",
        lambda: rest(
            "QueryVectors",
            b'{"query":{"vector":%b,"topK":1000,"includeValues":true}}' % json_list(b"1", 4096),
            _WIDE,
        ),
    ),
    _vector(
        "fetch: 1,000 points with 4,096 values each",
        lambda: rest("FetchVectors", json.dumps({"ids": [f"w{at}" for at in range(1000)]}).encode(), _WIDE),
    ),
    _vector(
        "fetch: 2.7 million ids as JSON (8 MiB)",
        lambda: rest("FetchVectors", b'{"ids":%b}' % json_list(b'""', 2_700_000)),
    ),
    _vector("fetch: 15 million ids", lambda: typed("Fetch", pb.FetchRequest(ids=[""]), 15 * MIB)),
    _vector("delete: 15 million ids", lambda: typed("Delete", pb.DeleteRequest(ids=[""]), 15 * MIB)),
    _vector("index: 12 MiB of metadata", lambda: index("x", 3, metadata=members(850_000))),
]
