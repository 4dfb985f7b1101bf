"""The RPC that serves the metrics of the caller's project.

A service has a contract of its own for it, since each has a path of its own:

    ServiceRegistration("portico.vector.v1.MetricsService", add_..., MetricsServicer(metrics.collect))
"""

from google.api.httpbody_pb2 import HttpBody
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from core import context as request_context
from core.project_metrics import Collect, text_of
from core.rpc.call import CallContext


class MetricsServicer:
    """The servicer of a MetricsService."""

    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    async def GetMetrics(self, request: object, context: CallContext) -> HttpBody:  # noqa: N802  # the RPC's name
        families = await self._collect(request_context.identity().project)
        return HttpBody(content_type=CONTENT_TYPE_PLAIN_0_0_4, data=text_of(families))
