"""MonitoringService."""

from core.context import identity
from core.rpc.call import CallContext
from portico.tracing.v1 import monitoring_service_pb2 as pb
from portico.tracing.v1 import monitoring_service_pb2_grpc
from services.tracing import mapping_monitoring as mapping
from services.tracing.domain.monitoring.poller import Poller
from services.tracing.domain.monitoring.records import InferenceServer
from services.tracing.domain.monitoring.servers import InferenceServers


class MonitoringServicer(monitoring_service_pb2_grpc.MonitoringServiceServicer):
    def __init__(self, servers: InferenceServers, poller: Poller) -> None:
        self._servers = servers
        self._poller = poller

    async def ListInferenceServers(
        self, request: pb.ListInferenceServersRequest, context: CallContext
    ) -> pb.ListInferenceServersResponse:
        project = identity().project
        found, following = await self._servers.page(project, request.page_size, request.page_token)
        latest = await self._servers.latest(project, found)
        return pb.ListInferenceServersResponse(servers=mapping.servers(found, latest), next_page_token=following)

    async def GetInferenceDashboard(
        self, request: pb.GetInferenceDashboardRequest, context: CallContext
    ) -> pb.GetInferenceDashboardResponse:
        project = identity().project
        found = await self._servers.all(project)
        latest = await self._servers.latest(project, found)
        return pb.GetInferenceDashboardResponse(
            servers=mapping.servers(found, latest), totals=mapping.totals(found, latest)
        )

    async def CreateInferenceServer(
        self, request: pb.CreateInferenceServerRequest, context: CallContext
    ) -> pb.CreateInferenceServerResponse:
        made = await self._servers.create(identity().project, mapping.new_server(request))
        return pb.CreateInferenceServerResponse(server=mapping.server(made))

    async def GetInferenceServer(
        self, request: pb.GetInferenceServerRequest, context: CallContext
    ) -> pb.GetInferenceServerResponse:
        return pb.GetInferenceServerResponse(
            server=await self._with_latest(await self._servers.get(identity().project, request.key))
        )

    async def UpdateInferenceServer(
        self, request: pb.UpdateInferenceServerRequest, context: CallContext
    ) -> pb.UpdateInferenceServerResponse:
        changes = mapping.server_changes(request)
        updated = await self._servers.update(identity().project, request.key, changes)
        return pb.UpdateInferenceServerResponse(server=await self._with_latest(updated))

    async def DeleteInferenceServer(
        self, request: pb.DeleteInferenceServerRequest, context: CallContext
    ) -> pb.DeleteInferenceServerResponse:
        await self._servers.delete(identity().project, request.key)
        return pb.DeleteInferenceServerResponse(success=True)

    async def PollInferenceServer(
        self, request: pb.PollInferenceServerRequest, context: CallContext
    ) -> pb.PollInferenceServerResponse:
        row = await self._poller.poll_now(identity().project, request.key)
        return pb.PollInferenceServerResponse(metrics=mapping.metrics(row))

    async def ListInferenceMetrics(
        self, request: pb.ListInferenceMetricsRequest, context: CallContext
    ) -> pb.ListInferenceMetricsResponse:
        rows, following = await self._servers.history(
            identity().project,
            request.key,
            mapping.span(request),
            request.page_size or request.limit,
            request.page_token,
        )
        return pb.ListInferenceMetricsResponse(metrics=map(mapping.metrics, rows), next_page_token=following)

    async def _with_latest(self, server: InferenceServer) -> "pb.InferenceServer":
        latest = await self._servers.latest(identity().project, [server])
        return mapping.server(server, latest.get(server.id))
