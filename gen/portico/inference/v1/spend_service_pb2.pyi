from google.api import annotations_pb2 as _annotations_pb2
from portico.common.v1 import access_pb2 as _access_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetSpendReportRequest(_message.Message):
    __slots__ = ("to", "group_by", "model", "group_by_entity", "token_id", "user_id", "agent", "currency", "all_projects")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_ENTITY_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ALL_PROJECTS_FIELD_NUMBER: _ClassVar[int]
    to: str
    group_by: str
    model: str
    group_by_entity: str
    token_id: str
    user_id: str
    agent: str
    currency: str
    all_projects: bool
    def __init__(self, to: _Optional[str] = ..., group_by: _Optional[str] = ..., model: _Optional[str] = ..., group_by_entity: _Optional[str] = ..., token_id: _Optional[str] = ..., user_id: _Optional[str] = ..., agent: _Optional[str] = ..., currency: _Optional[str] = ..., all_projects: _Optional[bool] = ..., **kwargs) -> None: ...

class GetSpendReportResponse(_message.Message):
    __slots__ = ("object", "to", "group_by", "currency", "total_cost", "total_calls", "total_input_tokens", "total_output_tokens", "total_tokens", "by_model", "timeseries", "by_entity", "other_currencies")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COST_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CALLS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    BY_MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMESERIES_FIELD_NUMBER: _ClassVar[int]
    BY_ENTITY_FIELD_NUMBER: _ClassVar[int]
    OTHER_CURRENCIES_FIELD_NUMBER: _ClassVar[int]
    object: str
    to: str
    group_by: str
    currency: str
    total_cost: float
    total_calls: int
    total_input_tokens: float
    total_output_tokens: float
    total_tokens: float
    by_model: _containers.RepeatedCompositeFieldContainer[SpendByModel]
    timeseries: _containers.RepeatedCompositeFieldContainer[SpendPeriod]
    by_entity: _containers.RepeatedCompositeFieldContainer[SpendByEntity]
    other_currencies: _containers.RepeatedCompositeFieldContainer[SpendTotals]
    def __init__(self, object: _Optional[str] = ..., to: _Optional[str] = ..., group_by: _Optional[str] = ..., currency: _Optional[str] = ..., total_cost: _Optional[float] = ..., total_calls: _Optional[int] = ..., total_input_tokens: _Optional[float] = ..., total_output_tokens: _Optional[float] = ..., total_tokens: _Optional[float] = ..., by_model: _Optional[_Iterable[_Union[SpendByModel, _Mapping]]] = ..., timeseries: _Optional[_Iterable[_Union[SpendPeriod, _Mapping]]] = ..., by_entity: _Optional[_Iterable[_Union[SpendByEntity, _Mapping]]] = ..., other_currencies: _Optional[_Iterable[_Union[SpendTotals, _Mapping]]] = ..., **kwargs) -> None: ...

class SpendByModel(_message.Message):
    __slots__ = ("model_key", "model_name", "category", "provider_key", "calls", "input_tokens", "output_tokens", "total_tokens", "cost", "currency")
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    model_key: str
    model_name: str
    category: str
    provider_key: str
    calls: int
    input_tokens: float
    output_tokens: float
    total_tokens: float
    cost: float
    currency: str
    def __init__(self, model_key: _Optional[str] = ..., model_name: _Optional[str] = ..., category: _Optional[str] = ..., provider_key: _Optional[str] = ..., calls: _Optional[int] = ..., input_tokens: _Optional[float] = ..., output_tokens: _Optional[float] = ..., total_tokens: _Optional[float] = ..., cost: _Optional[float] = ..., currency: _Optional[str] = ...) -> None: ...

class SpendPeriod(_message.Message):
    __slots__ = ("period", "calls", "total_tokens", "cost")
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    period: str
    calls: int
    total_tokens: float
    cost: float
    def __init__(self, period: _Optional[str] = ..., calls: _Optional[int] = ..., total_tokens: _Optional[float] = ..., cost: _Optional[float] = ...) -> None: ...

class SpendByEntity(_message.Message):
    __slots__ = ("entity", "calls", "input_tokens", "output_tokens", "total_tokens", "cost", "currency")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    entity: str
    calls: int
    input_tokens: float
    output_tokens: float
    total_tokens: float
    cost: float
    currency: str
    def __init__(self, entity: _Optional[str] = ..., calls: _Optional[int] = ..., input_tokens: _Optional[float] = ..., output_tokens: _Optional[float] = ..., total_tokens: _Optional[float] = ..., cost: _Optional[float] = ..., currency: _Optional[str] = ...) -> None: ...

class SpendTotals(_message.Message):
    __slots__ = ("currency", "total_cost", "total_calls")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COST_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CALLS_FIELD_NUMBER: _ClassVar[int]
    currency: str
    total_cost: float
    total_calls: int
    def __init__(self, currency: _Optional[str] = ..., total_cost: _Optional[float] = ..., total_calls: _Optional[int] = ...) -> None: ...

class GetUsageOverviewRequest(_message.Message):
    __slots__ = ("to", "group_by", "model", "top", "all_projects")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    ALL_PROJECTS_FIELD_NUMBER: _ClassVar[int]
    to: str
    group_by: str
    model: str
    top: int
    all_projects: bool
    def __init__(self, to: _Optional[str] = ..., group_by: _Optional[str] = ..., model: _Optional[str] = ..., top: _Optional[int] = ..., all_projects: _Optional[bool] = ..., **kwargs) -> None: ...

class GetUsageOverviewResponse(_message.Message):
    __slots__ = ("to", "group_by", "totals", "models", "providers", "users", "tokens", "agents", "tags", "timeseries")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    TIMESERIES_FIELD_NUMBER: _ClassVar[int]
    to: str
    group_by: str
    totals: UsageFigures
    models: _containers.RepeatedCompositeFieldContainer[UsageFigures]
    providers: _containers.RepeatedCompositeFieldContainer[UsageFigures]
    users: _containers.RepeatedCompositeFieldContainer[UsageFigures]
    tokens: _containers.RepeatedCompositeFieldContainer[UsageFigures]
    agents: _containers.RepeatedCompositeFieldContainer[UsageFigures]
    tags: _containers.RepeatedCompositeFieldContainer[UsageFigures]
    timeseries: _containers.RepeatedCompositeFieldContainer[UsageFigures]
    def __init__(self, to: _Optional[str] = ..., group_by: _Optional[str] = ..., totals: _Optional[_Union[UsageFigures, _Mapping]] = ..., models: _Optional[_Iterable[_Union[UsageFigures, _Mapping]]] = ..., providers: _Optional[_Iterable[_Union[UsageFigures, _Mapping]]] = ..., users: _Optional[_Iterable[_Union[UsageFigures, _Mapping]]] = ..., tokens: _Optional[_Iterable[_Union[UsageFigures, _Mapping]]] = ..., agents: _Optional[_Iterable[_Union[UsageFigures, _Mapping]]] = ..., tags: _Optional[_Iterable[_Union[UsageFigures, _Mapping]]] = ..., timeseries: _Optional[_Iterable[_Union[UsageFigures, _Mapping]]] = ..., **kwargs) -> None: ...

class UsageFigures(_message.Message):
    __slots__ = ("key", "requests", "errors", "cancelled", "error_rate", "input_tokens", "output_tokens", "cached_input_tokens", "total_tokens", "costs", "mean_latency_ms", "latency")
    KEY_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    ERROR_RATE_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COSTS_FIELD_NUMBER: _ClassVar[int]
    MEAN_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    key: str
    requests: int
    errors: int
    cancelled: int
    error_rate: float
    input_tokens: float
    output_tokens: float
    cached_input_tokens: float
    total_tokens: float
    costs: _containers.RepeatedCompositeFieldContainer[UsageCost]
    mean_latency_ms: float
    latency: UsageLatency
    def __init__(self, key: _Optional[str] = ..., requests: _Optional[int] = ..., errors: _Optional[int] = ..., cancelled: _Optional[int] = ..., error_rate: _Optional[float] = ..., input_tokens: _Optional[float] = ..., output_tokens: _Optional[float] = ..., cached_input_tokens: _Optional[float] = ..., total_tokens: _Optional[float] = ..., costs: _Optional[_Iterable[_Union[UsageCost, _Mapping]]] = ..., mean_latency_ms: _Optional[float] = ..., latency: _Optional[_Union[UsageLatency, _Mapping]] = ...) -> None: ...

class UsageCost(_message.Message):
    __slots__ = ("cost", "currency")
    COST_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    cost: float
    currency: str
    def __init__(self, cost: _Optional[float] = ..., currency: _Optional[str] = ...) -> None: ...

class UsageLatency(_message.Message):
    __slots__ = ("p50_ms", "p95_ms", "p99_ms")
    P50_MS_FIELD_NUMBER: _ClassVar[int]
    P95_MS_FIELD_NUMBER: _ClassVar[int]
    P99_MS_FIELD_NUMBER: _ClassVar[int]
    p50_ms: float
    p95_ms: float
    p99_ms: float
    def __init__(self, p50_ms: _Optional[float] = ..., p95_ms: _Optional[float] = ..., p99_ms: _Optional[float] = ...) -> None: ...
