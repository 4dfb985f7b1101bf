"""FileProviderService."""

# ruff: noqa: N802  # RPCs are named by the contract

from grpc.aio import ServicerContext

from core import context as call
from portico.rag.v1 import provider_service_pb2 as pb
from portico.rag.v1 import provider_service_pb2_grpc
from services.rag import convert
from services.rag.domain.buckets import Buckets
from services.rag.domain.providers import Providers
from services.rag.domain.stores import Stores


class FileProviderServicer(provider_service_pb2_grpc.FileProviderServiceServicer):
    def __init__(self, providers: Providers, buckets: Buckets, stores: Stores) -> None:
        self._providers = providers
        self._buckets = buckets
        self._stores = stores

    async def ListFileDrivers(
        self, request: pb.ListFileDriversRequest, context: ServicerContext
    ) -> pb.ListFileDriversResponse:
        return pb.ListFileDriversResponse(drivers=[convert.driver(each) for each in self._providers.drivers.values()])

    async def ListFileProviders(
        self, request: pb.ListFileProvidersRequest, context: ServicerContext
    ) -> pb.ListFileProvidersResponse:
        providers, token = await self._providers.page(
            call.identity().project,
            status=request.status,
            driver=request.driver,
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListFileProvidersResponse(
            providers=[convert.provider(each) for each in providers], next_page_token=token
        )

    async def CreateFileProvider(
        self, request: pb.CreateFileProviderRequest, context: ServicerContext
    ) -> pb.CreateFileProviderResponse:
        provider = await self._providers.create(call.identity().project, convert.new_provider(request))
        return pb.CreateFileProviderResponse(provider=convert.provider(provider))

    async def DeleteFileProvider(
        self, request: pb.DeleteFileProviderRequest, context: ServicerContext
    ) -> pb.DeleteFileProviderResponse:
        project = call.identity().project
        provider = await self._providers.delete(
            project, request.provider_key, lambda id: self._buckets.count_in(project, id)
        )
        self._stores.forget(project, provider)
        return pb.DeleteFileProviderResponse(success=True)
