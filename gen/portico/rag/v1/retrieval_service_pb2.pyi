import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portico.common.v1 import access_pb2 as _access_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QueryModuleRequest(_message.Message):
    __slots__ = ("module_key", "body")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    body: _httpbody_pb2.HttpBody
    def __init__(self, module_key: _Optional[str] = ..., body: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class AnswerQuestionRequest(_message.Message):
    __slots__ = ("module_key", "body")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    body: _httpbody_pb2.HttpBody
    def __init__(self, module_key: _Optional[str] = ..., body: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class ListModuleQueriesRequest(_message.Message):
    __slots__ = ("module_key", "page_size", "page_token")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    page_size: int
    page_token: str
    def __init__(self, module_key: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModuleQueriesResponse(_message.Message):
    __slots__ = ("queries", "next_page_token")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[ModuleQuery]
    next_page_token: str
    def __init__(self, queries: _Optional[_Iterable[_Union[ModuleQuery, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ModuleQuery(_message.Message):
    __slots__ = ("id", "created_at", "request_id", "token_id", "kind", "query", "top_k", "match_count", "pre_filter_match_count", "top_score", "avg_score", "min_score_applied", "hybrid", "reranked", "latency_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MATCH_COUNT_FIELD_NUMBER: _ClassVar[int]
    PRE_FILTER_MATCH_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOP_SCORE_FIELD_NUMBER: _ClassVar[int]
    AVG_SCORE_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_APPLIED_FIELD_NUMBER: _ClassVar[int]
    HYBRID_FIELD_NUMBER: _ClassVar[int]
    RERANKED_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    created_at: _timestamp_pb2.Timestamp
    request_id: str
    token_id: str
    kind: str
    query: str
    top_k: int
    match_count: int
    pre_filter_match_count: int
    top_score: float
    avg_score: float
    min_score_applied: float
    hybrid: bool
    reranked: bool
    latency_ms: float
    def __init__(self, id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_id: _Optional[str] = ..., token_id: _Optional[str] = ..., kind: _Optional[str] = ..., query: _Optional[str] = ..., top_k: _Optional[int] = ..., match_count: _Optional[int] = ..., pre_filter_match_count: _Optional[int] = ..., top_score: _Optional[float] = ..., avg_score: _Optional[float] = ..., min_score_applied: _Optional[float] = ..., hybrid: _Optional[bool] = ..., reranked: _Optional[bool] = ..., latency_ms: _Optional[float] = ...) -> None: ...

class GetModuleQueryStatsRequest(_message.Message):
    __slots__ = ("module_key", "days")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    days: int
    def __init__(self, module_key: _Optional[str] = ..., days: _Optional[int] = ...) -> None: ...

class GetModuleQueryStatsResponse(_message.Message):
    __slots__ = ("queries", "zero_hit_rate", "avg_latency_ms", "p95_latency_ms", "avg_top_score", "scores", "by_day")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    ZERO_HIT_RATE_FIELD_NUMBER: _ClassVar[int]
    AVG_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    P95_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    AVG_TOP_SCORE_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    BY_DAY_FIELD_NUMBER: _ClassVar[int]
    queries: int
    zero_hit_rate: float
    avg_latency_ms: float
    p95_latency_ms: float
    avg_top_score: float
    scores: _containers.RepeatedCompositeFieldContainer[ScoreBand]
    by_day: _containers.RepeatedCompositeFieldContainer[QueryDay]
    def __init__(self, queries: _Optional[int] = ..., zero_hit_rate: _Optional[float] = ..., avg_latency_ms: _Optional[float] = ..., p95_latency_ms: _Optional[float] = ..., avg_top_score: _Optional[float] = ..., scores: _Optional[_Iterable[_Union[ScoreBand, _Mapping]]] = ..., by_day: _Optional[_Iterable[_Union[QueryDay, _Mapping]]] = ...) -> None: ...

class ScoreBand(_message.Message):
    __slots__ = ("to", "queries")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    to: float
    queries: int
    def __init__(self, to: _Optional[float] = ..., queries: _Optional[int] = ..., **kwargs) -> None: ...

class QueryDay(_message.Message):
    __slots__ = ("day", "queries", "zero_hits", "avg_latency_ms")
    DAY_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    ZERO_HITS_FIELD_NUMBER: _ClassVar[int]
    AVG_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    day: str
    queries: int
    zero_hits: int
    avg_latency_ms: float
    def __init__(self, day: _Optional[str] = ..., queries: _Optional[int] = ..., zero_hits: _Optional[int] = ..., avg_latency_ms: _Optional[float] = ...) -> None: ...
