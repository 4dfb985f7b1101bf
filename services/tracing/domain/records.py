"""Sessions and events as they are stored."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.tracing.domain.values import MAX_TIME

IN_PROGRESS, SUCCESS, ERROR, UNKNOWN = "in_progress", "success", "error", "unknown"
"""Statuses that Portico gives. Senders may use others."""
CUSTOM, OTLP = "custom", "otlp"
"""Sources of a session."""
SPAN = "span"
"""Type of an event that frames others. Its tokens are those of the events within it, so they count for no total."""


class Event(msgspec.Struct, omit_defaults=True):
    """One event without its content. `at` is Unix seconds; 0: not known. Numbers that nobody gave are None."""

    id: str
    type: str
    label: str = ""
    status: str = ""
    sequence: int | None = None
    at: float = 0.0
    duration_ms: float | None = None
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    actor_scope: str = ""
    actor_name: str = ""
    actor_role: str = ""
    model: str = ""
    tool_name: str = ""
    tool_execution_id: str = ""
    finish_reason: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    error: dict[str, Any] | None = None
    content_bytes: int = 0

    @property
    def key(self) -> str:
        """Identity of an event within its session: two events of one id and different types are two."""
        return f"{self.type}\n{self.id}"


EVENT_FIELDS = Event.__struct_fields__


class Totals(msgspec.Struct, omit_defaults=True):
    """Sums over events."""

    events: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    truncated: int = 0


TOTALS_FIELDS = Totals.__struct_fields__


class Session(msgspec.Struct, omit_defaults=True):
    """One run of an agent. Times are Unix seconds."""

    id: str
    source: str = CUSTOM
    thread_id: str = ""
    trace_id: str = ""
    root_span_id: str = ""
    root_status: str = ""
    """Status of the root span, once it has come."""
    said_status: str = ""
    """Status that the sender gave the session itself."""
    provisional: bool = False
    """The id is made from the trace's: a span that names the session may still come."""
    agent: dict[str, Any] = {}
    agent_name: str = ""
    agent_version: str = ""
    agent_model: str = ""
    config: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    started_at: float = 0.0
    ended_at: float | None = None
    """As the sender said."""
    said_duration_ms: float | None = None
    last_at: float = 0.0
    """End of the event that ended last."""
    said: dict[str, int] = {}
    """Totals that the sender declared, by the names of `Totals`."""
    errors: list[Any] = []
    totals: Totals = msgspec.field(default_factory=Totals)
    types: dict[str, int] = {}
    """Number of events of each type; `models` and `tools` likewise."""
    models: dict[str, int] = {}
    tools: dict[str, int] = {}
    user_id: str = ""
    api_token_id: str = ""
    actor_type: str = ""
    updated_at: float = 0.0

    @property
    def status(self) -> str:
        """The status that the sender said; of spans the root's, and until that has come, error if one has failed."""
        if self.source != OTLP:
            return self.said_status or UNKNOWN
        return self.said_status or self.root_status or (ERROR if self.totals.errors else SUCCESS)

    @property
    def end(self) -> float | None:
        """The time of its end; None: it has not ended."""
        if self.ended_at is not None:
            return self.ended_at
        if self.said_duration_ms is not None:
            return min(self.started_at + self.said_duration_ms / 1000, MAX_TIME)
        return None if self.status in (IN_PROGRESS, UNKNOWN) else min(max(self.last_at, self.started_at), MAX_TIME)

    @property
    def duration_ms(self) -> float:
        """Milliseconds from beginning to end; 0: it has not ended."""
        if self.said_duration_ms is not None:
            return self.said_duration_ms
        end = self.end
        return 0.0 if end is None else max(0.0, (end - self.started_at) * 1000)

    def shown_totals(self) -> Totals:
        """The totals of the stored events, or what the sender declared, where that is more."""
        shown = {name: max(getattr(self.totals, name), self.said.get(name, 0)) for name in TOTALS_FIELDS}
        return Totals(**shown)


@dataclass(slots=True)
class NewEvent:
    """An event as it comes. `content` is JSON, an object; empty: none came."""

    event: Event
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class TraceSender:
    """The bearer of the token that sent a session."""

    user_id: str = ""
    api_token_id: str = ""
    actor_type: str = ""


@dataclass(slots=True)
class Patch:
    """The news of one session. Fields that are empty or None say nothing, and change nothing.

    A session is named by `session_id`, or found by `trace_id`. Of spans `session_id` is what one of them names, and
    `shared_id` what their resource names, which other traces may name too.
    """

    session_id: str = ""
    trace_id: str = ""
    shared_id: str = ""
    source: str = CUSTOM
    weak: bool = False
    """Its fields fill in what is not known yet, and replace nothing: of spans without their root."""
    must_exist: bool = False
    reopens: bool = False
    """The session goes on, though it may have ended."""
    ends: bool = False
    thread_id: str = ""
    root_span_id: str = ""
    root_status: str = ""
    status: str = ""
    agent: dict[str, Any] = field(default_factory=dict)
    agent_name: str = ""
    agent_version: str = ""
    agent_model: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    started_at: float = 0.0
    ended_at: float | None = None
    duration_ms: float | None = None
    said: dict[str, int] = field(default_factory=dict)
    errors: list[Any] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)
    sender: TraceSender = TraceSender()
