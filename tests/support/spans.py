"""Spans of OpenTelemetry for tests."""

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

TRACE = "0af7651916cd43dd8448eb211c80319c"
START = 1_700_000_000_000_000_000


def span(
    id: int,
    name: str = "step",
    *,
    parent: int = 0,
    trace: str = TRACE,
    failed: bool = False,
    at: int = 0,
    **attributes: Any,
) -> Span:
    """A span; names of attributes are written with `__` for a dot."""
    return Span(
        trace_id=bytes.fromhex(trace),
        span_id=id.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=START + at * 1_000_000,
        end_time_unix_nano=START + at * 1_000_000 + 500_000,
        status=Status(code=Status.STATUS_CODE_ERROR, message="it broke") if failed else None,
        attributes=pairs(attributes),
    )


def request(*spans: Span, **resource: Any) -> ExportTraceServiceRequest:
    """A request of one resource; without attributes it is a service named `agent`."""
    sent = ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])
    sent.resource.attributes.extend(pairs(resource or {"service__name": "agent"}))
    return ExportTraceServiceRequest(resource_spans=[sent])


def pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name.replace("__", "."), value=_value(value)) for name, value in attributes.items()]


def _value(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=map(_value, value)))
    return AnyValue(string_value=value)
