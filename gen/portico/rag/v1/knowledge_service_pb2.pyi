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

class Module(_message.Message):
    __slots__ = ("id", "record_id", "key", "name", "description", "embedding_model_key", "vector_provider_key", "vector_index_key", "dimension", "chunk_config", "file_bucket_key", "file_provider_key", "status", "reranker_key", "reranker_oversample", "default_top_k", "default_min_score", "default_filter", "filterable_fields", "response_detail", "hybrid", "isolate_by_module", "metadata", "document_count", "chunk_count", "total_documents", "total_chunks", "reindex", "created_by", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    VECTOR_PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    VECTOR_INDEX_KEY_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    CHUNK_CONFIG_FIELD_NUMBER: _ClassVar[int]
    FILE_BUCKET_KEY_FIELD_NUMBER: _ClassVar[int]
    FILE_PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RERANKER_KEY_FIELD_NUMBER: _ClassVar[int]
    RERANKER_OVERSAMPLE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TOP_K_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTERABLE_FIELDS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_DETAIL_FIELD_NUMBER: _ClassVar[int]
    HYBRID_FIELD_NUMBER: _ClassVar[int]
    ISOLATE_BY_MODULE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    REINDEX_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    key: str
    name: str
    description: str
    embedding_model_key: str
    vector_provider_key: str
    vector_index_key: str
    dimension: int
    chunk_config: ChunkConfig
    file_bucket_key: str
    file_provider_key: str
    status: str
    reranker_key: str
    reranker_oversample: int
    default_top_k: int
    default_min_score: float
    default_filter: _struct_pb2.Struct
    filterable_fields: _containers.RepeatedScalarFieldContainer[str]
    response_detail: str
    hybrid: HybridConfig
    isolate_by_module: bool
    metadata: _struct_pb2.Struct
    document_count: int
    chunk_count: int
    total_documents: int
    total_chunks: int
    reindex: Reindex
    created_by: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., embedding_model_key: _Optional[str] = ..., vector_provider_key: _Optional[str] = ..., vector_index_key: _Optional[str] = ..., dimension: _Optional[int] = ..., chunk_config: _Optional[_Union[ChunkConfig, _Mapping]] = ..., file_bucket_key: _Optional[str] = ..., file_provider_key: _Optional[str] = ..., status: _Optional[str] = ..., reranker_key: _Optional[str] = ..., reranker_oversample: _Optional[int] = ..., default_top_k: _Optional[int] = ..., default_min_score: _Optional[float] = ..., default_filter: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., filterable_fields: _Optional[_Iterable[str]] = ..., response_detail: _Optional[str] = ..., hybrid: _Optional[_Union[HybridConfig, _Mapping]] = ..., isolate_by_module: _Optional[bool] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., document_count: _Optional[int] = ..., chunk_count: _Optional[int] = ..., total_documents: _Optional[int] = ..., total_chunks: _Optional[int] = ..., reindex: _Optional[_Union[Reindex, _Mapping]] = ..., created_by: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ChunkConfig(_message.Message):
    __slots__ = ("strategy", "chunk_size", "chunk_overlap", "separators", "encoding", "semantic_threshold", "parent_window_size", "contextual_header")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    CHUNK_SIZE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_OVERLAP_FIELD_NUMBER: _ClassVar[int]
    SEPARATORS_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    PARENT_WINDOW_SIZE_FIELD_NUMBER: _ClassVar[int]
    CONTEXTUAL_HEADER_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    chunk_size: int
    chunk_overlap: int
    separators: _containers.RepeatedScalarFieldContainer[str]
    encoding: str
    semantic_threshold: float
    parent_window_size: int
    contextual_header: ContextualHeader
    def __init__(self, strategy: _Optional[str] = ..., chunk_size: _Optional[int] = ..., chunk_overlap: _Optional[int] = ..., separators: _Optional[_Iterable[str]] = ..., encoding: _Optional[str] = ..., semantic_threshold: _Optional[float] = ..., parent_window_size: _Optional[int] = ..., contextual_header: _Optional[_Union[ContextualHeader, _Mapping]] = ...) -> None: ...

class ContextualHeader(_message.Message):
    __slots__ = ("enabled", "model_key", "max_document_chars")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    MAX_DOCUMENT_CHARS_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    model_key: str
    max_document_chars: int
    def __init__(self, enabled: _Optional[bool] = ..., model_key: _Optional[str] = ..., max_document_chars: _Optional[int] = ...) -> None: ...

class HybridConfig(_message.Message):
    __slots__ = ("enabled", "mode", "alpha", "k")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    mode: str
    alpha: float
    k: int
    def __init__(self, enabled: _Optional[bool] = ..., mode: _Optional[str] = ..., alpha: _Optional[float] = ..., k: _Optional[int] = ...) -> None: ...

class Document(_message.Message):
    __slots__ = ("id", "record_id", "rag_module_key", "file_name", "content_type", "size", "status", "chunk_count", "error_message", "last_indexed_at", "chunk_config", "source_hash", "file_bucket_key", "file_key", "metadata", "text_length", "progress", "created_by", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    RAG_MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LAST_INDEXED_AT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_CONFIG_FIELD_NUMBER: _ClassVar[int]
    SOURCE_HASH_FIELD_NUMBER: _ClassVar[int]
    FILE_BUCKET_KEY_FIELD_NUMBER: _ClassVar[int]
    FILE_KEY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TEXT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    rag_module_key: str
    file_name: str
    content_type: str
    size: float
    status: str
    chunk_count: int
    error_message: str
    last_indexed_at: _timestamp_pb2.Timestamp
    chunk_config: ChunkConfig
    source_hash: str
    file_bucket_key: str
    file_key: str
    metadata: _struct_pb2.Struct
    text_length: int
    progress: float
    created_by: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., rag_module_key: _Optional[str] = ..., file_name: _Optional[str] = ..., content_type: _Optional[str] = ..., size: _Optional[float] = ..., status: _Optional[str] = ..., chunk_count: _Optional[int] = ..., error_message: _Optional[str] = ..., last_indexed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., chunk_config: _Optional[_Union[ChunkConfig, _Mapping]] = ..., source_hash: _Optional[str] = ..., file_bucket_key: _Optional[str] = ..., file_key: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., text_length: _Optional[int] = ..., progress: _Optional[float] = ..., created_by: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("id", "chunk_index", "content", "char_start", "char_end", "heading_path", "token_count", "header")
    ID_FIELD_NUMBER: _ClassVar[int]
    CHUNK_INDEX_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CHAR_START_FIELD_NUMBER: _ClassVar[int]
    CHAR_END_FIELD_NUMBER: _ClassVar[int]
    HEADING_PATH_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    id: str
    chunk_index: int
    content: str
    char_start: int
    char_end: int
    heading_path: _containers.RepeatedScalarFieldContainer[str]
    token_count: int
    header: str
    def __init__(self, id: _Optional[str] = ..., chunk_index: _Optional[int] = ..., content: _Optional[str] = ..., char_start: _Optional[int] = ..., char_end: _Optional[int] = ..., heading_path: _Optional[_Iterable[str]] = ..., token_count: _Optional[int] = ..., header: _Optional[str] = ...) -> None: ...

class Reindex(_message.Message):
    __slots__ = ("id", "status", "reason", "embedding_model_key", "chunk_config", "documents_done", "documents_total", "attempts", "error_message", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    CHUNK_CONFIG_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_DONE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: str
    reason: str
    embedding_model_key: str
    chunk_config: ChunkConfig
    documents_done: int
    documents_total: int
    attempts: int
    error_message: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., embedding_model_key: _Optional[str] = ..., chunk_config: _Optional[_Union[ChunkConfig, _Mapping]] = ..., documents_done: _Optional[int] = ..., documents_total: _Optional[int] = ..., attempts: _Optional[int] = ..., error_message: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListModulesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModulesResponse(_message.Message):
    __slots__ = ("modules", "next_page_token")
    MODULES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    modules: _containers.RepeatedCompositeFieldContainer[Module]
    next_page_token: str
    def __init__(self, modules: _Optional[_Iterable[_Union[Module, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetModuleRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class GetModuleResponse(_message.Message):
    __slots__ = ("module",)
    MODULE_FIELD_NUMBER: _ClassVar[int]
    module: Module
    def __init__(self, module: _Optional[_Union[Module, _Mapping]] = ...) -> None: ...

class CreateModuleRequest(_message.Message):
    __slots__ = ("key", "name", "description", "embedding_model_key", "vector_provider_key", "vector_index_key", "chunk_config", "file_bucket_key", "status", "reranker_key", "reranker_oversample", "default_top_k", "default_min_score", "default_filter", "filterable_fields", "response_detail", "hybrid", "isolate_by_module", "metadata")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    VECTOR_PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    VECTOR_INDEX_KEY_FIELD_NUMBER: _ClassVar[int]
    CHUNK_CONFIG_FIELD_NUMBER: _ClassVar[int]
    FILE_BUCKET_KEY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RERANKER_KEY_FIELD_NUMBER: _ClassVar[int]
    RERANKER_OVERSAMPLE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TOP_K_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTERABLE_FIELDS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_DETAIL_FIELD_NUMBER: _ClassVar[int]
    HYBRID_FIELD_NUMBER: _ClassVar[int]
    ISOLATE_BY_MODULE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    embedding_model_key: str
    vector_provider_key: str
    vector_index_key: str
    chunk_config: ChunkConfig
    file_bucket_key: str
    status: str
    reranker_key: str
    reranker_oversample: int
    default_top_k: int
    default_min_score: float
    default_filter: _struct_pb2.Struct
    filterable_fields: _containers.RepeatedScalarFieldContainer[str]
    response_detail: str
    hybrid: HybridConfig
    isolate_by_module: bool
    metadata: _struct_pb2.Struct
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., embedding_model_key: _Optional[str] = ..., vector_provider_key: _Optional[str] = ..., vector_index_key: _Optional[str] = ..., chunk_config: _Optional[_Union[ChunkConfig, _Mapping]] = ..., file_bucket_key: _Optional[str] = ..., status: _Optional[str] = ..., reranker_key: _Optional[str] = ..., reranker_oversample: _Optional[int] = ..., default_top_k: _Optional[int] = ..., default_min_score: _Optional[float] = ..., default_filter: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., filterable_fields: _Optional[_Iterable[str]] = ..., response_detail: _Optional[str] = ..., hybrid: _Optional[_Union[HybridConfig, _Mapping]] = ..., isolate_by_module: _Optional[bool] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class CreateModuleResponse(_message.Message):
    __slots__ = ("module",)
    MODULE_FIELD_NUMBER: _ClassVar[int]
    module: Module
    def __init__(self, module: _Optional[_Union[Module, _Mapping]] = ...) -> None: ...

class UpdateModuleRequest(_message.Message):
    __slots__ = ("key", "name", "description", "embedding_model_key", "chunk_config", "status", "reranker_key", "reranker_oversample", "default_top_k", "default_min_score", "default_filter", "filterable_fields", "response_detail", "hybrid", "isolate_by_module", "metadata", "file_bucket_key")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    CHUNK_CONFIG_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RERANKER_KEY_FIELD_NUMBER: _ClassVar[int]
    RERANKER_OVERSAMPLE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TOP_K_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTERABLE_FIELDS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_DETAIL_FIELD_NUMBER: _ClassVar[int]
    HYBRID_FIELD_NUMBER: _ClassVar[int]
    ISOLATE_BY_MODULE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    FILE_BUCKET_KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    embedding_model_key: str
    chunk_config: ChunkConfig
    status: str
    reranker_key: str
    reranker_oversample: int
    default_top_k: int
    default_min_score: float
    default_filter: _struct_pb2.Struct
    filterable_fields: _struct_pb2.ListValue
    response_detail: str
    hybrid: HybridConfig
    isolate_by_module: bool
    metadata: _struct_pb2.Struct
    file_bucket_key: str
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., embedding_model_key: _Optional[str] = ..., chunk_config: _Optional[_Union[ChunkConfig, _Mapping]] = ..., status: _Optional[str] = ..., reranker_key: _Optional[str] = ..., reranker_oversample: _Optional[int] = ..., default_top_k: _Optional[int] = ..., default_min_score: _Optional[float] = ..., default_filter: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., filterable_fields: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ..., response_detail: _Optional[str] = ..., hybrid: _Optional[_Union[HybridConfig, _Mapping]] = ..., isolate_by_module: _Optional[bool] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., file_bucket_key: _Optional[str] = ...) -> None: ...

class UpdateModuleResponse(_message.Message):
    __slots__ = ("module",)
    MODULE_FIELD_NUMBER: _ClassVar[int]
    module: Module
    def __init__(self, module: _Optional[_Union[Module, _Mapping]] = ...) -> None: ...

class DeleteModuleRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class DeleteModuleResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class IngestDocumentRequest(_message.Message):
    __slots__ = ("module_key", "body")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    body: _httpbody_pb2.HttpBody
    def __init__(self, module_key: _Optional[str] = ..., body: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class ListDocumentsRequest(_message.Message):
    __slots__ = ("module_key", "status", "limit", "page_size", "page_token")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    status: str
    limit: int
    page_size: int
    page_token: str
    def __init__(self, module_key: _Optional[str] = ..., status: _Optional[str] = ..., limit: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDocumentsResponse(_message.Message):
    __slots__ = ("documents", "next_page_token")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[Document]
    next_page_token: str
    def __init__(self, documents: _Optional[_Iterable[_Union[Document, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetDocumentRequest(_message.Message):
    __slots__ = ("module_key", "document_id")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    document_id: str
    def __init__(self, module_key: _Optional[str] = ..., document_id: _Optional[str] = ...) -> None: ...

class GetDocumentResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: Document
    def __init__(self, document: _Optional[_Union[Document, _Mapping]] = ...) -> None: ...

class ReingestDocumentRequest(_message.Message):
    __slots__ = ("module_key", "document_id", "body")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    document_id: str
    body: _httpbody_pb2.HttpBody
    def __init__(self, module_key: _Optional[str] = ..., document_id: _Optional[str] = ..., body: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class DeleteDocumentRequest(_message.Message):
    __slots__ = ("module_key", "document_id")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    document_id: str
    def __init__(self, module_key: _Optional[str] = ..., document_id: _Optional[str] = ...) -> None: ...

class DeleteDocumentResponse(_message.Message):
    __slots__ = ("success", "deleted_chunks")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    DELETED_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    deleted_chunks: int
    def __init__(self, success: _Optional[bool] = ..., deleted_chunks: _Optional[int] = ...) -> None: ...

class ListChunksRequest(_message.Message):
    __slots__ = ("module_key", "document_id", "page_size", "page_token")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    document_id: str
    page_size: int
    page_token: str
    def __init__(self, module_key: _Optional[str] = ..., document_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListChunksResponse(_message.Message):
    __slots__ = ("chunks", "next_page_token")
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedCompositeFieldContainer[Chunk]
    next_page_token: str
    def __init__(self, chunks: _Optional[_Iterable[_Union[Chunk, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateReindexRequest(_message.Message):
    __slots__ = ("module_key", "embedding_model_key", "chunk_config")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    CHUNK_CONFIG_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    embedding_model_key: str
    chunk_config: ChunkConfig
    def __init__(self, module_key: _Optional[str] = ..., embedding_model_key: _Optional[str] = ..., chunk_config: _Optional[_Union[ChunkConfig, _Mapping]] = ...) -> None: ...

class CreateReindexResponse(_message.Message):
    __slots__ = ("reindex",)
    REINDEX_FIELD_NUMBER: _ClassVar[int]
    reindex: Reindex
    def __init__(self, reindex: _Optional[_Union[Reindex, _Mapping]] = ...) -> None: ...

class ListReindexesRequest(_message.Message):
    __slots__ = ("module_key", "page_size", "page_token")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    page_size: int
    page_token: str
    def __init__(self, module_key: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListReindexesResponse(_message.Message):
    __slots__ = ("reindexes", "next_page_token")
    REINDEXES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    reindexes: _containers.RepeatedCompositeFieldContainer[Reindex]
    next_page_token: str
    def __init__(self, reindexes: _Optional[_Iterable[_Union[Reindex, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetReindexRequest(_message.Message):
    __slots__ = ("module_key", "id")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    id: str
    def __init__(self, module_key: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class GetReindexResponse(_message.Message):
    __slots__ = ("reindex",)
    REINDEX_FIELD_NUMBER: _ClassVar[int]
    reindex: Reindex
    def __init__(self, reindex: _Optional[_Union[Reindex, _Mapping]] = ...) -> None: ...

class CancelReindexRequest(_message.Message):
    __slots__ = ("module_key", "id")
    MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    module_key: str
    id: str
    def __init__(self, module_key: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class CancelReindexResponse(_message.Message):
    __slots__ = ("reindex",)
    REINDEX_FIELD_NUMBER: _ClassVar[int]
    reindex: Reindex
    def __init__(self, reindex: _Optional[_Union[Reindex, _Mapping]] = ...) -> None: ...
