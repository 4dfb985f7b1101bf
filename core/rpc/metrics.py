"""The RPC that serves the metrics of the caller's project.

A service has a contract of its own for it, since each has a path of its own:

    ServiceRegistration("portico.vector.v1.MetricsService", add_..., MetricsServicer(metrics.collect))
"""

from google.api.httpbody_pb2 import HttpBody
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from core import context as request_context
from core.offload import offload
from core.project_metrics import Collect, text_of
from core.rpc.call import CallContext

_SAMPLE_WEIGHT = 128
"""Bytes of a body that take as long to read as a sample takes to write."""


class MetricsServicer:
    """The servicer of a MetricsService."""

    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    async def GetMetrics(self, request: object, context: CallContext) -> HttpBody:  # noqa: N802  # the RPC's name
        families = list(await self._collect(request_context.identity().project))
        size = sum(len(family.samples) for family in families) * _SAMPLE_WEIGHT
        data = await offload(lambda: text_of(families), size)
        return HttpBody(content_type=CONTENT_TYPE_PLAIN_0_0_4, data=data)
