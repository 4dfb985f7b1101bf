"""QuotaStatusService."""

from core import context as request_context
from core.rpc.call import CallContext
from portico.inference.v1 import quota_status_service_pb2 as pb
from portico.inference.v1.quota_status_service_pb2_grpc import QuotaStatusServiceServicer
from services.inference import mapping_quotas as mapping
from services.inference.domain.usage.quota_status import QuotaStatus


class QuotaStatusServicer(QuotaStatusServiceServicer):
    """The servicer of QuotaStatusService."""

    def __init__(self, status: QuotaStatus) -> None:
        self._status = status

    async def GetQuotaStatus(
        self, request: pb.GetQuotaStatusRequest, context: CallContext
    ) -> pb.GetQuotaStatusResponse:
        caller = request_context.identity()
        found = await self._status.limits(caller, request.domain, request.model, request.provider)
        return pb.GetQuotaStatusResponse(domain=request.domain or "llm", limits=map(mapping.limit, found))

    async def GetBudgetStatus(
        self, request: pb.GetBudgetStatusRequest, context: CallContext
    ) -> pb.GetBudgetStatusResponse:
        caller = request_context.identity()
        return mapping.budget_status(await self._status.budgets(caller, request.domain, request.model, request.scope))
