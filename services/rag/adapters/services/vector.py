"""Indexes and points of the vector service."""

from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from google.protobuf.struct_pb2 import Struct

from core.errors import NotFound
from core.rpc.client import ServiceClient
from core.rpc.values import json_of_answer, struct_of
from portico.vector.v1 import index_service_pb2, index_service_pb2_grpc, point_service_pb2_grpc
from portico.vector.v1 import point_service_pb2 as pb
from services.rag.ports import IndexInfo, IndexRef, Vector, VectorMatch, VectorPoint

_SECONDS = 30.0
_WRITE_SECONDS = 120.0


class VectorClient:
    """A Vectors of the ports."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._indexes = index_service_pb2_grpc.IndexServiceStub(client.channel)
        self._points = point_service_pb2_grpc.PointServiceStub(client.channel)

    async def index(self, ref: IndexRef) -> IndexInfo:
        request = index_service_pb2.GetIndexRequest(provider_key=ref.provider_key, index_id=ref.index_key)
        answer = await self._client.call(self._indexes.GetIndex, request, seconds=_SECONDS)
        return _info(answer.index)

    async def ensure_index(
        self, provider_key: str, name: str, dimension: int, *, metric: str = "cosine", hybrid: bool = False
    ) -> IndexInfo:
        request = index_service_pb2.CreateIndexRequest(
            provider_key=provider_key, name=name, dimension=dimension, metric=metric, hybrid=hybrid
        )
        answer = await self._client.call(self._indexes.CreateIndex, request, seconds=_WRITE_SECONDS)
        return _info(answer.index)

    async def delete_index(self, ref: IndexRef) -> None:
        request = index_service_pb2.DeleteIndexRequest(provider_key=ref.provider_key, index_id=ref.index_key)
        with suppress(NotFound):
            await self._client.call(self._indexes.DeleteIndex, request, seconds=_WRITE_SECONDS)

    async def upsert(self, ref: IndexRef, points: Sequence[VectorPoint]) -> None:
        request = pb.UpsertRequest(
            provider_key=ref.provider_key,
            index_id=ref.index_key,
            points=[
                pb.Point(id=each.id, values=each.values, metadata=struct_of(each.metadata), text=each.text)
                for each in points
            ],
        )
        await self._client.call(self._points.Upsert, request, seconds=_WRITE_SECONDS)

    async def delete(self, ref: IndexRef, *, ids: Sequence[str] = (), filter: Mapping[str, Any] | None = None) -> int:
        request = pb.DeleteRequest(
            provider_key=ref.provider_key, index_id=ref.index_key, ids=ids, filter=_filter(filter)
        )
        answer = await self._client.call(self._points.Delete, request, seconds=_WRITE_SECONDS)
        return int(answer.deleted)

    async def query(
        self,
        ref: IndexRef,
        vector: Sequence[float],
        *,
        top_k: int,
        filter: Mapping[str, Any] | None = None,
        text: str = "",
        fusion: str = "",
        dense_weight: float | None = None,
        include_values: bool = False,
    ) -> list[VectorMatch]:
        request = pb.QueryRequest(
            provider_key=ref.provider_key,
            index_id=ref.index_key,
            vector=vector,
            top_k=top_k,
            filter=_filter(filter),
            include_values=include_values,
            text=text,
            fusion=fusion,
            dense_weight=dense_weight,
        )
        answer = await self._client.call(self._points.Query, request, seconds=_SECONDS)
        return [
            VectorMatch(each.id, each.score, json_of_answer(each.metadata), array("f", each.values))
            for each in answer.matches
        ]

    async def fetch(self, ref: IndexRef, ids: Sequence[str]) -> dict[str, Vector]:
        request = pb.FetchRequest(provider_key=ref.provider_key, index_id=ref.index_key, ids=ids)
        answer = await self._client.call(self._points.Fetch, request, seconds=_SECONDS)
        return {each.id: array("f", each.values) for each in answer.points}

    async def count(self, ref: IndexRef, filter: Mapping[str, Any] | None = None) -> int:
        request = pb.CountRequest(provider_key=ref.provider_key, index_id=ref.index_key, filter=_filter(filter))
        answer = await self._client.call(self._points.Count, request, seconds=_SECONDS)
        return int(answer.count)


def _info(index: index_service_pb2.Index) -> IndexInfo:
    return IndexInfo(IndexRef(index.provider_key, index.key), index.dimension, index.metric, index.hybrid)


def _filter(filter: Mapping[str, Any] | None) -> Struct | None:
    return struct_of(filter) if filter else None
