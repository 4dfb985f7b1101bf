import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portico.common.v1 import access_pb2 as _access_pb2
from portico.vector.v1 import provider_service_pb2 as _provider_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Index(_message.Message):
    __slots__ = ("id", "record_id", "key", "index_id", "name", "dimension", "metric", "provider_key", "hybrid", "metadata", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    INDEX_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    HYBRID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    key: str
    index_id: str
    name: str
    dimension: int
    metric: str
    provider_key: str
    hybrid: bool
    metadata: _struct_pb2.Struct
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., key: _Optional[str] = ..., index_id: _Optional[str] = ..., name: _Optional[str] = ..., dimension: _Optional[int] = ..., metric: _Optional[str] = ..., provider_key: _Optional[str] = ..., hybrid: _Optional[bool] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListIndexesRequest(_message.Message):
    __slots__ = ("provider_key", "page_size", "page_token")
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    provider_key: str
    page_size: int
    page_token: str
    def __init__(self, provider_key: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListIndexesResponse(_message.Message):
    __slots__ = ("indexes", "next_page_token")
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    indexes: _containers.RepeatedCompositeFieldContainer[Index]
    next_page_token: str
    def __init__(self, indexes: _Optional[_Iterable[_Union[Index, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetIndexRequest(_message.Message):
    __slots__ = ("provider_key", "index_id")
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    INDEX_ID_FIELD_NUMBER: _ClassVar[int]
    provider_key: str
    index_id: str
    def __init__(self, provider_key: _Optional[str] = ..., index_id: _Optional[str] = ...) -> None: ...

class GetIndexResponse(_message.Message):
    __slots__ = ("index", "provider")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    index: Index
    provider: _provider_service_pb2.Provider
    def __init__(self, index: _Optional[_Union[Index, _Mapping]] = ..., provider: _Optional[_Union[_provider_service_pb2.Provider, _Mapping]] = ...) -> None: ...

class CreateIndexRequest(_message.Message):
    __slots__ = ("provider_key", "name", "dimension", "metric", "hybrid", "metadata")
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    HYBRID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    provider_key: str
    name: str
    dimension: int
    metric: str
    hybrid: bool
    metadata: _struct_pb2.Struct
    def __init__(self, provider_key: _Optional[str] = ..., name: _Optional[str] = ..., dimension: _Optional[int] = ..., metric: _Optional[str] = ..., hybrid: _Optional[bool] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class CreateIndexResponse(_message.Message):
    __slots__ = ("index", "reused")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REUSED_FIELD_NUMBER: _ClassVar[int]
    index: Index
    reused: bool
    def __init__(self, index: _Optional[_Union[Index, _Mapping]] = ..., reused: _Optional[bool] = ...) -> None: ...

class UpdateIndexRequest(_message.Message):
    __slots__ = ("provider_key", "index_id", "name", "metadata")
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    INDEX_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    provider_key: str
    index_id: str
    name: str
    metadata: _struct_pb2.Struct
    def __init__(self, provider_key: _Optional[str] = ..., index_id: _Optional[str] = ..., name: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class UpdateIndexResponse(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: Index
    def __init__(self, index: _Optional[_Union[Index, _Mapping]] = ...) -> None: ...

class DeleteIndexRequest(_message.Message):
    __slots__ = ("provider_key", "index_id")
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    INDEX_ID_FIELD_NUMBER: _ClassVar[int]
    provider_key: str
    index_id: str
    def __init__(self, provider_key: _Optional[str] = ..., index_id: _Optional[str] = ...) -> None: ...

class DeleteIndexResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class GetIndexStatsRequest(_message.Message):
    __slots__ = ("provider_key", "index_id", "hours")
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    INDEX_ID_FIELD_NUMBER: _ClassVar[int]
    HOURS_FIELD_NUMBER: _ClassVar[int]
    provider_key: str
    index_id: str
    hours: int
    def __init__(self, provider_key: _Optional[str] = ..., index_id: _Optional[str] = ..., hours: _Optional[int] = ...) -> None: ...

class GetIndexStatsResponse(_message.Message):
    __slots__ = ("vectors", "queries", "filtered_queries", "mean_latency_ms", "mean_top_score")
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    FILTERED_QUERIES_FIELD_NUMBER: _ClassVar[int]
    MEAN_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    MEAN_TOP_SCORE_FIELD_NUMBER: _ClassVar[int]
    vectors: int
    queries: int
    filtered_queries: int
    mean_latency_ms: float
    mean_top_score: float
    def __init__(self, vectors: _Optional[int] = ..., queries: _Optional[int] = ..., filtered_queries: _Optional[int] = ..., mean_latency_ms: _Optional[float] = ..., mean_top_score: _Optional[float] = ...) -> None: ...

class QueryLog(_message.Message):
    __slots__ = ("id", "created_at", "request_id", "token_id", "top_k", "match_count", "latency_ms", "top_score", "filtered", "hybrid")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MATCH_COUNT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    TOP_SCORE_FIELD_NUMBER: _ClassVar[int]
    FILTERED_FIELD_NUMBER: _ClassVar[int]
    HYBRID_FIELD_NUMBER: _ClassVar[int]
    id: str
    created_at: _timestamp_pb2.Timestamp
    request_id: str
    token_id: str
    top_k: int
    match_count: int
    latency_ms: float
    top_score: float
    filtered: bool
    hybrid: bool
    def __init__(self, id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_id: _Optional[str] = ..., token_id: _Optional[str] = ..., top_k: _Optional[int] = ..., match_count: _Optional[int] = ..., latency_ms: _Optional[float] = ..., top_score: _Optional[float] = ..., filtered: _Optional[bool] = ..., hybrid: _Optional[bool] = ...) -> None: ...

class ListQueryLogsRequest(_message.Message):
    __slots__ = ("provider_key", "index_id", "page_size", "page_token")
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    INDEX_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    provider_key: str
    index_id: str
    page_size: int
    page_token: str
    def __init__(self, provider_key: _Optional[str] = ..., index_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListQueryLogsResponse(_message.Message):
    __slots__ = ("queries", "next_page_token")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[QueryLog]
    next_page_token: str
    def __init__(self, queries: _Optional[_Iterable[_Union[QueryLog, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
