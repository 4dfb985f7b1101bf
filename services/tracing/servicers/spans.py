"""OpenTelemetry's TraceService, over gRPC and over HTTP."""

from collections.abc import Callable
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb

from core import json_shape
from core.context import identity
from core.errors import UnsupportedMedia
from core.offload import offload_request
from core.rpc.call import CallContext
from core.rpc.error_formats import ErrorFormat
from core.rpc.policy import Policy
from services.tracing import mapping, mapping_json, mapping_otlp
from services.tracing.domain.otlp.events import patches
from services.tracing.domain.otlp.spans import Batch
from services.tracing.domain.records import Patch
from services.tracing.domain.sessions import Sessions

NAME = "opentelemetry.proto.collector.trace.v1.TraceService"
JSON, PROTOBUF = "application/json", "application/x-protobuf"
_PROTOBUF_TYPES = (PROTOBUF, "application/protobuf", "application/vnd.google.protobuf")
_READ_AT_ONCE = 64 * 1024
_MIB = 1024 * 1024


def policy(max_mb: int) -> Policy:
    """The policy of Export: it is a contract of OpenTelemetry's, which carries none."""
    return Policy(
        f"/{NAME}/Export",
        scope="tracing:write",
        error_format=ErrorFormat.GRPC,
        max_request_bytes=max_mb * _MIB,
        feature="AGENT_TRACING",
        quota_domain="tracing",
        traced=False,
    )


class SpanReader:
    """Reads and writes the spans of a request."""

    def __init__(self, sessions: Sessions, max_mb: int) -> None:
        self._sessions = sessions
        self._max_mb = max_mb

    async def grpc(self, data: bytes) -> pb.ExportTraceServiceResponse:
        """Raises InvalidInput."""
        batch, _ = await self._write(lambda: mapping_otlp.from_protobuf(data), len(data))
        return _response(batch)

    async def http(self, body: HttpBody, coding: str) -> HttpBody:
        """Raises UnsupportedMedia, PayloadTooLarge, InvalidInput."""
        data, is_json = body.data, _is_json(body.content_type)
        read = _json_batch if is_json else mapping_otlp.from_protobuf
        batch, sessions = await self._write(lambda: read(mapping_json.unpacked(data, coding, self._max_mb)), len(data))
        if not is_json:
            return HttpBody(content_type=PROTOBUF, data=_response(batch).SerializeToString())
        answer = mapping_json.exported(len(batch.spans), sessions, batch.rejected, batch.reason)
        return HttpBody(content_type=JSON, data=answer)

    async def _write(self, read: Callable[[], Batch], size: int) -> tuple[Batch, int]:
        """The spans, and the number of sessions that have got some."""
        caller = identity()
        sender = mapping.sender(caller)

        def read_patches() -> tuple[Batch, list[Patch]]:
            batch = read()
            return batch, patches(batch.spans, sender)

        batch, made = await offload_request(read_patches, size, above=_READ_AT_ONCE)
        written = await self._sessions.write(caller.project, made)
        return batch, len({each.session.id for each in written})


def _json_batch(data: bytes) -> Batch:
    json_shape.check(data, mapping_json.BOUNDS)
    return mapping_otlp.from_json(data)


def _is_json(content_type: str) -> bool:
    """Raises UnsupportedMedia."""
    name = content_type.partition(";")[0].strip().lower()
    if name == JSON:
        return True
    if name in _PROTOBUF_TYPES:
        return False
    raise UnsupportedMedia(f"Send spans as {PROTOBUF} or {JSON}.", field="content-type")


def _response(batch: Batch) -> pb.ExportTraceServiceResponse:
    response = pb.ExportTraceServiceResponse()
    if batch.rejected:
        response.partial_success.rejected_spans = batch.rejected
        response.partial_success.error_message = batch.reason
    return response


class TraceServicer:
    """The servicer of OpenTelemetry's contract."""

    def __init__(self, spans: SpanReader) -> None:
        self._spans = spans

    async def Export(self, request: bytes, context: CallContext) -> pb.ExportTraceServiceResponse:
        return await self._spans.grpc(request)


def add(servicer: TraceServicer, server: Any) -> None:
    """Add the servicer to a server, as generated code does; but it reads its requests itself, span by span."""
    handler = grpc.unary_unary_rpc_method_handler(
        servicer.Export, request_deserializer=bytes, response_serializer=pb.ExportTraceServiceResponse.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, {"Export": handler}),))
