"""The tracing service on a real server and store, for tests of monitoring and alerts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

from portico.tracing.v1 import alert_service_pb2_grpc as alerts_grpc
from portico.tracing.v1 import monitoring_service_pb2 as pb
from portico.tracing.v1 import monitoring_service_pb2_grpc as monitoring_grpc
from services.tracing.app import serve
from services.tracing.settings import Settings
from tests.support import serving
from tests.support.auth_service import Refused
from tests.support.serving import BY_EDGE, connect, served
from tests.support.tokens import Signer

QUICK = {"PORTICO_MONITORING_MIN_POLL_SECONDS": "1", "PORTICO_ALERT_SECONDS": "0.5"}


@dataclass
class Client:
    """A caller of one project."""

    channel: grpc.aio.Channel
    token: str

    def __post_init__(self) -> None:
        self.monitoring = monitoring_grpc.MonitoringServiceStub(self.channel)
        self.alerts = alerts_grpc.AlertServiceStub(self.channel)

    async def call(self, rpc: Any, request: Message) -> Any:
        """The answer. Raises Refused."""
        metadata = (*BY_EDGE, ("authorization", f"Bearer {self.token}"))
        try:
            return await rpc(request, metadata=metadata, timeout=20)
        except grpc.aio.AioRpcError as error:
            raise Refused(error) from None

    async def add_server(self, url: str, **fields: Any) -> pb.InferenceServer:
        request = pb.CreateInferenceServerRequest(**{"name": "GPU 1", "type": "vllm", "base_url": url, **fields})
        made: pb.InferenceServer = (await self.call(self.monitoring.CreateInferenceServer, request)).server
        return made

    async def server(self, key: str) -> pb.InferenceServer:
        request = pb.GetInferenceServerRequest(key=key)
        found: pb.InferenceServer = (await self.call(self.monitoring.GetInferenceServer, request)).server
        return found

    async def poll(self, key: str) -> pb.InferenceMetrics:
        answer = await self.call(self.monitoring.PollInferenceServer, pb.PollInferenceServerRequest(key=key))
        metrics: pb.InferenceMetrics = answer.metrics
        return metrics

    async def history(self, key: str, **fields: Any) -> list[pb.InferenceMetrics]:
        request = pb.ListInferenceMetricsRequest(key=key, **fields)
        return list((await self.call(self.monitoring.ListInferenceMetrics, request)).metrics)


class Harness(serving.Harness):
    def client(self, tenant: str = "acme", project: str = "p1", **claims: Any) -> Client:
        return Client(self.channel, self.signer.token(tenant=tenant, project=project, **claims))


@asynccontextmanager
async def tracing_service(folder: Path, signer: Signer, **env: str) -> AsyncIterator[Harness]:
    """Several may share a folder: replicas."""
    async with (
        served("tracing", Settings, serve, folder, signer, **env) as running,
        connect(running.port) as channel,
    ):
        yield Harness(running, channel, signer, folder)
