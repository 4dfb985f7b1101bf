import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portico.common.v1 import access_pb2 as _access_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TraceTotals(_message.Message):
    __slots__ = ("events", "errors", "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "total_tokens", "bytes_in", "bytes_out", "truncated")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    BYTES_IN_FIELD_NUMBER: _ClassVar[int]
    BYTES_OUT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    events: int
    errors: int
    input_tokens: float
    output_tokens: float
    cached_input_tokens: float
    reasoning_tokens: float
    total_tokens: float
    bytes_in: float
    bytes_out: float
    truncated: int
    def __init__(self, events: _Optional[int] = ..., errors: _Optional[int] = ..., input_tokens: _Optional[float] = ..., output_tokens: _Optional[float] = ..., cached_input_tokens: _Optional[float] = ..., reasoning_tokens: _Optional[float] = ..., total_tokens: _Optional[float] = ..., bytes_in: _Optional[float] = ..., bytes_out: _Optional[float] = ..., truncated: _Optional[int] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("session_id", "id", "thread_id", "trace_id", "root_span_id", "source", "status", "agent_name", "agent_version", "agent_model", "agent", "config", "metadata", "started_at", "ended_at", "duration_ms", "totals", "event_counts", "models_used", "tools_used", "errors", "user_id", "api_token_id", "actor_type", "updated_at", "total_events", "total_input_tokens", "total_output_tokens", "total_cached_input_tokens")
    class EventCountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    ROOT_SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    AGENT_NAME_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    AGENT_MODEL_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNTS_FIELD_NUMBER: _ClassVar[int]
    MODELS_USED_FIELD_NUMBER: _ClassVar[int]
    TOOLS_USED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    API_TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_TYPE_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_EVENTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    id: str
    thread_id: str
    trace_id: str
    root_span_id: str
    source: str
    status: str
    agent_name: str
    agent_version: str
    agent_model: str
    agent: _struct_pb2.Struct
    config: _struct_pb2.Struct
    metadata: _struct_pb2.Struct
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    duration_ms: float
    totals: TraceTotals
    event_counts: _containers.ScalarMap[str, int]
    models_used: _containers.RepeatedScalarFieldContainer[str]
    tools_used: _containers.RepeatedScalarFieldContainer[str]
    errors: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    user_id: str
    api_token_id: str
    actor_type: str
    updated_at: _timestamp_pb2.Timestamp
    total_events: int
    total_input_tokens: float
    total_output_tokens: float
    total_cached_input_tokens: float
    def __init__(self, session_id: _Optional[str] = ..., id: _Optional[str] = ..., thread_id: _Optional[str] = ..., trace_id: _Optional[str] = ..., root_span_id: _Optional[str] = ..., source: _Optional[str] = ..., status: _Optional[str] = ..., agent_name: _Optional[str] = ..., agent_version: _Optional[str] = ..., agent_model: _Optional[str] = ..., agent: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., config: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., duration_ms: _Optional[float] = ..., totals: _Optional[_Union[TraceTotals, _Mapping]] = ..., event_counts: _Optional[_Mapping[str, int]] = ..., models_used: _Optional[_Iterable[str]] = ..., tools_used: _Optional[_Iterable[str]] = ..., errors: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ..., user_id: _Optional[str] = ..., api_token_id: _Optional[str] = ..., actor_type: _Optional[str] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., total_events: _Optional[int] = ..., total_input_tokens: _Optional[float] = ..., total_output_tokens: _Optional[float] = ..., total_cached_input_tokens: _Optional[float] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("id", "type", "label", "status", "sequence", "timestamp", "duration_ms", "trace_id", "span_id", "parent_span_id", "actor_scope", "actor_name", "actor_role", "model", "tool_name", "tool_execution_id", "finish_reason", "input_tokens", "output_tokens", "total_tokens", "cached_input_tokens", "reasoning_tokens", "bytes_in", "bytes_out", "error", "sections", "metadata", "content_bytes")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_SCOPE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_NAME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_ROLE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOOL_NAME_FIELD_NUMBER: _ClassVar[int]
    TOOL_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    BYTES_IN_FIELD_NUMBER: _ClassVar[int]
    BYTES_OUT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SECTIONS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CONTENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    label: str
    status: str
    sequence: int
    timestamp: _timestamp_pb2.Timestamp
    duration_ms: float
    trace_id: str
    span_id: str
    parent_span_id: str
    actor_scope: str
    actor_name: str
    actor_role: str
    model: str
    tool_name: str
    tool_execution_id: str
    finish_reason: str
    input_tokens: float
    output_tokens: float
    total_tokens: float
    cached_input_tokens: float
    reasoning_tokens: float
    bytes_in: float
    bytes_out: float
    error: _struct_pb2.Struct
    sections: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    metadata: _struct_pb2.Struct
    content_bytes: int
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., label: _Optional[str] = ..., status: _Optional[str] = ..., sequence: _Optional[int] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., duration_ms: _Optional[float] = ..., trace_id: _Optional[str] = ..., span_id: _Optional[str] = ..., parent_span_id: _Optional[str] = ..., actor_scope: _Optional[str] = ..., actor_name: _Optional[str] = ..., actor_role: _Optional[str] = ..., model: _Optional[str] = ..., tool_name: _Optional[str] = ..., tool_execution_id: _Optional[str] = ..., finish_reason: _Optional[str] = ..., input_tokens: _Optional[float] = ..., output_tokens: _Optional[float] = ..., total_tokens: _Optional[float] = ..., cached_input_tokens: _Optional[float] = ..., reasoning_tokens: _Optional[float] = ..., bytes_in: _Optional[float] = ..., bytes_out: _Optional[float] = ..., error: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., sections: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., content_bytes: _Optional[int] = ...) -> None: ...

class IngestSessionRequest(_message.Message):
    __slots__ = ("body",)
    BODY_FIELD_NUMBER: _ClassVar[int]
    body: _httpbody_pb2.HttpBody
    def __init__(self, body: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class StartSessionRequest(_message.Message):
    __slots__ = ("session_id", "body")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    body: _httpbody_pb2.HttpBody
    def __init__(self, session_id: _Optional[str] = ..., body: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class AppendEventRequest(_message.Message):
    __slots__ = ("session_id", "body")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    body: _httpbody_pb2.HttpBody
    def __init__(self, session_id: _Optional[str] = ..., body: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class EndSessionRequest(_message.Message):
    __slots__ = ("session_id", "body")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    body: _httpbody_pb2.HttpBody
    def __init__(self, session_id: _Optional[str] = ..., body: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class ExportTracesRequest(_message.Message):
    __slots__ = ("body",)
    BODY_FIELD_NUMBER: _ClassVar[int]
    body: _httpbody_pb2.HttpBody
    def __init__(self, body: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class ListSessionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "agent", "status", "thread_id", "to", "search", "source", "model", "limit")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    agent: str
    status: str
    thread_id: str
    to: _timestamp_pb2.Timestamp
    search: str
    source: str
    model: str
    limit: int
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., agent: _Optional[str] = ..., status: _Optional[str] = ..., thread_id: _Optional[str] = ..., to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., search: _Optional[str] = ..., source: _Optional[str] = ..., model: _Optional[str] = ..., limit: _Optional[int] = ..., **kwargs) -> None: ...

class ListSessionsResponse(_message.Message):
    __slots__ = ("sessions", "next_page_token")
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[Session]
    next_page_token: str
    def __init__(self, sessions: _Optional[_Iterable[_Union[Session, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("session_id", "include_event_content", "page_size")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_EVENT_CONTENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    include_event_content: bool
    page_size: int
    def __init__(self, session_id: _Optional[str] = ..., include_event_content: _Optional[bool] = ..., page_size: _Optional[int] = ...) -> None: ...

class GetSessionResponse(_message.Message):
    __slots__ = ("session", "events", "next_page_token")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    session: Session
    events: _containers.RepeatedCompositeFieldContainer[Event]
    next_page_token: str
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("session_id", "page_size", "page_token", "include_event_content")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_EVENT_CONTENT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    page_size: int
    page_token: str
    include_event_content: bool
    def __init__(self, session_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., include_event_content: _Optional[bool] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetEventRequest(_message.Message):
    __slots__ = ("session_id", "event_id", "type")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    event_id: str
    type: str
    def __init__(self, session_id: _Optional[str] = ..., event_id: _Optional[str] = ..., type: _Optional[str] = ...) -> None: ...

class GetEventResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: Event
    def __init__(self, event: _Optional[_Union[Event, _Mapping]] = ...) -> None: ...

class DeleteSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class DeleteSessionResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class Thread(_message.Message):
    __slots__ = ("thread_id", "id", "session_count", "agents", "latest_status", "started_at", "latest_at", "totals")
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_COUNT_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    LATEST_STATUS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    LATEST_AT_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    thread_id: str
    id: str
    session_count: int
    agents: _containers.RepeatedScalarFieldContainer[str]
    latest_status: str
    started_at: _timestamp_pb2.Timestamp
    latest_at: _timestamp_pb2.Timestamp
    totals: TraceTotals
    def __init__(self, thread_id: _Optional[str] = ..., id: _Optional[str] = ..., session_count: _Optional[int] = ..., agents: _Optional[_Iterable[str]] = ..., latest_status: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., latest_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., totals: _Optional[_Union[TraceTotals, _Mapping]] = ...) -> None: ...

class ListThreadsRequest(_message.Message):
    __slots__ = ("agent", "status", "thread_id", "to", "limit", "skip", "page_size", "page_token")
    AGENT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    agent: str
    status: str
    thread_id: str
    to: _timestamp_pb2.Timestamp
    limit: int
    skip: int
    page_size: int
    page_token: str
    def __init__(self, agent: _Optional[str] = ..., status: _Optional[str] = ..., thread_id: _Optional[str] = ..., to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., limit: _Optional[int] = ..., skip: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., **kwargs) -> None: ...

class ListThreadsResponse(_message.Message):
    __slots__ = ("threads", "total", "next_page_token")
    THREADS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    threads: _containers.RepeatedCompositeFieldContainer[Thread]
    total: int
    next_page_token: str
    def __init__(self, threads: _Optional[_Iterable[_Union[Thread, _Mapping]]] = ..., total: _Optional[int] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetThreadRequest(_message.Message):
    __slots__ = ("thread_id",)
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    thread_id: str
    def __init__(self, thread_id: _Optional[str] = ...) -> None: ...

class GetThreadResponse(_message.Message):
    __slots__ = ("thread", "sessions")
    THREAD_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    thread: Thread
    sessions: _containers.RepeatedCompositeFieldContainer[Session]
    def __init__(self, thread: _Optional[_Union[Thread, _Mapping]] = ..., sessions: _Optional[_Iterable[_Union[Session, _Mapping]]] = ...) -> None: ...

class Agent(_message.Message):
    __slots__ = ("name", "version", "session_count", "error_count", "latest_at", "mean_duration_ms", "totals")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_COUNT_FIELD_NUMBER: _ClassVar[int]
    LATEST_AT_FIELD_NUMBER: _ClassVar[int]
    MEAN_DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    session_count: int
    error_count: int
    latest_at: _timestamp_pb2.Timestamp
    mean_duration_ms: float
    totals: TraceTotals
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., session_count: _Optional[int] = ..., error_count: _Optional[int] = ..., latest_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., mean_duration_ms: _Optional[float] = ..., totals: _Optional[_Union[TraceTotals, _Mapping]] = ...) -> None: ...

class ListAgentsRequest(_message.Message):
    __slots__ = ("to", "page_size", "page_token")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    to: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    def __init__(self, to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., **kwargs) -> None: ...

class ListAgentsResponse(_message.Message):
    __slots__ = ("agents", "next_page_token")
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    agents: _containers.RepeatedCompositeFieldContainer[Agent]
    next_page_token: str
    def __init__(self, agents: _Optional[_Iterable[_Union[Agent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class TracingSettings(_message.Message):
    __slots__ = ("retention_days",)
    RETENTION_DAYS_FIELD_NUMBER: _ClassVar[int]
    retention_days: float
    def __init__(self, retention_days: _Optional[float] = ...) -> None: ...

class GetTracingSettingsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetTracingSettingsResponse(_message.Message):
    __slots__ = ("settings",)
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    settings: TracingSettings
    def __init__(self, settings: _Optional[_Union[TracingSettings, _Mapping]] = ...) -> None: ...

class UpdateTracingSettingsRequest(_message.Message):
    __slots__ = ("retention_days",)
    RETENTION_DAYS_FIELD_NUMBER: _ClassVar[int]
    retention_days: float
    def __init__(self, retention_days: _Optional[float] = ...) -> None: ...

class UpdateTracingSettingsResponse(_message.Message):
    __slots__ = ("settings",)
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    settings: TracingSettings
    def __init__(self, settings: _Optional[_Union[TracingSettings, _Mapping]] = ...) -> None: ...
