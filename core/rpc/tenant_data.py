"""TenantDataService, which every service serves to the operator's commands."""

from collections.abc import AsyncIterator

from core.errors import FailedPrecondition, InvalidInput
from core.project_removal import Removals
from core.revocations import Revocations
from core.rpc.call import CallContext
from core.rpc.server import ServiceRegistration
from core.storage.ports import Collection
from core.storage.schema import Schema
from core.tenancy import MAIN, Project, Tenant
from core.tenant_data import Chunk, TenantDataRegistry
from core.version import VERSION
from portico.common.v1 import tenant_data_service_pb2 as pb
from portico.common.v1 import tenant_data_service_pb2_grpc

# Any tenant does: each has the same collections.
_ANY_TENANT = Tenant("any")


class TenantDataServicer(tenant_data_service_pb2_grpc.TenantDataServiceServicer):
    def __init__(
        self,
        service: str,
        schema: Schema,
        registry: TenantDataRegistry,
        removals: Removals,
        revocations: Revocations,
    ) -> None:
        self._service = service
        self._collections = [*schema.of(MAIN), *schema.of(_ANY_TENANT)]
        self._registry = registry
        self._removals = removals
        self._revocations = revocations

    async def DescribeTenantData(
        self, request: pb.DescribeTenantDataRequest, context: CallContext
    ) -> pb.DescribeTenantDataResponse:
        return pb.DescribeTenantDataResponse(
            service=self._service,
            version=VERSION,
            collections=map(_described, self._collections),
            kinds=[data.kind for data in self._registry.kinds],
        )

    async def SettleTenantData(
        self, request: pb.SettleTenantDataRequest, context: CallContext
    ) -> pb.SettleTenantDataResponse:
        _tenant(request.tenant)
        await self._registry.settle()
        return pb.SettleTenantDataResponse()

    async def ExportTenantData(
        self, request: pb.ExportTenantDataRequest, context: CallContext
    ) -> AsyncIterator[pb.ExportTenantDataResponse]:
        chunks = self._registry.of(request.kind).export(_tenant(request.tenant))
        try:
            async for entry, content in chunks:
                yield pb.ExportTenantDataResponse(entry=entry, content=content)
        finally:
            await chunks.aclose()

    async def ImportTenantData(
        self, request_iterator: AsyncIterator[pb.ImportTenantDataRequest], context: CallContext
    ) -> pb.ImportTenantDataResponse:
        requests = aiter(request_iterator)
        first = await anext(requests, None)
        if first is None:
            raise InvalidInput("The first message names the tenant and the kind of state.", field="tenant")
        data = self._registry.of(first.kind)
        count = await data.restore(_tenant(first.tenant), _chunks(first, requests))
        return pb.ImportTenantDataResponse(entries=count)

    async def EraseTenantData(
        self, request: pb.EraseTenantDataRequest, context: CallContext
    ) -> pb.EraseTenantDataResponse:
        tenant = _tenant(request.tenant)
        if not self._revocations.is_suspended(tenant.slug):
            raise FailedPrecondition(
                "This service does not know yet that the tenant is suspended. Try again.",
                reason="NOT_SUSPENDED",
                retry_after=0.5,
            )
        left = [
            id
            for id in request.projects
            if not await self._removals.remove_now(Project(tenant, id), force=request.force)
        ]
        if not left:
            for data in self._registry.kinds:
                await data.erase(tenant)
            await self._registry.settle()
        return pb.EraseTenantDataResponse(left=left)


def registration(servicer: TenantDataServicer) -> ServiceRegistration:
    return ServiceRegistration(
        "portico.common.v1.TenantDataService",
        tenant_data_service_pb2_grpc.add_TenantDataServiceServicer_to_server,
        servicer,
    )


def _tenant(slug: str) -> Tenant:
    try:
        return Tenant(slug)
    except ValueError as error:
        raise InvalidInput(f"{error}.", field="tenant") from None


async def _chunks(
    first: pb.ImportTenantDataRequest, following: AsyncIterator[pb.ImportTenantDataRequest]
) -> AsyncIterator[Chunk]:
    if first.entry:
        yield first.entry, first.content
    async for each in following:
        yield each.entry, each.content


def _described(collection: Collection) -> pb.DataCollection:
    return pb.DataCollection(
        name=collection.name,
        level=collection.level.value,
        fields={name: type_.value for name, type_ in collection.fields.items()},
        unique=[pb.FieldGroup(fields=group) for group in collection.unique],
        indexes=[pb.FieldGroup(fields=group) for group in collection.indexes],
        expiry=collection.expiry,
        sealed=collection.sealed,
        hidden=collection.hidden,
    )
