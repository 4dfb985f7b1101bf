"""PointRestService: vectors over REST, whose JSON comes through the edge untouched."""

# ruff: noqa: N802  # RPCs are named by the contract

from google.api.httpbody_pb2 import HttpBody
from grpc.aio import ServicerContext

from portico.vector.v1 import point_service_pb2 as pb
from portico.vector.v1 import point_service_pb2_grpc
from services.vector import convert_json
from services.vector.domain.vectors import Vectors
from services.vector.servicers.point import address_of, asker


class PointRestServicer(point_service_pb2_grpc.PointRestServiceServicer):
    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    async def UpsertVectors(self, request: pb.UpsertVectorsRequest, context: ServicerContext) -> HttpBody:
        body = request.body.data
        count = await self._vectors.upsert(address_of(request), lambda: convert_json.points(body), len(body))
        return _json(convert_json.upserted(count))

    async def QueryVectors(self, request: pb.QueryVectorsRequest, context: ServicerContext) -> HttpBody:
        query = convert_json.query(request.body.data)
        return _json(convert_json.matches(await self._vectors.query(address_of(request), query, asker())))

    async def FetchVectors(self, request: pb.FetchVectorsRequest, context: ServicerContext) -> HttpBody:
        ids = convert_json.ids(request.body.data)
        return _json(convert_json.fetched(await self._vectors.fetch(address_of(request), ids)))

    async def DeleteVectors(self, request: pb.DeleteVectorsRequest, context: ServicerContext) -> HttpBody:
        ids, filter = convert_json.deletion(request.body.data)
        return _json(convert_json.deleted(await self._vectors.delete(address_of(request), ids, filter)))

    async def CountVectors(self, request: pb.CountVectorsRequest, context: ServicerContext) -> HttpBody:
        filter = convert_json.count_filter(request.body.data)
        return _json(convert_json.counted(await self._vectors.count(address_of(request), filter)))


def _json(data: bytes) -> HttpBody:
    return HttpBody(content_type="application/json", data=data)
