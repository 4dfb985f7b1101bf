import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portico.common.v1 import access_pb2 as _access_pb2
from portico.common.v1 import usage_pb2 as _usage_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UsageRecord(_message.Message):
    __slots__ = ("id", "created_at", "request_id", "project_id", "token_id", "user_id", "model", "model_id", "provider_key", "operation", "status", "error_reason", "streamed", "latency_ms", "first_byte_ms", "usage", "finish_reason", "cost", "currency", "attempts", "failed_attempts", "decision", "search_units")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_REASON_FIELD_NUMBER: _ClassVar[int]
    STREAMED_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    FIRST_BYTE_MS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    FAILED_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    SEARCH_UNITS_FIELD_NUMBER: _ClassVar[int]
    id: str
    created_at: _timestamp_pb2.Timestamp
    request_id: str
    project_id: str
    token_id: str
    user_id: str
    model: str
    model_id: str
    provider_key: str
    operation: str
    status: str
    error_reason: str
    streamed: bool
    latency_ms: float
    first_byte_ms: float
    usage: _usage_pb2.TokenUsage
    finish_reason: str
    cost: float
    currency: str
    attempts: int
    failed_attempts: _containers.RepeatedCompositeFieldContainer[FailedAttempt]
    decision: RouteDecision
    search_units: float
    def __init__(self, id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_id: _Optional[str] = ..., project_id: _Optional[str] = ..., token_id: _Optional[str] = ..., user_id: _Optional[str] = ..., model: _Optional[str] = ..., model_id: _Optional[str] = ..., provider_key: _Optional[str] = ..., operation: _Optional[str] = ..., status: _Optional[str] = ..., error_reason: _Optional[str] = ..., streamed: _Optional[bool] = ..., latency_ms: _Optional[float] = ..., first_byte_ms: _Optional[float] = ..., usage: _Optional[_Union[_usage_pb2.TokenUsage, _Mapping]] = ..., finish_reason: _Optional[str] = ..., cost: _Optional[float] = ..., currency: _Optional[str] = ..., attempts: _Optional[int] = ..., failed_attempts: _Optional[_Iterable[_Union[FailedAttempt, _Mapping]]] = ..., decision: _Optional[_Union[RouteDecision, _Mapping]] = ..., search_units: _Optional[float] = ...) -> None: ...

class FailedAttempt(_message.Message):
    __slots__ = ("provider_key", "model_id", "reason")
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    provider_key: str
    model_id: str
    reason: str
    def __init__(self, provider_key: _Optional[str] = ..., model_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RouteDecision(_message.Message):
    __slots__ = ("policy", "reason", "dynamic")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DYNAMIC_FIELD_NUMBER: _ClassVar[int]
    policy: str
    reason: str
    dynamic: _containers.RepeatedCompositeFieldContainer[DynamicDecision]
    def __init__(self, policy: _Optional[str] = ..., reason: _Optional[str] = ..., dynamic: _Optional[_Iterable[_Union[DynamicDecision, _Mapping]]] = ...) -> None: ...

class DynamicDecision(_message.Message):
    __slots__ = ("router_key", "decision", "chosen_model_key", "label", "decider_latency_ms")
    ROUTER_KEY_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DECIDER_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    router_key: str
    decision: str
    chosen_model_key: str
    label: str
    decider_latency_ms: float
    def __init__(self, router_key: _Optional[str] = ..., decision: _Optional[str] = ..., chosen_model_key: _Optional[str] = ..., label: _Optional[str] = ..., decider_latency_ms: _Optional[float] = ...) -> None: ...

class UsageRow(_message.Message):
    __slots__ = ("group", "requests", "errors", "cancelled", "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "total_tokens", "cost", "currency", "mean_latency_ms")
    class GroupEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GROUP_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    MEAN_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    group: _containers.ScalarMap[str, str]
    requests: int
    errors: int
    cancelled: int
    input_tokens: float
    output_tokens: float
    cached_input_tokens: float
    reasoning_tokens: float
    total_tokens: float
    cost: float
    currency: str
    mean_latency_ms: float
    def __init__(self, group: _Optional[_Mapping[str, str]] = ..., requests: _Optional[int] = ..., errors: _Optional[int] = ..., cancelled: _Optional[int] = ..., input_tokens: _Optional[float] = ..., output_tokens: _Optional[float] = ..., cached_input_tokens: _Optional[float] = ..., reasoning_tokens: _Optional[float] = ..., total_tokens: _Optional[float] = ..., cost: _Optional[float] = ..., currency: _Optional[str] = ..., mean_latency_ms: _Optional[float] = ...) -> None: ...

class GetUsageRequest(_message.Message):
    __slots__ = ("to", "group_by", "model", "token_id", "all_projects")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    ALL_PROJECTS_FIELD_NUMBER: _ClassVar[int]
    to: _timestamp_pb2.Timestamp
    group_by: str
    model: str
    token_id: str
    all_projects: bool
    def __init__(self, to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., group_by: _Optional[str] = ..., model: _Optional[str] = ..., token_id: _Optional[str] = ..., all_projects: _Optional[bool] = ..., **kwargs) -> None: ...

class GetUsageResponse(_message.Message):
    __slots__ = ("rows", "totals")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[UsageRow]
    totals: _containers.RepeatedCompositeFieldContainer[UsageRow]
    def __init__(self, rows: _Optional[_Iterable[_Union[UsageRow, _Mapping]]] = ..., totals: _Optional[_Iterable[_Union[UsageRow, _Mapping]]] = ...) -> None: ...

class ListUsageRecordsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "model", "token_id", "status", "all_projects")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ALL_PROJECTS_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    model: str
    token_id: str
    status: str
    all_projects: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., model: _Optional[str] = ..., token_id: _Optional[str] = ..., status: _Optional[str] = ..., all_projects: _Optional[bool] = ...) -> None: ...

class ListUsageRecordsResponse(_message.Message):
    __slots__ = ("records", "next_page_token")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[UsageRecord]
    next_page_token: str
    def __init__(self, records: _Optional[_Iterable[_Union[UsageRecord, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
