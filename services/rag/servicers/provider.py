"""FileProviderService."""

from core import context as request_context
from core.offload import in_turns
from core.providers.providers import CountUsers
from core.providers.records import Provider
from core.rpc.call import CallContext
from core.rpc.provider_messages import new_provider, provider_changes
from portico.rag.v1 import provider_service_pb2 as pb
from portico.rag.v1 import provider_service_pb2_grpc
from services.rag import mapping
from services.rag.domain.files.providers import FileProviders
from services.rag.domain.files.rules import Rules


class FileProviderServicer(provider_service_pb2_grpc.FileProviderServiceServicer):
    def __init__(self, providers: FileProviders, count_users: CountUsers, rules: Rules) -> None:
        self._providers = providers
        self._count_users = count_users
        self._rules = rules

    async def ListFileDrivers(
        self, request: pb.ListFileDriversRequest, context: CallContext
    ) -> pb.ListFileDriversResponse:
        drivers = self._providers.drivers.values()
        return pb.ListFileDriversResponse(drivers=[mapping.driver(each, self._rules) for each in drivers])

    async def ListFileProviders(
        self, request: pb.ListFileProvidersRequest, context: CallContext
    ) -> pb.ListFileProvidersResponse:
        providers, token = await self._providers.list(
            request_context.identity().project,
            status=request.status,
            driver=request.driver,
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListFileProvidersResponse(providers=await in_turns(self._message, providers), next_page_token=token)

    async def GetFileProvider(
        self, request: pb.GetFileProviderRequest, context: CallContext
    ) -> pb.GetFileProviderResponse:
        provider = await self._providers.get(request_context.identity().project, request.provider_key)
        return pb.GetFileProviderResponse(provider=self._message(provider))

    async def CreateFileProvider(
        self, request: pb.CreateFileProviderRequest, context: CallContext
    ) -> pb.CreateFileProviderResponse:
        provider = await self._providers.create(request_context.identity().project, new_provider(request))
        return pb.CreateFileProviderResponse(provider=self._message(provider))

    async def UpdateFileProvider(
        self, request: pb.UpdateFileProviderRequest, context: CallContext
    ) -> pb.UpdateFileProviderResponse:
        changes = provider_changes(request)
        provider = await self._providers.update(request_context.identity().project, request.provider_key, changes)
        return pb.UpdateFileProviderResponse(provider=self._message(provider))

    async def DeleteFileProvider(
        self, request: pb.DeleteFileProviderRequest, context: CallContext
    ) -> pb.DeleteFileProviderResponse:
        await self._providers.delete(request_context.identity().project, request.provider_key, self._count_users)
        return pb.DeleteFileProviderResponse(success=True)

    def _message(self, provider: Provider) -> pb.FileProvider:
        return mapping.provider(provider, self._providers.drivers, self._rules)
