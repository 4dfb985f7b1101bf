"""A vector service on a port of its own, and a client that speaks to it as the edge does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import orjson
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.struct_pb2 import Struct

from core.app import Running
from portico.vector.v1 import (
    index_service_pb2 as index_pb,
)
from portico.vector.v1 import (
    index_service_pb2_grpc,
    migration_service_pb2_grpc,
    point_service_pb2_grpc,
    provider_service_pb2_grpc,
)
from portico.vector.v1 import (
    point_service_pb2 as point_pb,
)
from services.vector.app import serve
from services.vector.settings import Settings
from tests.support import serving
from tests.support.tokens import Signer


@asynccontextmanager
async def served(folder: Path, signer: Signer) -> AsyncIterator[Running]:
    env = {"PORTICO_VECTOR_LOOKUP_SECONDS": "0.05"}
    async with serving.served("vector", Settings, serve, folder, signer, **env) as running:
        yield running


@dataclass
class Client:
    """One project's token on the service."""

    channel: grpc.aio.Channel
    token: str

    def __post_init__(self) -> None:
        self.metadata = (("authorization", f"Bearer {self.token}"), *serving.REST)
        self.providers = self._stub(provider_service_pb2_grpc.ProviderServiceStub)
        self.indexes = self._stub(index_service_pb2_grpc.IndexServiceStub)
        self.points = self._stub(point_service_pb2_grpc.PointServiceStub)
        self.rest = self._stub(point_service_pb2_grpc.PointRestServiceStub)
        self.migrations = self._stub(migration_service_pb2_grpc.MigrationServiceStub)

    async def index(self, name: str = "docs", dimension: int = 3, **more: Any) -> index_pb.Index:
        request = index_pb.CreateIndexRequest(provider_key="default", name=name, dimension=dimension, **more)
        made: index_pb.Index = (await self.indexes.CreateIndex(request)).index
        return made

    async def upsert(self, *points: point_pb.Point, index_id: str = "docs") -> int:
        request = point_pb.UpsertRequest(provider_key="default", index_id=index_id, points=points)
        return int((await self.points.Upsert(request)).upserted)

    async def query(self, *vector: float, index_id: str = "docs", **more: Any) -> list[point_pb.Match]:
        request = point_pb.QueryRequest(provider_key="default", index_id=index_id, vector=vector, **more)
        return list((await self.points.Query(request)).matches)

    async def count(self, index_id: str = "docs", **more: Any) -> int:
        request = point_pb.CountRequest(provider_key="default", index_id=index_id, **more)
        return int((await self.points.Count(request)).count)

    async def json(self, method: str, body: Any, index_id: str = "docs") -> Any:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        request = getattr(point_pb, f"{method}Request")(
            provider_key="default", index_id=index_id, body=HttpBody(content_type="application/json", data=data)
        )
        answer = await getattr(self.rest, method)(request)
        assert answer.content_type == "application/json"
        return orjson.loads(answer.data)

    def _stub(self, cls: Any) -> Any:
        return _Bound(cls(self.channel), self.metadata)


class _Bound:
    """A stub whose calls carry the token."""

    def __init__(self, stub: Any, metadata: Any) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stub, name)
        return lambda request: method(request, metadata=self._metadata, timeout=30)


def point(id: str, *values: float, text: str = "", **metadata: Any) -> point_pb.Point:
    return point_pb.Point(id=id, values=values, metadata=struct(**metadata), text=text)


def struct(**values: Any) -> Struct:
    made = Struct()
    made.update(values)
    return made
