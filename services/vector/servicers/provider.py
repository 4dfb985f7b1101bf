"""ProviderService."""

from core.context import identity
from core.offload import in_turns
from core.providers.records import Provider
from core.rpc.call import CallContext
from core.rpc.provider_messages import new_provider, provider_changes
from portico.vector.v1 import provider_service_pb2 as pb
from portico.vector.v1 import provider_service_pb2_grpc
from services.vector import mapping
from services.vector.domain.indexes import Indexes
from services.vector.domain.providers import VectorProviders


class ProviderServicer(provider_service_pb2_grpc.ProviderServiceServicer):
    def __init__(self, providers: VectorProviders, indexes: Indexes) -> None:
        self._providers = providers
        self._indexes = indexes

    async def ListDrivers(self, request: pb.ListDriversRequest, context: CallContext) -> pb.ListDriversResponse:
        return pb.ListDriversResponse(drivers=map(mapping.driver, self._providers.drivers.values()))

    async def ListProviders(self, request: pb.ListProvidersRequest, context: CallContext) -> pb.ListProvidersResponse:
        providers, following = await self._providers.list(
            identity().project,
            status=request.status,
            driver=request.driver,
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListProvidersResponse(providers=await in_turns(self._message, providers), next_page_token=following)

    async def GetProvider(self, request: pb.GetProviderRequest, context: CallContext) -> pb.GetProviderResponse:
        provider = await self._providers.get(identity().project, request.provider_key)
        return pb.GetProviderResponse(provider=self._message(provider))

    async def CreateProvider(
        self, request: pb.CreateProviderRequest, context: CallContext
    ) -> pb.CreateProviderResponse:
        provider = await self._providers.create(identity().project, new_provider(request))
        return pb.CreateProviderResponse(provider=self._message(provider))

    async def UpdateProvider(
        self, request: pb.UpdateProviderRequest, context: CallContext
    ) -> pb.UpdateProviderResponse:
        changes = provider_changes(request)
        provider = await self._providers.update(identity().project, request.provider_key, changes)
        return pb.UpdateProviderResponse(provider=self._message(provider))

    async def DeleteProvider(
        self, request: pb.DeleteProviderRequest, context: CallContext
    ) -> pb.DeleteProviderResponse:
        await self._providers.delete(identity().project, request.provider_key, self._indexes.count_in)
        return pb.DeleteProviderResponse(success=True)

    def _message(self, provider: Provider) -> pb.Provider:
        return mapping.provider(provider, self._providers.drivers)
