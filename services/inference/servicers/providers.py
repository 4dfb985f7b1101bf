"""ProviderService."""

from core import context as request_context
from core.offload import in_turns
from core.rpc.call import CallContext
from core.rpc.provider_messages import new_provider, provider_changes
from portico.inference.v1 import provider_service_pb2 as pb
from portico.inference.v1.provider_service_pb2_grpc import ProviderServiceServicer
from services.inference import mapping
from services.inference.domain.catalogue.models import Models
from services.inference.domain.catalogue.providers import ModelProviders


class ProviderServicer(ProviderServiceServicer):
    """The servicer of ProviderService."""

    def __init__(self, providers: ModelProviders, models: Models) -> None:
        self._providers = providers
        self._models = models

    async def ListDrivers(self, request: pb.ListDriversRequest, context: CallContext) -> pb.ListDriversResponse:
        return pb.ListDriversResponse(drivers=map(mapping.driver_message, self._providers.drivers.values()))

    async def ListProviders(self, request: pb.ListProvidersRequest, context: CallContext) -> pb.ListProvidersResponse:
        providers, token = await self._providers.list(
            request_context.identity().project,
            status=request.status,
            driver=request.driver,
            size=request.page_size,
            token=request.page_token,
        )
        messages = await in_turns(mapping.provider_message, providers)
        return pb.ListProvidersResponse(providers=messages, next_page_token=token)

    async def GetProvider(self, request: pb.GetProviderRequest, context: CallContext) -> pb.GetProviderResponse:
        provider = await self._providers.get(request_context.identity().project, request.id, field="id")
        return pb.GetProviderResponse(provider=mapping.provider_message(provider))

    async def CreateProvider(
        self, request: pb.CreateProviderRequest, context: CallContext
    ) -> pb.CreateProviderResponse:
        provider = await self._providers.create(request_context.identity().project, new_provider(request))
        return pb.CreateProviderResponse(provider=mapping.provider_message(provider))

    async def UpdateProvider(
        self, request: pb.UpdateProviderRequest, context: CallContext
    ) -> pb.UpdateProviderResponse:
        changes = provider_changes(request)
        provider = await self._providers.update(request_context.identity().project, request.id, changes, field="id")
        return pb.UpdateProviderResponse(provider=mapping.provider_message(provider))

    async def DeleteProvider(
        self, request: pb.DeleteProviderRequest, context: CallContext
    ) -> pb.DeleteProviderResponse:
        await self._providers.delete(request_context.identity().project, request.id, self._models.count_on, field="id")
        return pb.DeleteProviderResponse(success=True)
