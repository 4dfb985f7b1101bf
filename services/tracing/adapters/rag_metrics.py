"""Metrics of knowledge modules, for alert rules: from the log of queries, and from the states of documents."""

from collections.abc import Mapping

from core.errors import NotFound
from core.rpc.client import ServiceClient
from core.rpc.values import seconds_of
from core.tenancy import Project
from portico.rag.v1 import knowledge_service_pb2 as knowledge_pb
from portico.rag.v1 import knowledge_service_pb2_grpc, retrieval_service_pb2_grpc
from portico.rag.v1 import retrieval_service_pb2 as retrieval_pb
from services.tracing.domain.alerts.metrics import RAG_MODULE

_SECONDS = 10.0
_PAGE = 1000
_MAX_PAGES = 5
"""Pages of one module that are read: its newest 5,000 queries of the window, and as many failed documents."""


class RagMetrics:
    """The MetricSource of the module `rag`. Without a module in the scope, all of the project's together."""

    def __init__(self, rag: ServiceClient) -> None:
        self._client = rag
        self._knowledge = knowledge_service_pb2_grpc.KnowledgeServiceStub(rag.channel)
        self._retrieval = retrieval_service_pb2_grpc.RetrievalServiceStub(rag.channel)

    async def measure(
        self, project: Project, metric: str, scope: Mapping[str, str], start: float, end: float
    ) -> float | None:
        """Failed documents are those of now, whatever the window."""
        keys = await self._keys(scope)
        if metric == "rag_failed_documents":
            counts = [await self._failed_documents(key) for key in keys]
            return float(sum(counts)) if keys else None
        latencies = [latency for key in keys for latency in await self._latencies(key, start, end)]
        if not latencies:
            return None
        return float(len(latencies)) if metric == "rag_total_queries" else sum(latencies) / len(latencies)

    async def _keys(self, scope: Mapping[str, str]) -> list[str]:
        if not (key := scope.get(RAG_MODULE)):
            request = knowledge_pb.ListModulesRequest(page_size=_PAGE)
            answer = await self._client.call(self._knowledge.ListModules, request, seconds=_SECONDS)
            return [each.key for each in answer.modules]
        try:
            await self._client.call(self._knowledge.GetModule, knowledge_pb.GetModuleRequest(key=key), seconds=_SECONDS)
        except NotFound:
            return []  # which is silence: the rule says what that means
        return [key]

    async def _latencies(self, key: str, start: float, end: float) -> list[float]:
        """Milliseconds of a module's queries in the window."""
        found: list[float] = []
        token = ""
        for _ in range(_MAX_PAGES):
            request = retrieval_pb.ListModuleQueriesRequest(module_key=key, page_size=_PAGE, page_token=token)
            answer = await self._client.call(self._retrieval.ListModuleQueries, request, seconds=_SECONDS)
            times = [seconds_of(each.created_at) for each in answer.queries]
            found += [each.latency_ms for each, at in zip(answer.queries, times, strict=True) if start <= at < end]
            token = answer.next_page_token
            if not token or (times and times[-1] < start):
                break
        return found

    async def _failed_documents(self, key: str) -> int:
        count, token = 0, ""
        for _ in range(_MAX_PAGES):
            request = knowledge_pb.ListDocumentsRequest(
                module_key=key, status="failed", page_size=_PAGE, page_token=token
            )
            answer = await self._client.call(self._knowledge.ListDocuments, request, seconds=_SECONDS)
            count, token = count + len(answer.documents), answer.next_page_token
            if not token:
                break
        return count
