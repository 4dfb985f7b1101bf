"""Between the contract's messages and the domain's values. Pure."""

from collections.abc import Sequence
from typing import Any

import orjson
from google.protobuf.struct_pb2 import ListValue, Value

from core import fields
from core.context import Identity, Kind
from core.rpc.values import seconds_of, struct_of, timestamp_of
from core.storage import page_tokens
from core.tenancy import Project
from portico.tracing.v1 import session_service_pb2 as pb
from services.tracing.domain import contents
from services.tracing.domain.records import Session, Totals, TraceSender
from services.tracing.ports import Group, Position, SessionFilter, StoredEvent

MAX_SESSIONS = 200
MAX_EVENTS = 1000
DEFAULT_SESSIONS, DEFAULT_EVENTS = 50, 200
MAX_SEARCH = 200


def sender(identity: Identity) -> TraceSender:
    token = identity.token_id if identity.kind is Kind.API else ""
    return TraceSender(identity.subject, token, identity.kind.value)


def session_filter(request: pb.ListSessionsRequest) -> SessionFilter:
    """Raises InvalidInput."""
    return SessionFilter(
        agent=request.agent,
        status=request.status,
        thread_id=request.thread_id,
        source=request.source,
        model=request.model,
        search=fields.text("search", request.search, at_most=MAX_SEARCH).lower(),
        since=_time(request, "from"),
        until=_time(request, "to"),
    )


def thread_filter(request: pb.ListThreadsRequest) -> SessionFilter:
    return SessionFilter(
        agent=request.agent,
        status=request.status,
        thread_id=request.thread_id,
        since=_time(request, "from"),
        until=_time(request, "to"),
    )


def agent_filter(request: pb.ListAgentsRequest) -> SessionFilter:
    return SessionFilter(since=_time(request, "from"), until=_time(request, "to"))


def _time(request: Any, name: str) -> float | None:
    return seconds_of(getattr(request, name)) if request.HasField(name) else None


def session_limit(given: int, field: str = "pageSize") -> int:
    """Raises InvalidInput."""
    return fields.between(field, given, 1, MAX_SESSIONS, default=DEFAULT_SESSIONS)


def event_limit(given: int) -> int:
    """Raises InvalidInput."""
    return fields.between("pageSize", given, 1, MAX_EVENTS, default=DEFAULT_EVENTS)


def position(token: str, project: Project, *of: Any) -> Position | None:
    """The place where a list goes on; `of` is what the list is of. Raises InvalidInput for a token of another list."""
    found = page_tokens.decode(_binding(project, of), token)
    return None if found is None else Position(float(found[0]), int(found[1]))  # type: ignore[arg-type]


def page_token(position: Position | None, project: Project, *of: Any) -> str:
    return "" if position is None else page_tokens.encode(_binding(project, of), (position.at, position.number))  # type: ignore[arg-type]


def skipped(token: str, project: Project, *of: Any) -> int:
    """The number of groups before a page. Raises InvalidInput for a token of another list."""
    found = position(token, project, *of)
    return 0 if found is None else found.number


def skip_token(skip: int, project: Project, *of: Any) -> str:
    return page_token(Position(0.0, skip), project, *of)


def _binding(project: Project, of: Sequence[Any]) -> bytes:
    return orjson.dumps([project.tenant.slug, project.id, *map(repr, of)])


def session(record: Session) -> pb.Session:
    totals = record.shown_totals()
    return pb.Session(
        session_id=record.id,
        id=record.id,
        thread_id=record.thread_id,
        trace_id=record.trace_id,
        root_span_id=record.root_span_id,
        source=record.source,
        status=record.status,
        agent_name=record.agent_name,
        agent_version=record.agent_version,
        agent_model=record.agent_model,
        agent=struct_of(contents.bounded(record.agent)),
        config=struct_of(contents.bounded(record.config)),
        metadata=struct_of(record.metadata),
        started_at=timestamp_of(record.started_at or record.updated_at),
        ended_at=timestamp_of(record.end),
        duration_ms=record.duration_ms,
        totals=_totals(totals),
        event_counts=record.types,
        models_used=sorted(record.models)[:100],
        tools_used=sorted(record.tools)[:100],
        errors=_values(record.errors),
        user_id=record.user_id,
        api_token_id=record.api_token_id,
        actor_type=record.actor_type,
        updated_at=timestamp_of(record.updated_at),
        total_events=totals.events,
        total_input_tokens=totals.input_tokens,
        total_output_tokens=totals.output_tokens,
        total_cached_input_tokens=totals.cached_input_tokens,
    )


def _totals(totals: Totals) -> pb.TraceTotals:
    return pb.TraceTotals(
        events=totals.events,
        errors=totals.errors,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
        cached_input_tokens=totals.cached_input_tokens,
        reasoning_tokens=totals.reasoning_tokens,
        total_tokens=totals.input_tokens + totals.output_tokens,
        bytes_in=totals.bytes_in,
        bytes_out=totals.bytes_out,
        truncated=totals.truncated,
    )


def event(stored: StoredEvent) -> pb.Event:
    record = stored.event
    sections, metadata = contents.shown(stored.content)
    return pb.Event(
        id=record.id,
        type=record.type,
        label=record.label,
        status=record.status,
        sequence=record.sequence,
        timestamp=timestamp_of(record.at),
        duration_ms=record.duration_ms or 0.0,
        trace_id=record.trace_id,
        span_id=record.span_id,
        parent_span_id=record.parent_span_id,
        actor_scope=record.actor_scope,
        actor_name=record.actor_name,
        actor_role=record.actor_role,
        model=record.model,
        tool_name=record.tool_name,
        tool_execution_id=record.tool_execution_id,
        finish_reason=record.finish_reason,
        input_tokens=record.input_tokens or 0,
        output_tokens=record.output_tokens or 0,
        total_tokens=record.total_tokens or 0,
        cached_input_tokens=record.cached_input_tokens or 0,
        reasoning_tokens=record.reasoning_tokens or 0,
        bytes_in=record.bytes_in or 0,
        bytes_out=record.bytes_out or 0,
        error=struct_of(record.error) if record.error is not None else None,
        sections=_values(sections),
        metadata=struct_of(metadata),
        content_bytes=record.content_bytes,
    )


def thread(group: Group) -> pb.Thread:
    return pb.Thread(
        thread_id=group.name,
        id=group.name,
        session_count=group.sessions,
        agents=group.agents,
        latest_status=group.latest_status,
        started_at=timestamp_of(group.started_at),
        latest_at=timestamp_of(group.latest_at),
        totals=_totals(group.totals),
    )


def agent(group: Group) -> pb.Agent:
    return pb.Agent(
        name=group.name,
        version=group.latest_version,
        session_count=group.sessions,
        error_count=group.failed,
        latest_at=timestamp_of(group.latest_at),
        mean_duration_ms=group.mean_duration_ms,
        totals=_totals(group.totals),
    )


def _values(items: Sequence[Any]) -> Sequence[Value]:
    listed = ListValue()
    listed.extend(items)
    values: Sequence[Value] = listed.values
    return values
