import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portico.common.v1 import access_pb2 as _access_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InferenceServer(_message.Message):
    __slots__ = ("id", "record_id", "key", "name", "type", "base_url", "has_api_key", "poll_interval_seconds", "status", "health", "last_polled_at", "last_error", "created_at", "updated_at", "latest")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    HAS_API_KEY_FIELD_NUMBER: _ClassVar[int]
    POLL_INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    LAST_POLLED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    LATEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    key: str
    name: str
    type: str
    base_url: str
    has_api_key: bool
    poll_interval_seconds: int
    status: str
    health: str
    last_polled_at: _timestamp_pb2.Timestamp
    last_error: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    latest: InferenceMetrics
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., key: _Optional[str] = ..., name: _Optional[str] = ..., type: _Optional[str] = ..., base_url: _Optional[str] = ..., has_api_key: _Optional[bool] = ..., poll_interval_seconds: _Optional[int] = ..., status: _Optional[str] = ..., health: _Optional[str] = ..., last_polled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_error: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., latest: _Optional[_Union[InferenceMetrics, _Mapping]] = ...) -> None: ...

class InferenceMetrics(_message.Message):
    __slots__ = ("timestamp", "up", "error", "interval_seconds", "num_requests_running", "num_requests_waiting", "gpu_cache_usage_percent", "cpu_cache_usage_percent", "prefix_cache_hit_percent", "prompt_tokens_throughput", "generation_tokens_throughput", "requests_per_second", "time_to_first_token_seconds", "time_to_first_token_p95_seconds", "time_per_output_token_seconds", "time_per_output_token_p95_seconds", "e2e_request_latency_seconds", "e2e_request_latency_p95_seconds", "queue_time_seconds", "running_models")
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    NUM_REQUESTS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    NUM_REQUESTS_WAITING_FIELD_NUMBER: _ClassVar[int]
    GPU_CACHE_USAGE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    CPU_CACHE_USAGE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    PREFIX_CACHE_HIT_PERCENT_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_TOKENS_THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_FIRST_TOKEN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_FIRST_TOKEN_P95_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TIME_PER_OUTPUT_TOKEN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TIME_PER_OUTPUT_TOKEN_P95_SECONDS_FIELD_NUMBER: _ClassVar[int]
    E2E_REQUEST_LATENCY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    E2E_REQUEST_LATENCY_P95_SECONDS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_MODELS_FIELD_NUMBER: _ClassVar[int]
    timestamp: _timestamp_pb2.Timestamp
    up: int
    error: str
    interval_seconds: float
    num_requests_running: float
    num_requests_waiting: float
    gpu_cache_usage_percent: float
    cpu_cache_usage_percent: float
    prefix_cache_hit_percent: float
    prompt_tokens_throughput: float
    generation_tokens_throughput: float
    requests_per_second: float
    time_to_first_token_seconds: float
    time_to_first_token_p95_seconds: float
    time_per_output_token_seconds: float
    time_per_output_token_p95_seconds: float
    e2e_request_latency_seconds: float
    e2e_request_latency_p95_seconds: float
    queue_time_seconds: float
    running_models: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., up: _Optional[int] = ..., error: _Optional[str] = ..., interval_seconds: _Optional[float] = ..., num_requests_running: _Optional[float] = ..., num_requests_waiting: _Optional[float] = ..., gpu_cache_usage_percent: _Optional[float] = ..., cpu_cache_usage_percent: _Optional[float] = ..., prefix_cache_hit_percent: _Optional[float] = ..., prompt_tokens_throughput: _Optional[float] = ..., generation_tokens_throughput: _Optional[float] = ..., requests_per_second: _Optional[float] = ..., time_to_first_token_seconds: _Optional[float] = ..., time_to_first_token_p95_seconds: _Optional[float] = ..., time_per_output_token_seconds: _Optional[float] = ..., time_per_output_token_p95_seconds: _Optional[float] = ..., e2e_request_latency_seconds: _Optional[float] = ..., e2e_request_latency_p95_seconds: _Optional[float] = ..., queue_time_seconds: _Optional[float] = ..., running_models: _Optional[_Iterable[str]] = ...) -> None: ...

class ListInferenceServersRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListInferenceServersResponse(_message.Message):
    __slots__ = ("servers", "next_page_token")
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    servers: _containers.RepeatedCompositeFieldContainer[InferenceServer]
    next_page_token: str
    def __init__(self, servers: _Optional[_Iterable[_Union[InferenceServer, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetInferenceDashboardRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InferenceTotals(_message.Message):
    __slots__ = ("servers", "up", "down", "num_requests_running", "num_requests_waiting", "prompt_tokens_throughput", "generation_tokens_throughput", "requests_per_second")
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    DOWN_FIELD_NUMBER: _ClassVar[int]
    NUM_REQUESTS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    NUM_REQUESTS_WAITING_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_TOKENS_THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    servers: int
    up: int
    down: int
    num_requests_running: float
    num_requests_waiting: float
    prompt_tokens_throughput: float
    generation_tokens_throughput: float
    requests_per_second: float
    def __init__(self, servers: _Optional[int] = ..., up: _Optional[int] = ..., down: _Optional[int] = ..., num_requests_running: _Optional[float] = ..., num_requests_waiting: _Optional[float] = ..., prompt_tokens_throughput: _Optional[float] = ..., generation_tokens_throughput: _Optional[float] = ..., requests_per_second: _Optional[float] = ...) -> None: ...

class GetInferenceDashboardResponse(_message.Message):
    __slots__ = ("servers", "totals")
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    servers: _containers.RepeatedCompositeFieldContainer[InferenceServer]
    totals: InferenceTotals
    def __init__(self, servers: _Optional[_Iterable[_Union[InferenceServer, _Mapping]]] = ..., totals: _Optional[_Union[InferenceTotals, _Mapping]] = ...) -> None: ...

class CreateInferenceServerRequest(_message.Message):
    __slots__ = ("name", "key", "type", "base_url", "api_key", "poll_interval_seconds", "status")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    POLL_INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    name: str
    key: str
    type: str
    base_url: str
    api_key: str
    poll_interval_seconds: int
    status: str
    def __init__(self, name: _Optional[str] = ..., key: _Optional[str] = ..., type: _Optional[str] = ..., base_url: _Optional[str] = ..., api_key: _Optional[str] = ..., poll_interval_seconds: _Optional[int] = ..., status: _Optional[str] = ...) -> None: ...

class CreateInferenceServerResponse(_message.Message):
    __slots__ = ("server",)
    SERVER_FIELD_NUMBER: _ClassVar[int]
    server: InferenceServer
    def __init__(self, server: _Optional[_Union[InferenceServer, _Mapping]] = ...) -> None: ...

class GetInferenceServerRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class GetInferenceServerResponse(_message.Message):
    __slots__ = ("server",)
    SERVER_FIELD_NUMBER: _ClassVar[int]
    server: InferenceServer
    def __init__(self, server: _Optional[_Union[InferenceServer, _Mapping]] = ...) -> None: ...

class UpdateInferenceServerRequest(_message.Message):
    __slots__ = ("key", "name", "base_url", "api_key", "poll_interval_seconds", "status")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    POLL_INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    base_url: str
    api_key: str
    poll_interval_seconds: int
    status: str
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., base_url: _Optional[str] = ..., api_key: _Optional[str] = ..., poll_interval_seconds: _Optional[int] = ..., status: _Optional[str] = ...) -> None: ...

class UpdateInferenceServerResponse(_message.Message):
    __slots__ = ("server",)
    SERVER_FIELD_NUMBER: _ClassVar[int]
    server: InferenceServer
    def __init__(self, server: _Optional[_Union[InferenceServer, _Mapping]] = ...) -> None: ...

class DeleteInferenceServerRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class DeleteInferenceServerResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class PollInferenceServerRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class PollInferenceServerResponse(_message.Message):
    __slots__ = ("metrics",)
    METRICS_FIELD_NUMBER: _ClassVar[int]
    metrics: InferenceMetrics
    def __init__(self, metrics: _Optional[_Union[InferenceMetrics, _Mapping]] = ...) -> None: ...

class ListInferenceMetricsRequest(_message.Message):
    __slots__ = ("key", "to", "page_size", "limit", "page_token")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    key: str
    to: _timestamp_pb2.Timestamp
    page_size: int
    limit: int
    page_token: str
    def __init__(self, key: _Optional[str] = ..., to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ..., **kwargs) -> None: ...

class ListInferenceMetricsResponse(_message.Message):
    __slots__ = ("metrics", "next_page_token")
    METRICS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    metrics: _containers.RepeatedCompositeFieldContainer[InferenceMetrics]
    next_page_token: str
    def __init__(self, metrics: _Optional[_Iterable[_Union[InferenceMetrics, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
