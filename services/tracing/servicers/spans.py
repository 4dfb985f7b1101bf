"""OpenTelemetry's TraceService, over gRPC and over HTTP."""

from collections.abc import Callable

from google.api.httpbody_pb2 import HttpBody
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from core import json_shape
from core.context import identity
from core.errors import UnsupportedMedia
from core.offload import offload_request
from core.rpc.call import CallContext
from core.rpc.error_formats import ErrorFormat
from core.rpc.policy import Policy
from services.tracing import mapping, mapping_json, mapping_otlp
from services.tracing.domain.otlp.spans import Batch
from services.tracing.domain.sessions import Sessions

NAME = "opentelemetry.proto.collector.trace.v1.TraceService"
JSON, PROTOBUF = "application/json", "application/x-protobuf"
_PROTOBUF_TYPES = (PROTOBUF, "application/protobuf", "application/vnd.google.protobuf")
_READ_AT_ONCE = 64 * 1024
MAX_FIELDS = 2_000_000
_MIB = 1024 * 1024


def policy(max_mb: int) -> Policy:
    """The policy of Export: it is a contract of OpenTelemetry's, which carries none."""
    return Policy(
        f"/{NAME}/Export",
        scope="tracing:write",
        error_format=ErrorFormat.GRPC,
        max_request_bytes=max_mb * _MIB,
        max_request_fields=MAX_FIELDS,
    )


class SpanReader:
    """Reads and writes the spans of a request."""

    def __init__(self, sessions: Sessions, max_mb: int) -> None:
        self._sessions = sessions
        self._max_mb = max_mb

    async def grpc(self, request: pb.ExportTraceServiceRequest) -> pb.ExportTraceServiceResponse:
        batch = await offload_request(
            lambda: mapping_otlp.from_protobuf(request), request.ByteSize(), above=_READ_AT_ONCE
        )
        await self._write(batch)
        return _response(batch)

    async def http(self, body: HttpBody, coding: str) -> HttpBody:
        """Raises UnsupportedMedia, PayloadTooLarge, InvalidInput."""
        data, is_json = body.data, _is_json(body.content_type)
        read: Callable[[bytes], Batch] = _json_batch if is_json else _protobuf_batch
        batch = await offload_request(
            lambda: read(mapping_json.unpacked(data, coding, self._max_mb)), len(data), above=_READ_AT_ONCE
        )
        sessions = await self._write(batch)
        if not is_json:
            return HttpBody(content_type=PROTOBUF, data=_response(batch).SerializeToString())
        answer = mapping_json.exported(len(batch.spans), sessions, batch.rejected, batch.reason)
        return HttpBody(content_type=JSON, data=answer)

    async def _write(self, batch: Batch) -> int:
        """The number of sessions that have got spans."""
        caller = identity()
        written = await self._sessions.spans(caller.project, batch, mapping.sender(caller))
        return len({each.session.id for each in written})


def _json_batch(data: bytes) -> Batch:
    json_shape.check(data, mapping_json.BOUNDS)
    return mapping_otlp.from_json(data)


def _protobuf_batch(data: bytes) -> Batch:
    return mapping_otlp.from_protobuf(mapping_otlp.parsed(data))


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


class TraceServicer(trace_service_pb2_grpc.TraceServiceServicer):
    """The servicer of OpenTelemetry's contract."""

    def __init__(self, spans: SpanReader) -> None:
        self._spans = spans

    async def Export(
        self, request: pb.ExportTraceServiceRequest, context: CallContext
    ) -> pb.ExportTraceServiceResponse:
        return await self._spans.grpc(request)
