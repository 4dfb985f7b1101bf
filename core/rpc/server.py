"""A gRPC server with Portico's chain, health and reflection."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import Default
from grpc.aio import Server
from grpc.aio import server as make_grpc_server
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from core.health import Health
from core.rpc.chain import Chain, Stage
from core.rpc.policy import Policy, policies_of

MAX_MESSAGE_BYTES = 40 * 1024 * 1024
"""Above the edge's limit for bodies (32 MiB), so that the edge is the one that refuses."""

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_concurrent_streams", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True)
class Mount:
    """One gRPC service: its full name, what adds it to a server (generated), and the servicer."""

    name: str
    add: Callable[[Any, Server], None]
    servicer: object

    @property
    def descriptor(self) -> ServiceDescriptor:
        return Default().FindServiceByName(self.name)


def make_server(mounts: Sequence[Mount], stages: Sequence[Stage], health: Health) -> Server:
    """A server that is not yet started or bound."""
    policies: dict[str, Policy] = {}
    for mount in mounts:
        policies |= policies_of(mount.descriptor)
    server = make_grpc_server(interceptors=[Chain(policies, stages)], options=_OPTIONS)
    for mount in mounts:
        mount.add(mount.servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    names = [*(mount.name for mount in mounts), "grpc.health.v1.Health", reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)
    return server
