"""Sessions and events as SDKs send them: JSON of several spellings to patches. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from core import fields
from core.errors import InvalidInput
from services.tracing.domain import values
from services.tracing.domain.records import ERROR, IN_PROGRESS, SPAN, Event, NewEvent, Patch, TraceSender

MAX_EVENTS = 10_000
MAX_TOOL_SCHEMA_BYTES = 32 * 1024

TOKENS: Mapping[str, tuple[str, ...]] = {
    "input_tokens": ("inputTokens", "input_tokens", "promptTokens", "prompt_tokens"),
    "output_tokens": ("outputTokens", "output_tokens", "completionTokens", "completion_tokens"),
    "total_tokens": ("totalTokens", "total_tokens"),
    "cached_input_tokens": (
        "cachedInputTokens", "cached_input_tokens", "cachedTokens", "cached_tokens", "cacheReadTokens",
        "cacheReadInputTokens", "cache_read_input_tokens", "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens", "promptTokensDetails.cachedTokens", "inputTokensDetails.cachedTokens",
    ),
    "reasoning_tokens": (
        "reasoningTokens", "reasoning_tokens", "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens", "completionTokensDetails.reasoningTokens",
        "outputTokensDetails.reasoningTokens",
    ),
}  # fmt: skip
"""Spellings of token counts, in an event, its usage block, or its metadata."""
_FINISH = ("finishReason", "finish_reason", "stopReason", "stop_reason", "finishReasons", "finish_reasons")
_BYTES = {"bytes_in": ("bytesIn", "requestBytes"), "bytes_out": ("bytesOut", "responseBytes")}
_SUMMARY = {
    "input_tokens": "totalInputTokens",
    "output_tokens": "totalOutputTokens",
    "cached_input_tokens": "totalCachedInputTokens",
    "reasoning_tokens": "totalReasoningTokens",
    "bytes_in": "totalBytesIn",
    "bytes_out": "totalBytesOut",
}
_STATUSES = {"running": IN_PROGRESS, "failed": ERROR, "failure": ERROR}
"""Other words for statuses that Portico looks at."""


def ingested(body: Mapping[str, Any], sender: TraceSender) -> Patch:
    """A session with its events. Raises InvalidInput."""
    patch = _session(body, sender)
    patch.session_id = values.required_id("sessionId", body.get("sessionId"))
    status = values.text(body.get("status"), 64)
    patch.status = _STATUSES.get(status, status)
    _set_end(patch, body)
    given = body.get("events")
    if not isinstance(given, list | None):
        raise InvalidInput("events must be a list.", field="events")
    fields.count("events", given or [], MAX_EVENTS)
    patch.events = [event(each, f"events[{at}]") for at, each in enumerate(given or [])]
    return patch


def started(session_id: str, body: Mapping[str, Any], sender: TraceSender, now: float) -> Patch:
    """A session that begins, or goes on. Raises InvalidInput."""
    patch = _session(body, sender)
    patch.session_id = values.required_id("session_id", session_id)
    patch.status, patch.reopens = IN_PROGRESS, True
    patch.started_at = patch.started_at or now
    return patch


def appended(session_id: str, body: Mapping[str, Any]) -> Patch:
    """An event of a session that is there. Raises InvalidInput."""
    id = values.required_id("session_id", session_id)
    if not isinstance(body.get("event"), dict):
        raise InvalidInput('event is missing: send {"event": {...}}.', field="event")
    return Patch(session_id=id, must_exist=True, events=[event(body["event"], "event")])


def ended(session_id: str, body: Mapping[str, Any]) -> Patch:
    """The end of a session that is there. Raises InvalidInput."""
    patch = Patch(session_id=values.required_id("session_id", session_id), must_exist=True, ends=True)
    status = values.text(body.get("status"), 64)
    patch.status = _STATUSES.get(status, status) or "success"
    _set_end(patch, body)
    return patch


def _session(body: Mapping[str, Any], sender: TraceSender) -> Patch:
    agent = values.obj(body.get("agent"))
    return Patch(
        sender=sender,
        thread_id=values.text(body.get("threadId"), values.MAX_ID),
        trace_id=values.text(body.get("traceId"), 64).lower(),
        root_span_id=values.text(body.get("rootSpanId"), 64).lower(),
        agent=values.small(agent, "agent"),
        agent_name=values.text(values.first((agent.get("name"), body.get("agentName")))),
        agent_version=values.text(values.first((agent.get("version"), body.get("agentVersion")))),
        agent_model=values.text(values.first((agent.get("model"), body.get("agentModel")))),
        config=values.small(body.get("config"), "config"),
        metadata=values.metadata(values.obj(body.get("metadata"))),
        started_at=values.moment("startedAt", body.get("startedAt")) or 0.0,
    )


def _set_end(patch: Patch, body: Mapping[str, Any]) -> None:
    summary = values.obj(body.get("summary"))
    patch.ended_at = values.moment("endedAt", body.get("endedAt"))
    patch.duration_ms = values.duration(values.first((body.get("durationMs"), summary.get("totalDurationMs"))))
    for name, spelling in _SUMMARY.items():
        if count := values.number(summary.get(spelling)):
            patch.said[name] = count
    errors = body.get("errors")
    patch.errors = [made for each in errors if (made := values.error(each))] if isinstance(errors, list) else []


def event(given: Any, field: str) -> NewEvent:
    """Raises InvalidInput, naming the field."""
    if not isinstance(given, dict):
        raise InvalidInput(f"{field} must be an object.", field=field)
    metadata = values.obj(given.get("metadata"))
    usage = (given, values.obj(given.get("usage")), values.obj(metadata.get("usage")), metadata)
    tokens = {name: _count(usage, spellings) for name, spellings in TOKENS.items()}
    if tokens["total_tokens"] is None and not tokens["input_tokens"] is tokens["output_tokens"] is None:
        tokens["total_tokens"] = (tokens["input_tokens"] or 0) + (tokens["output_tokens"] or 0)
    actor = values.obj(given.get("actor"))
    tool = values.obj(given.get("toolDetails") or values.obj(given.get("data")).get("toolDetails"))
    made = Event(
        id=values.text(values.first((given.get("id"), given.get("spanId"))), values.MAX_ID)
        or _fingerprint(given, field),
        type=_type(given),
        label=values.text(given.get("label")),
        status=_status(given),
        sequence=values.position(given.get("sequence")),
        at=values.moment(f"{field}.timestamp", given.get("timestamp")) or 0.0,
        duration_ms=values.duration(given.get("durationMs")),
        trace_id=values.text(given.get("traceId"), 64).lower(),
        span_id=values.text(given.get("spanId"), 64).lower(),
        parent_span_id=values.text(given.get("parentSpanId"), 64).lower(),
        actor_scope=values.text(actor.get("scope"), 64),
        actor_name=values.text(actor.get("name")),
        actor_role=values.text(actor.get("role"), 64),
        model=values.text(values.first((given.get("model"), given.get("modelName"), metadata.get("modelName")))),
        tool_name=values.text(values.first((given.get("toolName"), tool.get("name"), tool.get("toolName")))),
        tool_execution_id=values.text(values.first((given.get("toolExecutionId"), tool.get("executionId")))),
        finish_reason=values.finish_reason(values.first(place.get(name) for place in usage[::3] for name in _FINISH)),
        error=values.error(values.first((given.get("error"), metadata.get("error")))),
    )
    for name, spellings in _BYTES.items():
        setattr(made, name, _count((given, metadata), spellings))
    for name, count in tokens.items():
        setattr(made, name, count)
    return NewEvent(made, _content(given, {**metadata, **({"toolDetails": tool} if tool else {})}, field))


def _type(given: Mapping[str, Any]) -> str:
    known = values.text(given.get("type"), 64)
    return known or ("tool_call" if given.get("toolName") else "ai_call" if given.get("model") else SPAN)


def _status(given: Mapping[str, Any]) -> str:
    status = values.text(given.get("status"), 64)
    if not status and (given.get("error") or values.text(given.get("type")).endswith(ERROR)):
        return ERROR
    return _STATUSES.get(status, status)


def _count(places: Sequence[Mapping[str, Any]], spellings: Sequence[str]) -> int | None:
    found = (values.number(values.at_path(place, spelling)) for place in places for spelling in spellings)
    return next((count for count in found if count is not None), None)


def _fingerprint(given: Mapping[str, Any], field: str) -> str:
    """An id for an event without one: sent again, it is the same event."""
    text = values.dumped(given, field, sort=True)
    return f"evt_{hashlib.blake2b(text, digest_size=12).hexdigest()}"


def _content(given: Mapping[str, Any], metadata: Mapping[str, Any], field: str) -> bytes:
    data = values.obj(given.get("data"))
    listed = values.first((given.get("sections"), data.get("sections")))
    sections = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    if tools := _tool_definitions(given.get("toolDefinitions"), field):
        sections.append({"kind": "tool_definitions", "tools": tools})
    if isinstance(shape := given.get("responseFormat"), dict):
        sections.append({"kind": "response_format", "format": shape})
    content: dict[str, Any] = {}
    if sections:
        content["sections"] = sections
    if metadata:
        content["metadata"] = metadata
    return values.dumped(content, field) if content else b""


def _tool_definitions(given: Any, field: str) -> list[dict[str, Any]]:
    """The definitions of a list, bare or in OpenAI's envelope; what is none is left out, a large schema is cut off."""
    tools = []
    for each in given if isinstance(given, list) else []:
        tool = each.get("function", each) if isinstance(each, dict) else None
        if isinstance(tool, dict) and isinstance(tool.get("name"), str):
            large = len(values.dumped(tool, field)) > MAX_TOOL_SCHEMA_BYTES
            kept = {name: tool[name] for name in ("name", "description", "parameters") if name in tool}
            tools.append({"name": tool["name"], "truncated": True} if large else kept)
    return tools
