import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portico.common.v1 import access_pb2 as _access_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MemoryRanking(_message.Message):
    __slots__ = ("similarity", "recency", "importance", "access", "half_life_hours")
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    RECENCY_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCE_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    HALF_LIFE_HOURS_FIELD_NUMBER: _ClassVar[int]
    similarity: float
    recency: float
    importance: float
    access: float
    half_life_hours: float
    def __init__(self, similarity: _Optional[float] = ..., recency: _Optional[float] = ..., importance: _Optional[float] = ..., access: _Optional[float] = ..., half_life_hours: _Optional[float] = ...) -> None: ...

class MemoryStoreConfig(_message.Message):
    __slots__ = ("embedding_dimension", "metric", "default_scope", "deduplication", "auto_summarize", "max_memories", "ttl_days", "auto_embed", "default_top_k", "default_min_score", "ranking", "chat_model_key", "extraction")
    EMBEDDING_DIMENSION_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_SCOPE_FIELD_NUMBER: _ClassVar[int]
    DEDUPLICATION_FIELD_NUMBER: _ClassVar[int]
    AUTO_SUMMARIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORIES_FIELD_NUMBER: _ClassVar[int]
    TTL_DAYS_FIELD_NUMBER: _ClassVar[int]
    AUTO_EMBED_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TOP_K_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    RANKING_FIELD_NUMBER: _ClassVar[int]
    CHAT_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    EXTRACTION_FIELD_NUMBER: _ClassVar[int]
    embedding_dimension: int
    metric: str
    default_scope: str
    deduplication: bool
    auto_summarize: bool
    max_memories: int
    ttl_days: float
    auto_embed: bool
    default_top_k: int
    default_min_score: float
    ranking: MemoryRanking
    chat_model_key: str
    extraction: bool
    def __init__(self, embedding_dimension: _Optional[int] = ..., metric: _Optional[str] = ..., default_scope: _Optional[str] = ..., deduplication: _Optional[bool] = ..., auto_summarize: _Optional[bool] = ..., max_memories: _Optional[int] = ..., ttl_days: _Optional[float] = ..., auto_embed: _Optional[bool] = ..., default_top_k: _Optional[int] = ..., default_min_score: _Optional[float] = ..., ranking: _Optional[_Union[MemoryRanking, _Mapping]] = ..., chat_model_key: _Optional[str] = ..., extraction: _Optional[bool] = ...) -> None: ...

class MemoryStore(_message.Message):
    __slots__ = ("id", "record_id", "key", "name", "description", "vector_provider_key", "vector_index_key", "embedding_model_key", "config", "status", "memory_count", "last_activity_at", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VECTOR_PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    VECTOR_INDEX_KEY_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_ACTIVITY_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    key: str
    name: str
    description: str
    vector_provider_key: str
    vector_index_key: str
    embedding_model_key: str
    config: MemoryStoreConfig
    status: str
    memory_count: int
    last_activity_at: _timestamp_pb2.Timestamp
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., vector_provider_key: _Optional[str] = ..., vector_index_key: _Optional[str] = ..., embedding_model_key: _Optional[str] = ..., config: _Optional[_Union[MemoryStoreConfig, _Mapping]] = ..., status: _Optional[str] = ..., memory_count: _Optional[int] = ..., last_activity_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Memory(_message.Message):
    __slots__ = ("id", "record_id", "store_key", "content", "content_hash", "summary", "scope", "scope_id", "metadata", "tags", "source", "importance", "access_count", "last_accessed_at", "embedding_version", "vector_id", "expires_at", "status", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_HASH_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCE_FIELD_NUMBER: _ClassVar[int]
    ACCESS_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_ACCESSED_AT_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_VERSION_FIELD_NUMBER: _ClassVar[int]
    VECTOR_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    store_key: str
    content: str
    content_hash: str
    summary: str
    scope: str
    scope_id: str
    metadata: _struct_pb2.Struct
    tags: _containers.RepeatedScalarFieldContainer[str]
    source: str
    importance: float
    access_count: int
    last_accessed_at: _timestamp_pb2.Timestamp
    embedding_version: int
    vector_id: str
    expires_at: _timestamp_pb2.Timestamp
    status: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., store_key: _Optional[str] = ..., content: _Optional[str] = ..., content_hash: _Optional[str] = ..., summary: _Optional[str] = ..., scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., tags: _Optional[_Iterable[str]] = ..., source: _Optional[str] = ..., importance: _Optional[float] = ..., access_count: _Optional[int] = ..., last_accessed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., embedding_version: _Optional[int] = ..., vector_id: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class MemoryMatch(_message.Message):
    __slots__ = ("id", "content", "score", "similarity", "scope", "scope_id", "metadata", "tags", "source", "importance", "created_at", "summary", "access_count")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    ACCESS_COUNT_FIELD_NUMBER: _ClassVar[int]
    id: str
    content: str
    score: float
    similarity: float
    scope: str
    scope_id: str
    metadata: _struct_pb2.Struct
    tags: _containers.RepeatedScalarFieldContainer[str]
    source: str
    importance: float
    created_at: _timestamp_pb2.Timestamp
    summary: str
    access_count: int
    def __init__(self, id: _Optional[str] = ..., content: _Optional[str] = ..., score: _Optional[float] = ..., similarity: _Optional[float] = ..., scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., tags: _Optional[_Iterable[str]] = ..., source: _Optional[str] = ..., importance: _Optional[float] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., summary: _Optional[str] = ..., access_count: _Optional[int] = ...) -> None: ...

class ListMemoryStoresRequest(_message.Message):
    __slots__ = ("status", "search", "page_size", "page_token")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    status: str
    search: str
    page_size: int
    page_token: str
    def __init__(self, status: _Optional[str] = ..., search: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListMemoryStoresResponse(_message.Message):
    __slots__ = ("stores", "next_page_token")
    STORES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    stores: _containers.RepeatedCompositeFieldContainer[MemoryStore]
    next_page_token: str
    def __init__(self, stores: _Optional[_Iterable[_Union[MemoryStore, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetMemoryStoreRequest(_message.Message):
    __slots__ = ("store_key",)
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    def __init__(self, store_key: _Optional[str] = ...) -> None: ...

class GetMemoryStoreResponse(_message.Message):
    __slots__ = ("store",)
    STORE_FIELD_NUMBER: _ClassVar[int]
    store: MemoryStore
    def __init__(self, store: _Optional[_Union[MemoryStore, _Mapping]] = ...) -> None: ...

class CreateMemoryStoreRequest(_message.Message):
    __slots__ = ("key", "name", "description", "vector_provider_key", "embedding_model_key", "config")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VECTOR_PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    vector_provider_key: str
    embedding_model_key: str
    config: MemoryStoreConfig
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., vector_provider_key: _Optional[str] = ..., embedding_model_key: _Optional[str] = ..., config: _Optional[_Union[MemoryStoreConfig, _Mapping]] = ...) -> None: ...

class CreateMemoryStoreResponse(_message.Message):
    __slots__ = ("store",)
    STORE_FIELD_NUMBER: _ClassVar[int]
    store: MemoryStore
    def __init__(self, store: _Optional[_Union[MemoryStore, _Mapping]] = ...) -> None: ...

class UpdateMemoryStoreRequest(_message.Message):
    __slots__ = ("store_key", "name", "description", "config", "status")
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    name: str
    description: str
    config: MemoryStoreConfig
    status: str
    def __init__(self, store_key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., config: _Optional[_Union[MemoryStoreConfig, _Mapping]] = ..., status: _Optional[str] = ...) -> None: ...

class UpdateMemoryStoreResponse(_message.Message):
    __slots__ = ("store",)
    STORE_FIELD_NUMBER: _ClassVar[int]
    store: MemoryStore
    def __init__(self, store: _Optional[_Union[MemoryStore, _Mapping]] = ...) -> None: ...

class DeleteMemoryStoreRequest(_message.Message):
    __slots__ = ("store_key",)
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    def __init__(self, store_key: _Optional[str] = ...) -> None: ...

class DeleteMemoryStoreResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class NewMemory(_message.Message):
    __slots__ = ("content", "scope", "scope_id", "metadata", "tags", "source", "importance")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCE_FIELD_NUMBER: _ClassVar[int]
    content: str
    scope: str
    scope_id: str
    metadata: _struct_pb2.Struct
    tags: _containers.RepeatedScalarFieldContainer[str]
    source: str
    importance: float
    def __init__(self, content: _Optional[str] = ..., scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., tags: _Optional[_Iterable[str]] = ..., source: _Optional[str] = ..., importance: _Optional[float] = ...) -> None: ...

class AddMemoryRequest(_message.Message):
    __slots__ = ("store_key", "content", "scope", "scope_id", "metadata", "tags", "source", "importance")
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCE_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    content: str
    scope: str
    scope_id: str
    metadata: _struct_pb2.Struct
    tags: _containers.RepeatedScalarFieldContainer[str]
    source: str
    importance: float
    def __init__(self, store_key: _Optional[str] = ..., content: _Optional[str] = ..., scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., tags: _Optional[_Iterable[str]] = ..., source: _Optional[str] = ..., importance: _Optional[float] = ...) -> None: ...

class AddMemoryResponse(_message.Message):
    __slots__ = ("memory", "duplicate")
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    memory: Memory
    duplicate: bool
    def __init__(self, memory: _Optional[_Union[Memory, _Mapping]] = ..., duplicate: _Optional[bool] = ...) -> None: ...

class AddMemoriesRequest(_message.Message):
    __slots__ = ("store_key", "memories")
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    MEMORIES_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    memories: _containers.RepeatedCompositeFieldContainer[NewMemory]
    def __init__(self, store_key: _Optional[str] = ..., memories: _Optional[_Iterable[_Union[NewMemory, _Mapping]]] = ...) -> None: ...

class AddMemoriesResponse(_message.Message):
    __slots__ = ("added", "duplicates")
    ADDED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    added: int
    duplicates: int
    def __init__(self, added: _Optional[int] = ..., duplicates: _Optional[int] = ...) -> None: ...

class ConversationMessage(_message.Message):
    __slots__ = ("role", "content")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    role: str
    content: str
    def __init__(self, role: _Optional[str] = ..., content: _Optional[str] = ...) -> None: ...

class AddConversationRequest(_message.Message):
    __slots__ = ("store_key", "messages", "scope", "scope_id", "tags")
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    messages: _containers.RepeatedCompositeFieldContainer[ConversationMessage]
    scope: str
    scope_id: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, store_key: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[ConversationMessage, _Mapping]]] = ..., scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class AddConversationResponse(_message.Message):
    __slots__ = ("added", "duplicates")
    ADDED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    added: int
    duplicates: int
    def __init__(self, added: _Optional[int] = ..., duplicates: _Optional[int] = ...) -> None: ...

class ListMemoriesRequest(_message.Message):
    __slots__ = ("store_key", "scope", "scope_id", "tags", "status", "search", "limit", "skip", "page_size", "page_token")
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    scope: str
    scope_id: str
    tags: str
    status: str
    search: str
    limit: int
    skip: int
    page_size: int
    page_token: str
    def __init__(self, store_key: _Optional[str] = ..., scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., tags: _Optional[str] = ..., status: _Optional[str] = ..., search: _Optional[str] = ..., limit: _Optional[int] = ..., skip: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListMemoriesResponse(_message.Message):
    __slots__ = ("items", "total", "next_page_token")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Memory]
    total: int
    next_page_token: str
    def __init__(self, items: _Optional[_Iterable[_Union[Memory, _Mapping]]] = ..., total: _Optional[int] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetMemoryRequest(_message.Message):
    __slots__ = ("store_key", "memory_id")
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    MEMORY_ID_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    memory_id: str
    def __init__(self, store_key: _Optional[str] = ..., memory_id: _Optional[str] = ...) -> None: ...

class UpdateMemoryRequest(_message.Message):
    __slots__ = ("store_key", "memory_id", "content", "metadata", "tags", "importance", "status")
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    MEMORY_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    memory_id: str
    content: str
    metadata: _struct_pb2.Struct
    tags: _struct_pb2.ListValue
    importance: float
    status: str
    def __init__(self, store_key: _Optional[str] = ..., memory_id: _Optional[str] = ..., content: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., tags: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ..., importance: _Optional[float] = ..., status: _Optional[str] = ...) -> None: ...

class DeleteMemoryRequest(_message.Message):
    __slots__ = ("store_key", "memory_id")
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    MEMORY_ID_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    memory_id: str
    def __init__(self, store_key: _Optional[str] = ..., memory_id: _Optional[str] = ...) -> None: ...

class DeleteMemoryResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class DeleteMemoriesRequest(_message.Message):
    __slots__ = ("store_key", "scope", "scope_id", "tags", "before", "all")
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    scope: str
    scope_id: str
    tags: str
    before: str
    all: bool
    def __init__(self, store_key: _Optional[str] = ..., scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., tags: _Optional[str] = ..., before: _Optional[str] = ..., all: _Optional[bool] = ...) -> None: ...

class DeleteMemoriesResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...

class SearchMemoriesRequest(_message.Message):
    __slots__ = ("store_key", "query", "top_k", "scope", "scope_id", "tags", "min_score")
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    query: str
    top_k: int
    scope: str
    scope_id: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    min_score: float
    def __init__(self, store_key: _Optional[str] = ..., query: _Optional[str] = ..., top_k: _Optional[int] = ..., scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., min_score: _Optional[float] = ...) -> None: ...

class SearchMemoriesResponse(_message.Message):
    __slots__ = ("memories", "query", "store_key")
    MEMORIES_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    memories: _containers.RepeatedCompositeFieldContainer[MemoryMatch]
    query: str
    store_key: str
    def __init__(self, memories: _Optional[_Iterable[_Union[MemoryMatch, _Mapping]]] = ..., query: _Optional[str] = ..., store_key: _Optional[str] = ...) -> None: ...

class RecallMemoriesRequest(_message.Message):
    __slots__ = ("store_key", "query", "top_k", "scope", "scope_id", "max_tokens", "tags", "min_score")
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    store_key: str
    query: str
    top_k: int
    scope: str
    scope_id: str
    max_tokens: int
    tags: _containers.RepeatedScalarFieldContainer[str]
    min_score: float
    def __init__(self, store_key: _Optional[str] = ..., query: _Optional[str] = ..., top_k: _Optional[int] = ..., scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., max_tokens: _Optional[int] = ..., tags: _Optional[_Iterable[str]] = ..., min_score: _Optional[float] = ...) -> None: ...

class RecallMemoriesResponse(_message.Message):
    __slots__ = ("context", "memories", "store_key", "tokens")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    MEMORIES_FIELD_NUMBER: _ClassVar[int]
    STORE_KEY_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    context: str
    memories: _containers.RepeatedCompositeFieldContainer[MemoryMatch]
    store_key: str
    tokens: int
    def __init__(self, context: _Optional[str] = ..., memories: _Optional[_Iterable[_Union[MemoryMatch, _Mapping]]] = ..., store_key: _Optional[str] = ..., tokens: _Optional[int] = ...) -> None: ...
