"""UsageService."""

from core import context as request_context
from core.offload import in_turns
from core.rpc.call import CallContext
from portico.inference.v1 import usage_service_pb2 as pb
from portico.inference.v1.usage_service_pb2_grpc import UsageServiceServicer
from services.inference import mapping
from services.inference.domain.usage.reports import Reports, usage_scope_of


class UsageServicer(UsageServiceServicer):
    """The servicer of UsageService."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    async def GetUsage(self, request: pb.GetUsageRequest, context: CallContext) -> pb.GetUsageResponse:
        scope = usage_scope_of(request_context.identity(), request.all_projects)
        rows, totals = await self._reports.totals(scope, mapping.totals_filter(request), request.group_by)
        return pb.GetUsageResponse(
            rows=await in_turns(mapping.row_message, rows), totals=await in_turns(mapping.row_message, totals)
        )

    async def ListUsageRecords(
        self, request: pb.ListUsageRecordsRequest, context: CallContext
    ) -> pb.ListUsageRecordsResponse:
        records, token = await self._reports.records(
            usage_scope_of(request_context.identity(), request.all_projects),
            mapping.records_filter(request),
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListUsageRecordsResponse(
            records=await in_turns(mapping.record_message, records), next_page_token=token
        )
