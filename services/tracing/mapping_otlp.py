"""OpenTelemetry's messages, as protobuf and as JSON, to spans. Pure.

In JSON enumerations may be names or numbers and integers texts or numbers, as senders write them; in both, ids of the
wrong length and times that are none make a span that is rejected alone.
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope as ScopeMessage
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from core import json_bodies
from core.errors import InvalidInput
from core.offload import LARGE_BYTES
from core.rpc.protobuf_wire import FieldCounter, members
from services.tracing.domain.otlp.spans import Attributes, Batch, Resource, Span, SpanEvent

MAX_SPANS = 20_000
MAX_DEPTH = 40
"""Lists and objects inside each other in an attribute of JSON. In protobuf its reader's limit holds, about the same."""
MAX_FIELDS = 100_000
"""Fields of one span on the wire, at every depth."""
_RESOURCE_SPANS = 1
_RESOURCE, _SCOPE_SPANS = 1, 2
_SCOPE, _SPANS = 1, 2
"""Numbers of fields of ExportTraceServiceRequest, ResourceSpans and ScopeSpans."""
_COUNTER = FieldCounter(SpanMessage.DESCRIPTOR)
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_NANO = 1e9
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
_JSON = msgspec.json.Decoder(dict[str, Any])


def from_protobuf(data: bytes) -> Batch:
    """Raises InvalidInput for what is no ExportTraceServiceRequest. Spans are parsed one by one: so a request never
    takes more memory than its largest span, and one that cannot be parsed is rejected alone."""
    batch = Batch([])
    try:
        for number, start, end in members(data, 0, len(data)):
            if number == _RESOURCE_SPANS:
                _add_resource_spans(batch, data, start, end)
    except DecodeError:
        raise InvalidInput("The body is no ExportTraceServiceRequest in protobuf.", field="body") from None
    return batch


def _add_resource_spans(batch: Batch, data: bytes, start: int, end: int) -> None:
    sent = ResourceMessage()
    scopes = []
    for number, at, stop in members(data, start, end):
        if number == _RESOURCE:
            sent.MergeFromString(_small(data, at, stop))
        elif number == _SCOPE_SPANS:
            scopes.append((at, stop))
    resource = Resource(_attributes(sent.attributes))
    for at, stop in scopes:
        _add_scope_spans(batch, data, at, stop, resource)


def _add_scope_spans(batch: Batch, data: bytes, start: int, end: int, resource: Resource) -> None:
    scope = ScopeMessage()
    spans = []
    for number, at, stop in members(data, start, end):
        if number == _SCOPE:
            scope.MergeFromString(_small(data, at, stop))
        elif number == _SPANS:
            spans.append((at, stop))
    name = scope.name
    for at, stop in spans:
        _check_count(batch)
        try:
            _add_span(batch, SpanMessage.FromString(_small(data, at, stop)), resource, name)
        except DecodeError:
            batch.reject(f"A span must be valid protobuf with UTF-8 texts and at most {MAX_FIELDS} fields.")


def _small(data: bytes, start: int, end: int) -> bytes:
    """The content of a submessage. Raises DecodeError where it has so many fields that to parse it takes too long."""
    content = data[start:end]
    if end - start > LARGE_BYTES and _COUNTER.exceeds(content, MAX_FIELDS):
        raise DecodeError("too many fields")
    return content


def _add_span(batch: Batch, span: Any, resource: Resource, scope: str) -> None:
    trace_id, span_id, parent = span.trace_id, span.span_id, span.parent_span_id
    if len(trace_id) != _TRACE_BYTES or len(span_id) != _SPAN_BYTES or not any(trace_id) or not any(span_id):
        batch.reject("A trace id must have 16 bytes and a span id 8, not all of them zero.")
        return
    events = span.events
    status = span.status
    batch.spans.append(
        Span(
            trace_id.hex(),
            span_id.hex(),
            parent.hex() if len(parent) == _SPAN_BYTES and any(parent) else "",
            span.name,
            span.kind,
            span.start_time_unix_nano / _NANO,
            span.end_time_unix_nano / _NANO,
            status.code,
            status.message,
            _attributes(span.attributes),
            [SpanEvent(each.name, each.time_unix_nano / _NANO, _attributes(each.attributes)) for each in events]
            if events
            else (),
            resource,
            scope,
        )
    )


def _check_count(batch: Batch) -> None:
    if len(batch.spans) >= MAX_SPANS:
        raise InvalidInput(f"A request may have at most {MAX_SPANS} spans.", field="resourceSpans")


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for pair in pairs:
        value = pair.value
        kind = value.WhichOneof("value")
        if kind == "string_value" or kind == "int_value" or kind == "bool_value" or kind == "double_value":
            attributes[pair.key] = getattr(value, kind)
        elif kind is not None:
            attributes[pair.key] = _compound(value, kind)
    return attributes


def _compound(value: Any, kind: str | None) -> Any:
    match kind:
        case "array_value":
            return [_compound(each, each.WhichOneof("value")) for each in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case None:
            return None
    return getattr(value, kind)


def from_json(data: bytes) -> Batch:
    """Raises InvalidInput for what is no such JSON."""
    body = json_bodies.read(_JSON, data)
    batch = Batch([])
    for resource_spans in _objects(body, "resourceSpans"):
        resource = Resource(_json_attributes(_member(resource_spans, "resource").get("attributes")))
        for scope_spans in _objects(resource_spans, "scopeSpans", "instrumentationLibrarySpans"):
            scope = _member(scope_spans, "scope").get("name")
            for span in _objects(scope_spans, "spans"):
                try:
                    _check_count(batch)
                    batch.spans.append(_json_span(span, resource, scope if isinstance(scope, str) else ""))
                except _Unfit as error:
                    batch.reject(str(error))
    return batch


class _Unfit(Exception):
    """A span that cannot be read; the text says why."""


def _objects(parent: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    given: Any = next((parent[name] for name in names if parent.get(name) is not None), [])
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise InvalidInput(f"{names[0]} must be a list of objects.", field=names[0])
    return given


def _member(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _json_span(span: dict[str, Any], resource: Resource, scope: str) -> Span:
    status = _member(span, "status")
    events = span.get("events")
    return Span(
        _json_id(span.get("traceId"), _TRACE_BYTES, "traceId"),
        _json_id(span.get("spanId"), _SPAN_BYTES, "spanId"),
        _json_id(span["parentSpanId"], _SPAN_BYTES, "parentSpanId", zero=True) if span.get("parentSpanId") else "",
        _json_text(span.get("name")),
        _enum(span.get("kind"), _KINDS),
        _json_time(span.get("startTimeUnixNano"), "startTimeUnixNano"),
        _json_time(span.get("endTimeUnixNano"), "endTimeUnixNano"),
        _enum(status.get("code"), _CODES),
        _json_text(status.get("message")),
        _json_attributes(span.get("attributes")),
        [_json_event(each) for each in events if isinstance(each, dict)] if isinstance(events, list) else (),
        resource,
        scope,
    )


def _json_event(event: dict[str, Any]) -> SpanEvent:
    at = _json_time(event.get("timeUnixNano"), "timeUnixNano")
    return SpanEvent(_json_text(event.get("name")), at, _json_attributes(event.get("attributes")))


def _json_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _json_id(value: Any, size: int, field: str, *, zero: bool = False) -> str:
    """An id in hexadecimal digits, or in base64 as protobuf's own JSON has it."""
    try:
        if not isinstance(value, str):
            raise ValueError
        data = bytes.fromhex(value) if len(value) == 2 * size else base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        data = b""
    if len(data) != size or not (zero or any(data)):
        raise _Unfit(f"{field} must have {2 * size} hexadecimal digits, not all of them zero.")
    return data.hex() if any(data) else ""


def _json_time(value: Any, field: str) -> float:
    if value is None:
        return 0.0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**64:
        raise _Unfit(f"{field} must be a number of nanoseconds.")
    return value / _NANO


_KINDS = {
    f"SPAN_KIND_{name}": number
    for number, name in enumerate(["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"])
}
_CODES = {f"STATUS_CODE_{name}": number for number, name in enumerate(["UNSET", "OK", "ERROR"])}


def _enum(value: Any, names: dict[str, int]) -> int:
    if isinstance(value, str):
        return names.get(value, int(value) if value.isascii() and value.isdigit() and len(value) < 4 else 0)
    return value if isinstance(value, int) else 0


def _json_attributes(pairs: Any, depth: int = 0) -> Attributes:
    attributes: dict[str, Any] = {}
    for pair in pairs if isinstance(pairs, list) else []:
        if isinstance(pair, dict) and isinstance(pair.get("key"), str):
            value = _json_value(pair.get("value"), depth)
            if value is not None:
                attributes[pair["key"]] = value
    return attributes


def _json_value(value: Any, depth: int = 0) -> Any:
    if not isinstance(value, dict):
        return None
    if depth > MAX_DEPTH:
        raise _Unfit(f"An attribute's value may be nested {MAX_DEPTH} levels deep.")
    for kind, given in value.items():
        match kind:
            case "stringValue" | "bytesValue":
                return _json_text(given)
            case "intValue":
                return _integer(given)
            case "boolValue":
                return given is True or given == "true"
            case "doubleValue":
                return float(given) if isinstance(given, int | float) else _json_text(given)
            case "arrayValue":
                members = given.get("values") if isinstance(given, dict) else None
                return [_json_value(each, depth + 1) for each in members] if isinstance(members, list) else []
            case "kvlistValue":
                return _json_attributes(given.get("values") if isinstance(given, dict) else None, depth + 1)
    return None


def _integer(value: Any) -> int | None:
    if isinstance(value, str):
        digits = value.removeprefix("-")
        value = int(value) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
    return value if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63 else None
