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

class RerankerConfig(_message.Message):
    __slots__ = ("top_n", "score_threshold", "batch_size", "temperature", "prompt_template", "lexical_weight")
    TOP_N_FIELD_NUMBER: _ClassVar[int]
    SCORE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    LEXICAL_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    top_n: int
    score_threshold: float
    batch_size: int
    temperature: float
    prompt_template: str
    lexical_weight: float
    def __init__(self, top_n: _Optional[int] = ..., score_threshold: _Optional[float] = ..., batch_size: _Optional[int] = ..., temperature: _Optional[float] = ..., prompt_template: _Optional[str] = ..., lexical_weight: _Optional[float] = ...) -> None: ...

class Reranker(_message.Message):
    __slots__ = ("id", "record_id", "key", "name", "description", "strategy", "model_key", "status", "config", "metadata", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    key: str
    name: str
    description: str
    strategy: str
    model_key: str
    status: str
    config: RerankerConfig
    metadata: _struct_pb2.Struct
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., strategy: _Optional[str] = ..., model_key: _Optional[str] = ..., status: _Optional[str] = ..., config: _Optional[_Union[RerankerConfig, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListRerankersRequest(_message.Message):
    __slots__ = ("strategy", "status", "page_size", "page_token")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    status: str
    page_size: int
    page_token: str
    def __init__(self, strategy: _Optional[str] = ..., status: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRerankersResponse(_message.Message):
    __slots__ = ("rerankers", "next_page_token")
    RERANKERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    rerankers: _containers.RepeatedCompositeFieldContainer[Reranker]
    next_page_token: str
    def __init__(self, rerankers: _Optional[_Iterable[_Union[Reranker, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetRerankerRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class GetRerankerResponse(_message.Message):
    __slots__ = ("reranker",)
    RERANKER_FIELD_NUMBER: _ClassVar[int]
    reranker: Reranker
    def __init__(self, reranker: _Optional[_Union[Reranker, _Mapping]] = ...) -> None: ...

class CreateRerankerRequest(_message.Message):
    __slots__ = ("key", "name", "description", "strategy", "model_key", "status", "config", "metadata")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    strategy: str
    model_key: str
    status: str
    config: RerankerConfig
    metadata: _struct_pb2.Struct
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., strategy: _Optional[str] = ..., model_key: _Optional[str] = ..., status: _Optional[str] = ..., config: _Optional[_Union[RerankerConfig, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class CreateRerankerResponse(_message.Message):
    __slots__ = ("reranker",)
    RERANKER_FIELD_NUMBER: _ClassVar[int]
    reranker: Reranker
    def __init__(self, reranker: _Optional[_Union[Reranker, _Mapping]] = ...) -> None: ...

class UpdateRerankerRequest(_message.Message):
    __slots__ = ("key", "name", "description", "strategy", "model_key", "status", "config", "metadata")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    strategy: str
    model_key: str
    status: str
    config: RerankerConfig
    metadata: _struct_pb2.Struct
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., strategy: _Optional[str] = ..., model_key: _Optional[str] = ..., status: _Optional[str] = ..., config: _Optional[_Union[RerankerConfig, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class UpdateRerankerResponse(_message.Message):
    __slots__ = ("reranker",)
    RERANKER_FIELD_NUMBER: _ClassVar[int]
    reranker: Reranker
    def __init__(self, reranker: _Optional[_Union[Reranker, _Mapping]] = ...) -> None: ...

class DeleteRerankerRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class DeleteRerankerResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...
