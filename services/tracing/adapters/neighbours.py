"""Metrics and people of Portico's other services, for alert rules. Calls carry the identity of the present job."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.errors import NotFound
from core.rpc.client import ServiceClient
from core.rpc.values import seconds_of, timestamp_of
from core.tenancy import Project
from portico.auth.v1 import user_service_pb2 as users_pb
from portico.auth.v1 import user_service_pb2_grpc
from portico.inference.v1 import guardrail_service_pb2 as guardrails_pb
from portico.inference.v1 import (
    guardrail_service_pb2_grpc,
    quota_status_service_pb2_grpc,
    usage_service_pb2_grpc,
)
from portico.inference.v1 import quota_status_service_pb2 as quotas_pb
from portico.inference.v1 import usage_service_pb2 as usage_pb
from services.tracing.domain.alerts.metrics import GUARDRAIL, MODEL

SCOPES = frozenset({"usage:read", "guardrails:read", "rag:read", "users:read", "quotas:read"})
"""Scopes that a job needs to ask all of these."""
_SECONDS = 10.0
_PAGE = 1000
_MAX_PAGES = 5
"""Pages of usage records that a percentile is taken from: the newest 5,000 calls of the window."""
_MAX_ADDRESSES = 20
_ADMINISTRATORS = frozenset({"owner", "admin"})


class UsageMetrics:
    """The MetricSource of the modules `models` and `spend`."""

    def __init__(self, inference: ServiceClient) -> None:
        self._client = inference
        self._stub = usage_service_pb2_grpc.UsageServiceStub(inference.channel)
        self._quotas = quota_status_service_pb2_grpc.QuotaStatusServiceStub(inference.channel)

    async def measure(
        self, project: Project, metric: str, scope: Mapping[str, str], start: float, end: float
    ) -> float | None:
        model = scope.get(MODEL, "")
        if metric == "p95_latency_ms":
            return await self._percentile(model, start)
        if metric == "budget_used":
            return await self._budget_used(model)
        request = usage_pb.GetUsageRequest(group_by="status", model=model, to=timestamp_of(end))
        getattr(request, "from").CopyFrom(timestamp_of(start) or request.to)
        answer = await self._client.call(self._stub.GetUsage, request, seconds=_SECONDS)
        return _USAGE[metric](list(answer.totals))

    async def _budget_used(self, model: str) -> float | None:
        """Percent of the budget of the day or month of which most is used; None: there is no budget."""
        request = quotas_pb.GetBudgetStatusRequest(model=model)
        answer = await self._client.call(self._quotas.GetBudgetStatus, request, seconds=_SECONDS)
        windows = [each for each in (answer.per_day, answer.per_month) if each.HasField("limit_usd")]
        return max((_percent(each.used_usd, each.limit_usd) for each in windows), default=None)

    async def _percentile(self, model: str, start: float) -> float | None:
        latencies: list[float] = []
        token = ""
        for _ in range(_MAX_PAGES):
            request = usage_pb.ListUsageRecordsRequest(page_size=_PAGE, page_token=token, model=model, status="success")
            answer = await self._client.call(self._stub.ListUsageRecords, request, seconds=_SECONDS)
            fresh = [each.latency_ms for each in answer.records if seconds_of(each.created_at) >= start]
            latencies += fresh
            token = answer.next_page_token
            if not token or len(fresh) < len(answer.records):
                break
        if not latencies:
            return None
        return sorted(latencies)[math.ceil(0.95 * len(latencies)) - 1]


def _percent(used: float, limit: float) -> float:
    return 100.0 * used / limit if limit else 100.0


def _mean_latency(totals: Sequence[Any]) -> float | None:
    requests = sum(row.requests for row in totals)
    return sum(row.mean_latency_ms * row.requests for row in totals) / requests if requests else None


def _error_rate(totals: Sequence[Any]) -> float | None:
    requests = sum(row.requests for row in totals)
    return 100.0 * sum(row.errors for row in totals) / requests if requests else None


def _cost(totals: Sequence[Any]) -> float:
    """Cost in the currency that most calls have: there is one row per currency, and they cannot be added up."""
    return float(max(totals, key=lambda row: row.requests).cost) if totals else 0.0


_USAGE: Mapping[str, Callable[[Sequence[Any]], float | None]] = {
    "error_rate": _error_rate,
    "avg_latency_ms": _mean_latency,
    "total_requests": lambda totals: float(sum(row.requests for row in totals)) or None,
    "total_cost": lambda totals: _cost(totals) if totals else None,
    "spend": _cost,
}
"""No calls are silence for the metrics of models; what was spent then is 0."""


class GuardrailMetrics:
    """The MetricSource of the module `guardrails`. Without a guardrail in the scope, all of the project's together."""

    def __init__(self, inference: ServiceClient) -> None:
        self._client = inference
        self._stub = guardrail_service_pb2_grpc.GuardrailServiceStub(inference.channel)

    async def measure(
        self, project: Project, metric: str, scope: Mapping[str, str], start: float, end: float
    ) -> float | None:
        asked = [await self._statistics(key, start, end) for key in await self._keys(scope)]
        found = [each for each in asked if each is not None]
        evaluations = float(sum(each.evaluations for each in found))
        if not evaluations:
            return None
        sums = {
            "guardrail_fail_rate": 100.0 * sum(each.failed for each in found) / evaluations,
            "guardrail_avg_latency_ms": sum(each.mean_latency_ms * each.evaluations for each in found) / evaluations,
            "guardrail_total_evaluations": evaluations,
        }
        return float(sums[metric])

    async def _keys(self, scope: Mapping[str, str]) -> list[str]:
        if key := scope.get(GUARDRAIL):
            return [key]
        request = guardrails_pb.ListGuardrailsRequest(page_size=100)
        answer = await self._client.call(self._stub.ListGuardrails, request, seconds=_SECONDS)
        return [each.key for each in answer.guardrails]

    async def _statistics(
        self, key: str, start: float, end: float
    ) -> guardrails_pb.GetGuardrailStatisticsResponse | None:
        """None: there is no such guardrail, which is silence."""
        request = guardrails_pb.GetGuardrailStatisticsRequest(key=key, to=timestamp_of(end))
        getattr(request, "from").CopyFrom(timestamp_of(start) or request.to)
        try:
            return await self._client.call(self._stub.GetGuardrailStatistics, request, seconds=_SECONDS)
        except NotFound:
            return None


class TenantAdministrators:
    """The Administrators of the ports."""

    def __init__(self, auth: ServiceClient) -> None:
        self._client = auth
        self._stub = user_service_pb2_grpc.UserServiceStub(auth.channel)

    async def __call__(self, project: Project) -> Sequence[str]:
        found: list[str] = []
        token = ""
        while len(found) < _MAX_ADDRESSES:
            request = users_pb.ListUsersRequest(page_size=_PAGE, page_token=token)
            answer = await self._client.call(self._stub.ListUsers, request, seconds=_SECONDS)
            found += [each.email for each in answer.users if each.role in _ADMINISTRATORS and each.status == "active"]
            token = answer.next_page_token
            if not token:
                break
        return found[:_MAX_ADDRESSES]
