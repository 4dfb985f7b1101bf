"""SpendService."""

from core import context as request_context
from core.rpc.call import CallContext
from portico.inference.v1 import spend_service_pb2 as pb
from portico.inference.v1.spend_service_pb2_grpc import SpendServiceServicer
from services.inference import mapping_spend as mapping
from services.inference.domain.usage.overview import Overviews
from services.inference.domain.usage.periods import read_span
from services.inference.domain.usage.reports import usage_scope_of
from services.inference.domain.usage.spend import Spend


class SpendServicer(SpendServiceServicer):
    """The servicer of SpendService."""

    def __init__(self, spend: Spend, overviews: Overviews) -> None:
        self._spend = spend
        self._overviews = overviews

    async def GetSpendReport(
        self, request: pb.GetSpendReportRequest, context: CallContext
    ) -> pb.GetSpendReportResponse:
        report = await self._spend.report(
            usage_scope_of(request_context.identity(), request.all_projects),
            read_span(getattr(request, "from"), request.to),
            group_by=request.group_by,
            entity=request.group_by_entity,
            wanted=mapping.spend_filter(request),
            currency=request.currency,
        )
        return mapping.spend_message(report)

    async def GetUsageOverview(
        self, request: pb.GetUsageOverviewRequest, context: CallContext
    ) -> pb.GetUsageOverviewResponse:
        overview = await self._overviews.overview(
            usage_scope_of(request_context.identity(), request.all_projects),
            read_span(getattr(request, "from"), request.to, default_days=1),
            group_by=request.group_by,
            model=request.model,
            top=request.top,
        )
        return mapping.overview_message(overview)
