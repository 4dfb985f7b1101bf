"""PointService: vectors over gRPC."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from core import context as request_context
from core.context import identity
from core.offload import LARGE_BYTES, in_turns, offload
from core.rpc.call import CallContext
from portico.vector.v1 import point_service_pb2 as pb
from portico.vector.v1 import point_service_pb2_grpc
from services.vector import mapping
from services.vector.domain.index_resolver import IndexRef
from services.vector.domain.points import MAX_POINTS
from services.vector.domain.vectors import MAX_FETCH, CallerInfo, Vectors

_FEW = 16
"""Points whose messages are made at once."""

S = TypeVar("S")
T = TypeVar("T")


class IndexRequest(Protocol):
    """Any request for an index."""

    provider_key: str
    index_id: str


def index_ref_of(request: IndexRequest) -> IndexRef:
    return IndexRef(identity().project, request.provider_key, request.index_id)


def caller_info() -> CallerInfo:
    request = request_context.current()
    return CallerInfo("" if request is None else request.request_id, identity().token_id)


async def _made(make: Callable[[S], T], found: Sequence[S]) -> list[T]:
    """The messages of what was found: of many points at most one call's at a time, for they may be large."""
    if len(found) <= _FEW:
        return await in_turns(make, found)
    return await offload(lambda: list(map(make, found)), LARGE_BYTES + 1)


class PointServicer(point_service_pb2_grpc.PointServiceServicer):
    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    async def Upsert(self, request: pb.UpsertRequest, context: CallContext) -> pb.UpsertResponse:
        upserted = await self._vectors.upsert(
            index_ref_of(request), lambda: mapping.points(request.points), request.ByteSize()
        )
        return pb.UpsertResponse(upserted=upserted)

    async def Query(self, request: pb.QueryRequest, context: CallContext) -> pb.QueryResponse:
        matches = await self._vectors.query(index_ref_of(request), mapping.query(request), caller_info())
        return pb.QueryResponse(matches=await _made(mapping.match, matches))

    async def Fetch(self, request: pb.FetchRequest, context: CallContext) -> pb.FetchResponse:
        points = await self._vectors.fetch(index_ref_of(request), mapping.ids(request.ids, MAX_FETCH))
        return pb.FetchResponse(points=await _made(mapping.point, points))

    async def Delete(self, request: pb.DeleteRequest, context: CallContext) -> pb.DeleteResponse:
        filter = mapping.filter_of(request.filter)
        ids = mapping.ids(request.ids, MAX_POINTS)
        return pb.DeleteResponse(deleted=await self._vectors.delete(index_ref_of(request), ids, filter))

    async def Count(self, request: pb.CountRequest, context: CallContext) -> pb.CountResponse:
        return pb.CountResponse(
            count=await self._vectors.count(index_ref_of(request), mapping.filter_of(request.filter))
        )
