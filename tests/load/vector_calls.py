"""A tenant's calls to the vector service over gRPC and REST, as plain clients make them, and the bare engine."""

import http.client
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import orjson
import qdrant_edge as edge

from portico.vector.v1 import index_service_pb2 as index_pb
from portico.vector.v1 import index_service_pb2_grpc, point_service_pb2_grpc
from portico.vector.v1 import point_service_pb2 as pb
from services.vector.adapters.embedded.shard import Shard, _filter
from services.vector.adapters.qdrant_payload import POINT, to_id
from services.vector.domain import filters
from services.vector.domain.points import vector
from services.vector.ports import Query
from tests.load.programs import Failed
from tests.load.vector_data import NEAREST, Floats, metadata

T = TypeVar("T")

PROVIDER = "default"
_OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
_TIMEOUT = 120.0


@dataclass(slots=True)
class Client:
    """A tenant's token at an address: the vector service's own, or the edge's. Raises grpc.RpcError."""

    address: str
    token: str
    index: str = ""
    points: Any = field(init=False)
    indexes: Any = field(init=False)

    def __post_init__(self) -> None:
        channel = grpc.insecure_channel(self.address, _OPTIONS)
        self.points = point_service_pb2_grpc.PointServiceStub(channel)
        self.indexes = index_service_pb2_grpc.IndexServiceStub(channel)

    def create(self, name: str, dimension: int) -> str:
        """The key of a new index."""
        request = index_pb.CreateIndexRequest(provider_key=PROVIDER, name=name, dimension=dimension)
        return str(self._call(self.indexes.CreateIndex, request).index.key)

    def upsert(self, request: pb.UpsertRequest) -> None:
        self._call(self.points.Upsert, request)

    def count(self) -> int:
        return int(self._call(self.points.Count, pb.CountRequest(provider_key=PROVIDER, index_id=self.index)).count)

    def query(self, values: Sequence[float], filter: Mapping[str, Any] | None) -> list[str]:
        request = pb.QueryRequest(provider_key=PROVIDER, index_id=self.index, vector=values, top_k=NEAREST)
        if filter:
            request.filter.update(filter)
        return [match.id for match in self._call(self.points.Query, request).matches]

    def _call(self, method: Any, request: Any) -> Any:
        return method(request, metadata=(("authorization", f"Bearer {self.token}"),), timeout=_TIMEOUT)


class Rest:
    """The same over REST, through the edge at a port of this machine. Raises Failed."""

    def __init__(self, port: int, token: str, index: str = "") -> None:
        self.index = index
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def query(self, values: Sequence[float], filter: Mapping[str, Any] | None) -> list[str]:
        asked = {"vector": values, "topK": NEAREST, **({"filter": filter} if filter else {})}
        answer = self._call("query", orjson.dumps({"query": asked}))
        return [match["id"] for match in answer["result"]["matches"]]

    def upsert(self, body: bytes) -> None:
        self._call("upsert", body)

    def _call(self, what: str, body: bytes) -> Any:
        path = f"/v1/vector/providers/{PROVIDER}/indexes/{self.index}/{what}"
        self._connection.request("POST", path, body, self._headers)
        with self._connection.getresponse() as response:
            data = response.read()
        if response.status != 200:
            raise Failed(f"{what}: {response.status} {data[:500]!r}")
        return orjson.loads(data)


def json_batches(values: Floats, size: int) -> Iterator[bytes]:
    """The points as bodies of REST requests of `size`."""
    for start in range(0, len(values), size):
        rows = range(start, min(start + size, len(values)))
        points = [{"id": str(at), "values": values[at].tolist(), "metadata": metadata(at)} for at in rows]
        yield orjson.dumps({"vectors": points})


def batches(index: str, values: Floats, size: int) -> Iterator[pb.UpsertRequest]:
    """The points in requests of `size`."""
    for start in range(0, len(values), size):
        request = pb.UpsertRequest(provider_key=PROVIDER, index_id=index)
        for at in range(start, min(start + size, len(values))):
            point = request.points.add(id=str(at), values=values[at].tolist())
            point.metadata.update(metadata(at))
        yield request


def fill(upsert: Callable[[T], None], requests: Sequence[T], callers: int = 1) -> float:
    """Seconds until the last of them was answered."""
    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(upsert, requests))
    return time.perf_counter() - began


class Library:
    """A copy of an index's files, opened in this process: the engine's library and the settings of the service."""

    def __init__(self, index: Path, scratch: Path) -> None:
        shutil.copytree(index / generation(index), scratch / generation(index))
        shutil.copy(index / "index.json", scratch)
        self.shard = Shard(scratch)
        self.cpu = 0.0
        """CPU seconds of this process in all queries so far."""

    def query(self, values: Sequence[float], filter: Mapping[str, Any] | None) -> list[str]:
        before = time.process_time()
        parsed = filters.parse(dict(filter)) if filter else None
        found = [match.id for match in self.shard.query(Query(vector(values), NEAREST, parsed))]
        self.cpu += time.process_time() - before
        return found


class Untuned:
    """The same, but with the engine's own ef_search."""

    def __init__(self, library: Library) -> None:
        self._engine = library.shard._engine

    def query(self, values: Sequence[float], filter: Mapping[str, Any] | None) -> list[str]:
        parsed = filters.parse(dict(filter)) if filter else None
        request = edge.QueryRequest(
            limit=NEAREST, query=edge.Query.Nearest(list(values)), filter=_filter(parsed), with_payload=[POINT]
        )
        return [to_id(found.payload or {}) for found in self._engine.query(request)]


def index_folder(data: Path, tenant: str) -> Path:
    """Return the folder where the embedded engine keeps the tenant's one index."""
    (found,) = (data / "vectors" / tenant).glob("*/*/index.json")
    return found.parent


def generation(index: Path) -> str:
    """Changes when an optimised index has taken the place of another."""
    return str(orjson.loads((index / "index.json").read_bytes())["generation"])
