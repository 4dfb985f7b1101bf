"""Spans to events, and the spans of a request to patches of sessions. Pure.

Of a span's attributes only what lists show, filter and sum is looked up here. All of them are kept as the event's
content; messages and tool calls are made of that when somebody asks for them (`sections`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from services.tracing.domain import values
from services.tracing.domain.otlp import conventions
from services.tracing.domain.otlp.conventions import AI_CALL, TOOL_CALL
from services.tracing.domain.otlp.spans import KIND_CLIENT, STATUS_ERROR, Attributes, Resource, Span
from services.tracing.domain.records import ERROR, OTLP, SPAN, SUCCESS, Event, NewEvent, Patch, TraceSender

CONTENT_MARK = "otlp"
"""The member of a content that says that it is a span's."""
_TOKENS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
_NUMBERS = tuple(conventions.NUMBERS.items())
_TYPES = tuple(conventions.TYPES.items())


def patches(spans: Sequence[Span], sender: TraceSender) -> list[Patch]:
    """One patch for each trace."""
    traces: dict[str, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    return [_patch(trace_id, members, sender) for trace_id, members in traces.items()]


def _patch(trace_id: str, spans: Sequence[Span], sender: TraceSender) -> Patch:
    root = _root(spans)
    resource = (root or spans[0]).resource
    patch = Patch(
        source=OTLP,
        sender=sender,
        trace_id=trace_id,
        weak=root is None,
        session_id=_session_id(spans),
        shared_id=_id(resource.attributes.get(conventions.SESSION_ID)),
        thread_id=_thread_id(resource, spans),
        agent_name=_agent_name(resource, root),
        agent_version=values.text(_first(resource.attributes, conventions.AGENT_VERSION)),
        agent_model=values.text(_first(resource.attributes, conventions.AGENT_MODEL)),
        metadata=_metadata(resource.attributes),
        events=[event(span) for span in spans],
    )
    if patch.shared_id and not patch.thread_id:
        patch.thread_id = patch.shared_id
    if root is not None:
        patch.root_span_id = root.span_id
        patch.root_status = ERROR if root.status_code == STATUS_ERROR else SUCCESS
        _declare(patch, root)
    return patch


def _declare(patch: Patch, root: Span) -> None:
    """Take what a root that frames other spans says of the whole run as a summary."""
    event = patch.events[next(at for at, new in enumerate(patch.events) if new.event.span_id == root.span_id)].event
    if event.type == SPAN:
        patch.said = {name: value for name in _TOKENS if (value := getattr(event, name))}


def _root(spans: Sequence[Span]) -> Span | None:
    """The span without a parent; of several one that names a session, and else the first to begin."""
    roots = [span for span in spans if not span.parent_span_id]
    if not roots:
        return None
    return min(roots, key=lambda span: (conventions.SESSION_ID not in span.attributes, span.start))


def _session_id(spans: Sequence[Span]) -> str:
    for span in spans:
        if id := _id(span.attributes.get(conventions.SESSION_ID)):
            return id
    return ""


def _thread_id(resource: Resource, spans: Sequence[Span]) -> str:
    for attributes in (resource.attributes, *(span.attributes for span in spans)):
        if (found := _first(attributes, conventions.THREAD_ID)) is not None:
            return _id(found)
    return ""


def _id(value: Any) -> str:
    return values.text(value, values.MAX_ID)


def _agent_name(resource: Resource, root: Span | None) -> str:
    name = values.text(_first(resource.attributes, conventions.AGENT_NAME))
    if (not name or name.startswith(conventions.UNKNOWN_SERVICE)) and root is not None:
        return values.text(_first(root.attributes, conventions.AGENT_NAME_OF_ROOT)) or name
    return name


def _metadata(attributes: Attributes) -> dict[str, Any]:
    prefix = conventions.METADATA
    given = {name.removeprefix(prefix): value for name, value in attributes.items() if name.startswith(prefix)}
    return values.metadata(given) if given else {}


def event(span: Span) -> NewEvent:
    attributes = span.attributes
    type_ = _type(span)
    numbers = {name: _number(attributes, names) for name, names in _NUMBERS}
    if numbers["total_tokens"] is None and (numbers["input_tokens"] or numbers["output_tokens"]):
        numbers["total_tokens"] = (numbers["input_tokens"] or 0) + (numbers["output_tokens"] or 0)
    failed = span.status_code == STATUS_ERROR
    finish = _first(attributes, conventions.FINISH_REASON)
    is_tool = type_ == TOOL_CALL
    made = Event(
        id=span.span_id,
        type=type_,
        label=values.text(span.name),
        status=ERROR if failed else SUCCESS,
        sequence=values.position(attributes.get(conventions.SEQUENCE)),
        at=span.start,
        duration_ms=max(0.0, (span.end - span.start) * 1000) if span.end and span.start else None,
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        actor_scope=values.text(attributes.get(conventions.ACTOR_SCOPE), 64),
        actor_name=values.text(_first(attributes, conventions.ACTOR_NAME)),
        actor_role=values.text(attributes.get(conventions.ACTOR_ROLE), 64),
        model=values.text(_first(attributes, conventions.MODEL) or _model_of_parameters(attributes)),
        tool_name=values.text(_first(attributes, conventions.TOOL_NAME) or span.name) if is_tool else "",
        tool_execution_id=values.text(_first(attributes, conventions.TOOL_CALL_ID)) if is_tool else "",
        finish_reason="" if finish is None else values.finish_reason(finish),
        error=_error(span) if failed or span.events else None,
    )
    for name, number in numbers.items():
        setattr(made, name, number)
    return NewEvent(made, _content(span))


def _type(span: Span) -> str:
    attributes = span.attributes
    if type_ := values.text(attributes.get(conventions.TYPE), 64):
        return type_
    for name, types in _TYPES:
        value = attributes.get(name)
        if value is not None:
            known = types.get(value if isinstance(value, str) else "")
            if known is not None:
                return known
    if _first(attributes, conventions.MODEL) is not None:
        return AI_CALL
    return _guessed_type(span)


def _model_of_parameters(attributes: Attributes) -> Any:
    """The model of a call that failed before anything answered, as OpenInference tells it."""
    parameters = attributes.get(conventions.PARAMETERS)
    if not isinstance(parameters, str) or '"model"' not in parameters:
        return None
    try:
        return values.obj(orjson.loads(parameters)).get("model")
    except orjson.JSONDecodeError:
        return None


def _guessed_type(span: Span) -> str:
    if any(name.startswith(conventions.OTHER_CONVENTIONS) for name in span.attributes):
        return SPAN
    for pattern, type_ in conventions.NAMES:
        if pattern.search(span.name):
            return type_
    return AI_CALL if span.kind == KIND_CLIENT else SPAN


def _error(span: Span) -> dict[str, Any] | None:
    exceptions = [each.attributes for each in span.events if each.name == conventions.EXCEPTION]
    if exceptions:
        last = exceptions[-1]
        given = {name: last.get(f"exception.{key}") for name, key in _EXCEPTION.items()}
        return values.error({"message": "", **given}) or {"message": ""}
    if span.status_code != STATUS_ERROR:
        return None
    type_ = _first(span.attributes, conventions.ERROR_TYPE)
    return {
        "message": values.text(span.status_message, values.MAX_ERROR),
        **({"type": values.text(type_)} if type_ else {}),
    }


_EXCEPTION = {"message": "message", "type": "type", "stack": "stacktrace"}


def _content(span: Span) -> bytes:
    content: dict[str, Any] = {CONTENT_MARK: span.scope}
    if span.attributes:
        content["attributes"] = span.attributes
    if span.events:
        content["events"] = [{"name": each.name, "at": each.at, "attributes": each.attributes} for each in span.events]
    return orjson.dumps(content) if len(content) > 1 else b""


def _first(attributes: Attributes, names: Sequence[str]) -> Any:
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None


def _number(attributes: Mapping[str, Any], names: Sequence[str]) -> int | None:
    for name in names:
        value = attributes.get(name)
        if value is not None and (count := values.number(value)) is not None:
            return count
    return None
