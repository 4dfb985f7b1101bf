"""PointRestService: vectors over REST, whose JSON comes through the edge untouched."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from google.api.httpbody_pb2 import HttpBody

from core.offload import offload, offload_request
from core.rpc.call import CallContext
from portico.vector.v1 import point_service_pb2 as pb
from portico.vector.v1 import point_service_pb2_grpc
from services.vector import mapping_json
from services.vector.domain.vectors import Vectors
from services.vector.servicers.point import caller_info, index_ref_of

_POINT_WEIGHT = 256
"""Bytes of a request that take as long as to write a point of an answer."""

T = TypeVar("T")


class WithBody(Protocol):
    """A request whose JSON is untouched."""

    body: HttpBody


class PointRestServicer(point_service_pb2_grpc.PointRestServiceServicer):
    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    async def UpsertVectors(self, request: pb.UpsertVectorsRequest, context: CallContext) -> HttpBody:
        body = request.body.data
        count = await self._vectors.upsert(index_ref_of(request), lambda: mapping_json.points(body), len(body))
        return _json(mapping_json.upserted(count))

    async def QueryVectors(self, request: pb.QueryVectorsRequest, context: CallContext) -> HttpBody:
        query = await _read(mapping_json.query, request)
        found = await self._vectors.query(index_ref_of(request), query, caller_info())
        return _json(await offload(lambda: mapping_json.matches(found), len(found) * _POINT_WEIGHT))

    async def FetchVectors(self, request: pb.FetchVectorsRequest, context: CallContext) -> HttpBody:
        ids = await _read(mapping_json.ids, request)
        found = await self._vectors.fetch(index_ref_of(request), ids)
        return _json(await offload(lambda: mapping_json.fetched(found), len(found) * _POINT_WEIGHT))

    async def DeleteVectors(self, request: pb.DeleteVectorsRequest, context: CallContext) -> HttpBody:
        ids, filter = await _read(mapping_json.deletion, request)
        return _json(mapping_json.deleted(await self._vectors.delete(index_ref_of(request), ids, filter)))

    async def CountVectors(self, request: pb.CountVectorsRequest, context: CallContext) -> HttpBody:
        filter = await _read(mapping_json.count_filter, request)
        return _json(mapping_json.counted(await self._vectors.count(index_ref_of(request), filter)))


async def _read(read: Callable[[bytes], T], request: WithBody) -> T:
    body = request.body.data
    return await offload_request(lambda: read(body), len(body), above=mapping_json.LARGE_BODY_BYTES)


def _json(data: bytes) -> HttpBody:
    return HttpBody(content_type="application/json", data=data)
