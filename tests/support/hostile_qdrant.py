"""A server that speaks Qdrant's gRPC protocol, holds one index with one point, and answers as a test says."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

import grpc
from qdrant_client import grpc as wire

from core.tenancy import Project, Tenant
from services.vector.domain.points import IndexSpec
from services.vector.ports import IndexLocation

HERE = IndexLocation(Project(Tenant("red"), "p"), "idx")
SPEC = IndexSpec(4)

Answer = bytes | Callable[[grpc.aio.ServicerContext[Any, Any]], Awaitable[bytes]]
"""The bytes of the answer's message, or what is done to make them."""


def payload(text: str = '["a", 1.0, {"n": 1}, "t"]') -> dict[str, wire.Value]:
    return {"point": wire.Value(string_value=text)}


def scored(**changes: Any) -> wire.ScoredPoint:
    return wire.ScoredPoint(**{"id": wire.PointId(uuid="0" * 32), "score": 0.5, "payload": payload(), **changes})


def found(*points: wire.ScoredPoint) -> bytes:
    return wire.QueryResponse(result=points).SerializeToString()


def registry(**changes: wire.Value) -> bytes:
    """The entry of the index."""
    fields = {
        "dimension": wire.Value(integer_value=SPEC.dimension),
        "metric": wire.Value(string_value=SPEC.metric.value),
        "hybrid": wire.Value(bool_value=False),
        **changes,
    }
    entry = wire.RetrievedPoint(id=wire.PointId(uuid="0" * 32), payload=fields)
    return wire.GetResponse(result=[entry]).SerializeToString()


HONEST: Mapping[str, Answer] = {
    "Get": registry(),
    "Query": found(scored()),
    "Count": wire.CountResponse(result=wire.CountResult(count=1)).SerializeToString(),
    "Scroll": wire.ScrollResponse().SerializeToString(),
    "Delete": wire.PointsOperationResponse(
        result=wire.UpdateResult(status=wire.UpdateStatus.Completed)
    ).SerializeToString(),
    "CollectionExists": wire.CollectionExistsResponse(result=wire.CollectionExists(exists=True)).SerializeToString(),
}


class HostileQdrant:
    """Listens on a free port while entered. `answers` are by method, and may be changed at any time."""

    def __init__(
        self,
        answers: Mapping[str, Answer] | None = None,
        *,
        address: str = "127.0.0.1:0",
        compression: grpc.Compression | None = None,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self.answers = {**HONEST, **(answers or {})}
        self.metadata: list[Mapping[str, str]] = []
        """Of each call."""
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self._server = grpc.aio.server(options=options, compression=compression)
        self._server.add_generic_rpc_handlers((_Handlers(self),))
        self.port = (
            self._server.add_insecure_port(address)
            if credentials is None
            else self._server.add_secure_port(address, credentials)
        )

    @property
    def calls(self) -> int:
        return len(self.metadata)

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(None)


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, server: HostileQdrant) -> None:
        self._server = server

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = str(details.method).rpartition("/")[2]

        async def answer(request: bytes, context: Any) -> bytes:
            self._server.metadata.append({str(key): str(value) for key, value in context.invocation_metadata()})
            given = self._server.answers[method]
            return given if isinstance(given, bytes) else await given(context)

        return grpc.unary_unary_rpc_method_handler(answer)
