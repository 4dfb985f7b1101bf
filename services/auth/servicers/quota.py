"""QuotaService and BudgetService."""

from core.rpc.call import CallContext
from portico.auth.v1 import budget_service_pb2 as budget_pb
from portico.auth.v1 import budget_service_pb2_grpc, quota_service_pb2_grpc
from portico.auth.v1 import quota_service_pb2 as pb
from services.auth import mapping_quotas as mapping
from services.auth.domain.quota_policies import QuotaPolicies


class QuotaServicer(quota_service_pb2_grpc.QuotaServiceServicer):
    def __init__(self, policies: QuotaPolicies) -> None:
        self._policies = policies

    async def GetQuotaDefaults(
        self, request: pb.GetQuotaDefaultsRequest, context: CallContext
    ) -> pb.GetQuotaDefaultsResponse:
        plan = mapping.plan(await self._policies.plan())
        return pb.GetQuotaDefaultsResponse(license_type=plan.name, defaults=plan.limits, plan=plan)

    async def ListQuotaPolicies(
        self, request: pb.ListQuotaPoliciesRequest, context: CallContext
    ) -> pb.ListQuotaPoliciesResponse:
        policies, following = await self._policies.page(
            request.page_size, request.page_token, scope=request.scope, domain=request.domain
        )
        return pb.ListQuotaPoliciesResponse(policies=map(mapping.policy, policies), next_page_token=following)

    async def GetQuotaPolicy(
        self, request: pb.GetQuotaPolicyRequest, context: CallContext
    ) -> pb.GetQuotaPolicyResponse:
        return pb.GetQuotaPolicyResponse(policy=mapping.policy(await self._policies.get(request.id)))

    async def CreateQuotaPolicy(
        self, request: pb.CreateQuotaPolicyRequest, context: CallContext
    ) -> pb.CreateQuotaPolicyResponse:
        made = await self._policies.create(mapping.new_policy(request))
        return pb.CreateQuotaPolicyResponse(policy=mapping.policy(made))

    async def UpdateQuotaPolicy(
        self, request: pb.UpdateQuotaPolicyRequest, context: CallContext
    ) -> pb.UpdateQuotaPolicyResponse:
        updated = await self._policies.update(request.id, mapping.policy_change(request))
        return pb.UpdateQuotaPolicyResponse(policy=mapping.policy(updated))

    async def DeleteQuotaPolicy(
        self, request: pb.DeleteQuotaPolicyRequest, context: CallContext
    ) -> pb.DeleteQuotaPolicyResponse:
        await self._policies.delete(request.id)
        return pb.DeleteQuotaPolicyResponse(success=True)


class BudgetServicer(budget_service_pb2_grpc.BudgetServiceServicer):
    def __init__(self, policies: QuotaPolicies) -> None:
        self._policies = policies

    async def ListBudgets(
        self, request: budget_pb.ListBudgetsRequest, context: CallContext
    ) -> budget_pb.ListBudgetsResponse:
        budgets, following = await self._policies.page(request.page_size, request.page_token, budgets=True)
        return budget_pb.ListBudgetsResponse(
            object="list", data=map(mapping.budget, budgets), next_page_token=following
        )

    async def CreateBudget(self, request: budget_pb.CreateBudgetRequest, context: CallContext) -> budget_pb.Budget:
        made = await self._policies.create(mapping.new_budget(request), names=mapping.BUDGET_FIELDS)
        return mapping.budget(made)

    async def UpdateBudget(self, request: budget_pb.UpdateBudgetRequest, context: CallContext) -> budget_pb.Budget:
        old = await self._policies.budget(request.id)
        return mapping.budget(await self._policies.update(request.id, mapping.budget_change(request, old)))

    async def DeleteBudget(
        self, request: budget_pb.DeleteBudgetRequest, context: CallContext
    ) -> budget_pb.DeleteBudgetResponse:
        await self._policies.delete_budget(request.id)
        return budget_pb.DeleteBudgetResponse(deleted=True, id=request.id)
