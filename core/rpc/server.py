"""A gRPC server with Portico's chain, health and reflection."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import Default
from grpc.aio import Server
from grpc.aio import server as make_grpc_server
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from core.health import Health
from core.rpc.chain import Chain, Stage
from core.rpc.limits import MAX_HEAD_BYTES, MAX_MESSAGE_BYTES
from core.rpc.policy import policies_of

OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_HEAD_BYTES),
    ("grpc.max_concurrent_streams", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
    # How far a stream may be ahead of its reader. Left to itself, gRPC takes a slow reader for a long line and lets
    # more and more come: 170 MiB of one upload.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 256 * 1024),
)

Handlers = Mapping[str, grpc.RpcMethodHandler]


class _Methods:
    """What a generated `add_...Servicer_to_server` is given instead of a server: keeps the handlers."""

    def __init__(self) -> None:
        self.handlers: Handlers = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """The same handlers, harder to take apart."""

    def add_registered_method_handlers(self, service: str, handlers: Handlers) -> None:
        self.handlers = handlers


Add = Callable[[Any, Any], None]


@dataclass(frozen=True, slots=True)
class Mount:
    """One gRPC service: its full name, what adds it to a server (generated), and the servicer."""

    name: str
    add: Add
    servicer: object

    @property
    def descriptor(self) -> ServiceDescriptor:
        return Default().FindServiceByName(self.name)


def guarded(mount: Mount, stages: Sequence[Stage]) -> Handlers:
    """The mount's methods behind the chain, by path: "/package.Service/Method"."""
    chain, policies = Chain(stages), policies_of(mount.descriptor)
    handlers = _handlers(mount.add, mount.servicer)
    return {path: chain.wrap(handlers[path.rpartition("/")[2]], policy) for path, policy in policies.items()}


def make_server(mounts: Sequence[Mount], stages: Sequence[Stage], health: Health) -> Server:
    """A server that is not yet started or bound."""
    server = make_grpc_server(options=OPTIONS)
    names = [*(mount.name for mount in mounts), "grpc.health.v1.Health", reflection.SERVICE_NAME]
    # Probes and the schema stand outside the chain: they hold nobody's data.
    schema = reflection.aio.ReflectionServicer(names)
    services = {
        **{mount.name: _by_method(guarded(mount, stages)) for mount in mounts},
        "grpc.health.v1.Health": _handlers(health_pb2_grpc.add_HealthServicer_to_server, health.servicer),
        reflection.SERVICE_NAME: _handlers(reflection_pb2_grpc.add_ServerReflectionServicer_to_server, schema),
    }
    # Never `add_registered_method_handlers`: with them grpc.aio waits, at every call, on a future for each method.
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(name, handlers) for name, handlers in services.items())
    )
    return server


def _handlers(add: Add, servicer: object) -> Handlers:
    methods = _Methods()
    add(servicer, methods)
    return methods.handlers


def _by_method(handlers: Handlers) -> Handlers:
    return {path.rpartition("/")[2]: handler for path, handler in handlers.items()}
