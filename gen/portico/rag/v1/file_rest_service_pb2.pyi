from google.api import annotations_pb2 as _annotations_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from portico.common.v1 import access_pb2 as _access_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ListObjectsRequest(_message.Message):
    __slots__ = ("bucket_key", "search", "limit", "cursor", "page_size", "page_token")
    BUCKET_KEY_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bucket_key: str
    search: str
    limit: int
    cursor: str
    page_size: int
    page_token: str
    def __init__(self, bucket_key: _Optional[str] = ..., search: _Optional[str] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GetObjectRequest(_message.Message):
    __slots__ = ("bucket_key", "object_key")
    BUCKET_KEY_FIELD_NUMBER: _ClassVar[int]
    OBJECT_KEY_FIELD_NUMBER: _ClassVar[int]
    bucket_key: str
    object_key: str
    def __init__(self, bucket_key: _Optional[str] = ..., object_key: _Optional[str] = ...) -> None: ...

class ConvertObjectRequest(_message.Message):
    __slots__ = ("bucket_key", "object_key")
    BUCKET_KEY_FIELD_NUMBER: _ClassVar[int]
    OBJECT_KEY_FIELD_NUMBER: _ClassVar[int]
    bucket_key: str
    object_key: str
    def __init__(self, bucket_key: _Optional[str] = ..., object_key: _Optional[str] = ...) -> None: ...
