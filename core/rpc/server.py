"""A gRPC server with Portico's chain, health and reflection."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import Default
from grpc.aio import Server
from grpc.aio import server as make_grpc_server
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from core.health import Health
from core.rpc import schema, tls
from core.rpc.arrivals import Arrivals
from core.rpc.chain import Chain, Method
from core.rpc.limits import (
    MAX_HEAD_BYTES,
    MAX_PROBE_BYTES,
    MAX_PROBES,
    MAX_SENT_BYTES,
    PROBE_MESSAGES,
    PROBE_SECONDS,
    UNREAD_BYTES,
)
from core.rpc.policy import Policy, explicit_policies, policies_of, public_policies
from core.rpc.stages.load_shedding import LoadShedding
from core.rpc.stages.shares import Shares

_HEALTH = "grpc.health.v1.Health"
_IDENTITY_ONLY = 1
MAX_STREAMS = 200
"""Calls on one connection. All that come at once are handled before the next caller's; who has more, such as the edge,
opens another connection."""

Options = tuple[tuple[str, int], ...]


def server_options(max_request_bytes: int) -> Options:
    """gRPC's own limits, for RPCs whose requests have at most so many bytes. gRPC refuses what is larger with
    RESOURCE_EXHAUSTED, and what is compressed with UNIMPLEMENTED, before it receives or unpacks it."""
    return (
        ("grpc.max_receive_message_length", max_request_bytes),
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
        ("grpc.max_send_message_length", MAX_SENT_BYTES),
        ("grpc.max_metadata_size", MAX_HEAD_BYTES),
        ("grpc.max_concurrent_streams", MAX_STREAMS),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.so_reuseport", 0),
        # Clients connect anew from time to time, and so learn of replicas that were added. Calls under way go on.
        ("grpc.max_connection_age_ms", 300_000),
        # How far a stream may be ahead of its reader. Left to itself, gRPC takes a slow reader for a long line and
        # lets more and more come: 170 MiB of one upload.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", UNREAD_BYTES),
    )


class _Call(NamedTuple):
    """grpc.HandlerCallDetails."""

    method: str
    invocation_metadata: tuple[()] = ()


class _Collector:
    """Stand-in for a server that a generated `add_...Servicer_to_server` gets: keeps the handlers."""

    def __init__(self) -> None:
        self._services: list[grpc.ServiceRpcHandler] = []

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.ServiceRpcHandler]) -> None:
        self._services += handlers

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        """The same handlers by name, which code from generators before 1.64 does not add."""

    def handler(self, path: str) -> grpc.RpcMethodHandler:
        """Find the handler by the method's name, under whatever name the service was added. Raises LookupError."""
        method = path.rpartition("/")[2]
        for service in self._services:
            handler = service.service(_Call(f"/{service.service_name()}/{method}"))
            if handler is not None:
                return handler
        raise LookupError(f"nothing handles {path}")


Add = Callable[[Any, Any], None]


@dataclass(frozen=True, slots=True)
class ServiceRegistration:
    """One gRPC service: its full name, what adds it to a server (generated), and the servicer."""

    name: str
    add: Add
    servicer: object
    policies: Sequence[Policy] | None = None
    """One for each RPC of a foreign contract, such as OpenTelemetry's: it carries no options of Portico's."""

    @property
    def descriptor(self) -> ServiceDescriptor:
        return Default().FindServiceByName(self.name)

    def rules(self) -> Mapping[str, Policy]:
        """The policies by path: "/package.Service/Method". Raises ValueError where an RPC has none."""
        if self.policies is None:
            return policies_of(self.descriptor)
        return explicit_policies(self.descriptor, self.policies)

    def methods(self, chain: Chain, arriving_bytes: int = 0) -> dict[str, Method]:
        """The methods behind the chain, by path. `arriving_bytes` is as `core.rpc.requests.Requests` has it."""
        collector = _Collector()
        self.add(self.servicer, collector)
        return {
            path: chain.wrap(collector.handler(path), policy, arriving_bytes) for path, policy in self.rules().items()
        }


def bind(server: Server, listen: str) -> int:
    """Bind to host:port, with TLS where the process has a certificate, and return the port. Raises RuntimeError."""
    identity = tls.active()
    if identity is None:
        return int(server.add_insecure_port(listen))
    return int(server.add_secure_port(listen, tls.server_credentials(identity)))


def make_health_server(health: Health) -> Server:
    """A server of the health protocol alone, for probes that speak no TLS. Not yet started or bound."""
    probe, *_ = _probes(health)
    server = make_grpc_server(options=server_options(MAX_PROBE_BYTES))
    server.add_generic_rpc_handlers((_Handler(probe.methods(_probe_chain(MAX_PROBE_BYTES), MAX_PROBE_BYTES)),))
    return server


def make_server(registrations: Sequence[ServiceRegistration], chain: Chain, health: Health) -> Server:
    """A server that is not yet started or bound."""
    probes = _probes(health)
    # gRPC knows one limit for all RPCs of a server.
    largest = max(
        policy.max_request_bytes
        for registration in (*registrations, *probes)
        for policy in registration.rules().values()
    )
    methods = {
        path: method for registration in registrations for path, method in registration.methods(chain, largest).items()
    }
    for probe in probes:
        methods |= probe.methods(_probe_chain(largest), largest)
    server = make_grpc_server(options=server_options(largest))
    # Never `add_registered_method_handlers`: with them grpc.aio waits, at every call, on a future for each method.
    server.add_generic_rpc_handlers((_Handler(methods),))
    return server


def _probe_chain(largest: int) -> Chain:
    load = LoadShedding(MAX_PROBES)
    arrivals = Arrivals(memory=PROBE_MESSAGES * largest, seconds=PROBE_SECONDS)
    return Chain([load, Shares(load, 100)], arrivals=arrivals)


def _probes(health: Health) -> Sequence[ServiceRegistration]:
    """Health and the schema: they hold nobody's data and need no token."""
    reflection, add = schema.servicer(), reflection_pb2_grpc.add_ServerReflectionServicer_to_server
    return [
        _public(_HEALTH, health_pb2_grpc.add_HealthServicer_to_server, health.servicer),
        _public(schema.ALPHA, add, reflection),
        _public(schema.V1, add, reflection),
    ]


def _public(name: str, add: Add, servicer: object) -> ServiceRegistration:
    return ServiceRegistration(name, add, servicer, public_policies(Default().FindServiceByName(name)))


class _Handler(grpc.GenericRpcHandler):
    """gRPC's handlers of all methods, by path. They take streams of bytes, also where the RPC takes one message: only
    so does gRPC call the chain before it reads the request."""

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self._handlers = {path: _handler_of(method) for path, method in methods.items()}

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handlers.get(details.method)


def _handler_of(method: Method) -> grpc.RpcMethodHandler:
    make = grpc.stream_stream_rpc_method_handler if method.gives_stream else grpc.stream_unary_rpc_method_handler
    return make(method.run, None, method.serialize)
