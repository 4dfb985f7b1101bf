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

class WindowLimits(_message.Message):
    __slots__ = ("per_second", "per_minute", "per_hour", "per_day", "per_month")
    PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    PER_HOUR_FIELD_NUMBER: _ClassVar[int]
    PER_DAY_FIELD_NUMBER: _ClassVar[int]
    PER_MONTH_FIELD_NUMBER: _ClassVar[int]
    per_second: float
    per_minute: float
    per_hour: float
    per_day: float
    per_month: float
    def __init__(self, per_second: _Optional[float] = ..., per_minute: _Optional[float] = ..., per_hour: _Optional[float] = ..., per_day: _Optional[float] = ..., per_month: _Optional[float] = ...) -> None: ...

class RateLimits(_message.Message):
    __slots__ = ("requests", "tokens", "vectors", "files", "storage", "traces")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    STORAGE_FIELD_NUMBER: _ClassVar[int]
    TRACES_FIELD_NUMBER: _ClassVar[int]
    requests: WindowLimits
    tokens: WindowLimits
    vectors: WindowLimits
    files: WindowLimits
    storage: WindowLimits
    traces: WindowLimits
    def __init__(self, requests: _Optional[_Union[WindowLimits, _Mapping]] = ..., tokens: _Optional[_Union[WindowLimits, _Mapping]] = ..., vectors: _Optional[_Union[WindowLimits, _Mapping]] = ..., files: _Optional[_Union[WindowLimits, _Mapping]] = ..., storage: _Optional[_Union[WindowLimits, _Mapping]] = ..., traces: _Optional[_Union[WindowLimits, _Mapping]] = ...) -> None: ...

class RequestLimits(_message.Message):
    __slots__ = ("max_input_tokens", "max_output_tokens", "max_total_tokens", "max_vectors_per_upsert", "max_query_results", "max_dimensions", "max_file_size", "max_files_per_request", "max_events_per_session", "max_session_duration_ms", "max_concurrent_requests")
    MAX_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_VECTORS_PER_UPSERT_FIELD_NUMBER: _ClassVar[int]
    MAX_QUERY_RESULTS_FIELD_NUMBER: _ClassVar[int]
    MAX_DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_FILE_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_FILES_PER_REQUEST_FIELD_NUMBER: _ClassVar[int]
    MAX_EVENTS_PER_SESSION_FIELD_NUMBER: _ClassVar[int]
    MAX_SESSION_DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    max_input_tokens: float
    max_output_tokens: float
    max_total_tokens: float
    max_vectors_per_upsert: float
    max_query_results: float
    max_dimensions: float
    max_file_size: float
    max_files_per_request: float
    max_events_per_session: float
    max_session_duration_ms: float
    max_concurrent_requests: float
    def __init__(self, max_input_tokens: _Optional[float] = ..., max_output_tokens: _Optional[float] = ..., max_total_tokens: _Optional[float] = ..., max_vectors_per_upsert: _Optional[float] = ..., max_query_results: _Optional[float] = ..., max_dimensions: _Optional[float] = ..., max_file_size: _Optional[float] = ..., max_files_per_request: _Optional[float] = ..., max_events_per_session: _Optional[float] = ..., max_session_duration_ms: _Optional[float] = ..., max_concurrent_requests: _Optional[float] = ...) -> None: ...

class StandingLimits(_message.Message):
    __slots__ = ("max_projects", "max_models", "max_vector_indexes", "max_vectors_total", "max_file_buckets", "max_storage_bytes", "max_files_total", "max_tracing_sessions", "max_tracing_retention_days", "max_api_tokens", "max_users", "max_agents")
    MAX_PROJECTS_FIELD_NUMBER: _ClassVar[int]
    MAX_MODELS_FIELD_NUMBER: _ClassVar[int]
    MAX_VECTOR_INDEXES_FIELD_NUMBER: _ClassVar[int]
    MAX_VECTORS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    MAX_FILE_BUCKETS_FIELD_NUMBER: _ClassVar[int]
    MAX_STORAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_FILES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    MAX_TRACING_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_TRACING_RETENTION_DAYS_FIELD_NUMBER: _ClassVar[int]
    MAX_API_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_USERS_FIELD_NUMBER: _ClassVar[int]
    MAX_AGENTS_FIELD_NUMBER: _ClassVar[int]
    max_projects: float
    max_models: float
    max_vector_indexes: float
    max_vectors_total: float
    max_file_buckets: float
    max_storage_bytes: float
    max_files_total: float
    max_tracing_sessions: float
    max_tracing_retention_days: float
    max_api_tokens: float
    max_users: float
    max_agents: float
    def __init__(self, max_projects: _Optional[float] = ..., max_models: _Optional[float] = ..., max_vector_indexes: _Optional[float] = ..., max_vectors_total: _Optional[float] = ..., max_file_buckets: _Optional[float] = ..., max_storage_bytes: _Optional[float] = ..., max_files_total: _Optional[float] = ..., max_tracing_sessions: _Optional[float] = ..., max_tracing_retention_days: _Optional[float] = ..., max_api_tokens: _Optional[float] = ..., max_users: _Optional[float] = ..., max_agents: _Optional[float] = ...) -> None: ...

class BudgetLimits(_message.Message):
    __slots__ = ("daily_spend_limit", "monthly_spend_limit", "alert_thresholds")
    DAILY_SPEND_LIMIT_FIELD_NUMBER: _ClassVar[int]
    MONTHLY_SPEND_LIMIT_FIELD_NUMBER: _ClassVar[int]
    ALERT_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    daily_spend_limit: float
    monthly_spend_limit: float
    alert_thresholds: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, daily_spend_limit: _Optional[float] = ..., monthly_spend_limit: _Optional[float] = ..., alert_thresholds: _Optional[_Iterable[float]] = ...) -> None: ...

class QuotaLimits(_message.Message):
    __slots__ = ("rate_limit", "per_request", "quotas", "budget")
    RATE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    PER_REQUEST_FIELD_NUMBER: _ClassVar[int]
    QUOTAS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    rate_limit: RateLimits
    per_request: RequestLimits
    quotas: StandingLimits
    budget: BudgetLimits
    def __init__(self, rate_limit: _Optional[_Union[RateLimits, _Mapping]] = ..., per_request: _Optional[_Union[RequestLimits, _Mapping]] = ..., quotas: _Optional[_Union[StandingLimits, _Mapping]] = ..., budget: _Optional[_Union[BudgetLimits, _Mapping]] = ...) -> None: ...

class QuotaPolicy(_message.Message):
    __slots__ = ("id", "record_id", "scope", "scope_id", "domain", "project_id", "priority", "enabled", "label", "description", "limits", "created_at", "updated_at", "created_by", "updated_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    UPDATED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    scope: str
    scope_id: str
    domain: str
    project_id: str
    priority: int
    enabled: bool
    label: str
    description: str
    limits: QuotaLimits
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    created_by: str
    updated_by: str
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., domain: _Optional[str] = ..., project_id: _Optional[str] = ..., priority: _Optional[int] = ..., enabled: _Optional[bool] = ..., label: _Optional[str] = ..., description: _Optional[str] = ..., limits: _Optional[_Union[QuotaLimits, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_by: _Optional[str] = ..., updated_by: _Optional[str] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("name", "label", "features", "limits")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    name: str
    label: str
    features: _containers.RepeatedScalarFieldContainer[str]
    limits: QuotaLimits
    def __init__(self, name: _Optional[str] = ..., label: _Optional[str] = ..., features: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[QuotaLimits, _Mapping]] = ...) -> None: ...

class GetQuotaDefaultsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetQuotaDefaultsResponse(_message.Message):
    __slots__ = ("license_type", "defaults", "plan")
    LICENSE_TYPE_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    license_type: str
    defaults: QuotaLimits
    plan: Plan
    def __init__(self, license_type: _Optional[str] = ..., defaults: _Optional[_Union[QuotaLimits, _Mapping]] = ..., plan: _Optional[_Union[Plan, _Mapping]] = ...) -> None: ...

class ListQuotaPoliciesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "scope", "domain")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    scope: str
    domain: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., scope: _Optional[str] = ..., domain: _Optional[str] = ...) -> None: ...

class ListQuotaPoliciesResponse(_message.Message):
    __slots__ = ("policies", "next_page_token")
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    policies: _containers.RepeatedCompositeFieldContainer[QuotaPolicy]
    next_page_token: str
    def __init__(self, policies: _Optional[_Iterable[_Union[QuotaPolicy, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetQuotaPolicyRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetQuotaPolicyResponse(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: QuotaPolicy
    def __init__(self, policy: _Optional[_Union[QuotaPolicy, _Mapping]] = ...) -> None: ...

class CreateQuotaPolicyRequest(_message.Message):
    __slots__ = ("scope", "scope_id", "domain", "project_id", "priority", "enabled", "label", "description", "limits")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    scope: str
    scope_id: str
    domain: str
    project_id: str
    priority: int
    enabled: bool
    label: str
    description: str
    limits: QuotaLimits
    def __init__(self, scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., domain: _Optional[str] = ..., project_id: _Optional[str] = ..., priority: _Optional[int] = ..., enabled: _Optional[bool] = ..., label: _Optional[str] = ..., description: _Optional[str] = ..., limits: _Optional[_Union[QuotaLimits, _Mapping]] = ...) -> None: ...

class CreateQuotaPolicyResponse(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: QuotaPolicy
    def __init__(self, policy: _Optional[_Union[QuotaPolicy, _Mapping]] = ...) -> None: ...

class UpdateQuotaPolicyRequest(_message.Message):
    __slots__ = ("id", "priority", "enabled", "label", "description", "limits")
    ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    id: str
    priority: int
    enabled: bool
    label: str
    description: str
    limits: QuotaLimits
    def __init__(self, id: _Optional[str] = ..., priority: _Optional[int] = ..., enabled: _Optional[bool] = ..., label: _Optional[str] = ..., description: _Optional[str] = ..., limits: _Optional[_Union[QuotaLimits, _Mapping]] = ...) -> None: ...

class UpdateQuotaPolicyResponse(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: QuotaPolicy
    def __init__(self, policy: _Optional[_Union[QuotaPolicy, _Mapping]] = ...) -> None: ...

class DeleteQuotaPolicyRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteQuotaPolicyResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...
