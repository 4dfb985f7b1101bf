"""IndexService."""

from core.context import identity
from core.offload import in_turns
from core.rpc.call import CallContext
from portico.vector.v1 import index_service_pb2 as pb
from portico.vector.v1 import index_service_pb2_grpc
from services.vector import mapping
from services.vector.domain.index_resolver import IndexRef
from services.vector.domain.indexes import Indexes
from services.vector.domain.providers import VectorProviders
from services.vector.domain.query_log import QueryLog
from services.vector.domain.quotas import VectorQuotas
from services.vector.domain.vectors import Vectors


class IndexServicer(index_service_pb2_grpc.IndexServiceServicer):
    def __init__(
        self, providers: VectorProviders, indexes: Indexes, vectors: Vectors, log: QueryLog, quotas: VectorQuotas
    ) -> None:
        self._quotas = quotas
        self._providers = providers
        self._indexes = indexes
        self._vectors = vectors
        self._log = log

    async def ListIndexes(self, request: pb.ListIndexesRequest, context: CallContext) -> pb.ListIndexesResponse:
        indexes, following = await self._indexes.list(
            identity().project, request.provider_key, request.page_size, request.page_token
        )
        return pb.ListIndexesResponse(indexes=await in_turns(mapping.index, indexes), next_page_token=following)

    async def GetIndex(self, request: pb.GetIndexRequest, context: CallContext) -> pb.GetIndexResponse:
        index, provider = await self._indexes.get(identity().project, request.provider_key, request.index_id)
        return pb.GetIndexResponse(
            index=mapping.index(index), provider=mapping.provider(provider, self._providers.drivers)
        )

    async def CreateIndex(self, request: pb.CreateIndexRequest, context: CallContext) -> pb.CreateIndexResponse:
        await self._quotas.use_dimension(request.provider_key, request.dimension)
        index, reused = await self._indexes.create(identity().project, request.provider_key, mapping.new_index(request))
        if reused:
            context.set_http_status(200)
        return pb.CreateIndexResponse(index=mapping.index(index), reused=reused)

    async def UpdateIndex(self, request: pb.UpdateIndexRequest, context: CallContext) -> pb.UpdateIndexResponse:
        change = mapping.index_change(request)
        index = await self._indexes.update(identity().project, request.provider_key, request.index_id, *change)
        return pb.UpdateIndexResponse(index=mapping.index(index))

    async def DeleteIndex(self, request: pb.DeleteIndexRequest, context: CallContext) -> pb.DeleteIndexResponse:
        await self._indexes.delete(identity().project, request.provider_key, request.index_id)
        return pb.DeleteIndexResponse(success=True)

    async def GetIndexStats(self, request: pb.GetIndexStatsRequest, context: CallContext) -> pb.GetIndexStatsResponse:
        project = identity().project
        index, provider = await self._indexes.get(project, request.provider_key, request.index_id)
        queries = await self._log.stats(project, index.id, request.hours)
        vectors = await self._vectors.count(IndexRef(project, provider.key, index.key), None)
        return mapping.stats(vectors, queries)

    async def ListQueryLogs(self, request: pb.ListQueryLogsRequest, context: CallContext) -> pb.ListQueryLogsResponse:
        project = identity().project
        index, _ = await self._indexes.get(project, request.provider_key, request.index_id)
        records, following = await self._log.page(project, index.id, request.page_size, request.page_token)
        return pb.ListQueryLogsResponse(queries=await in_turns(mapping.query_log, records), next_page_token=following)
