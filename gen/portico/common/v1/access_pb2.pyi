from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_FORMAT_UNSPECIFIED: _ClassVar[ErrorFormat]
    ERROR_FORMAT_OPENAI: _ClassVar[ErrorFormat]
    ERROR_FORMAT_ANTHROPIC: _ClassVar[ErrorFormat]
    ERROR_FORMAT_GRPC: _ClassVar[ErrorFormat]
ERROR_FORMAT_UNSPECIFIED: ErrorFormat
ERROR_FORMAT_OPENAI: ErrorFormat
ERROR_FORMAT_ANTHROPIC: ErrorFormat
ERROR_FORMAT_GRPC: ErrorFormat
ACCESS_FIELD_NUMBER: _ClassVar[int]
access: _descriptor.FieldDescriptor
HTTP_SUCCESS_FIELD_NUMBER: _ClassVar[int]
http_success: _descriptor.FieldDescriptor
AUDIT_FIELD_NUMBER: _ClassVar[int]
audit: _descriptor.FieldDescriptor
MAX_REQUEST_BYTES_FIELD_NUMBER: _ClassVar[int]
max_request_bytes: _descriptor.FieldDescriptor
MAX_REQUEST_FIELDS_FIELD_NUMBER: _ClassVar[int]
max_request_fields: _descriptor.FieldDescriptor
ERROR_FORMAT_FIELD_NUMBER: _ClassVar[int]
error_format: _descriptor.FieldDescriptor
FEATURE_FIELD_NUMBER: _ClassVar[int]
feature: _descriptor.FieldDescriptor
QUOTA_DOMAIN_FIELD_NUMBER: _ClassVar[int]
quota_domain: _descriptor.FieldDescriptor
SERVICE_FEATURE_FIELD_NUMBER: _ClassVar[int]
service_feature: _descriptor.FieldDescriptor
SERVICE_QUOTA_DOMAIN_FIELD_NUMBER: _ClassVar[int]
service_quota_domain: _descriptor.FieldDescriptor

class Access(_message.Message):
    __slots__ = ("public", "signed_in", "scope", "internal")
    PUBLIC_FIELD_NUMBER: _ClassVar[int]
    SIGNED_IN_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    INTERNAL_FIELD_NUMBER: _ClassVar[int]
    public: bool
    signed_in: bool
    scope: str
    internal: bool
    def __init__(self, public: _Optional[bool] = ..., signed_in: _Optional[bool] = ..., scope: _Optional[str] = ..., internal: _Optional[bool] = ...) -> None: ...

class Audit(_message.Message):
    __slots__ = ("action", "resource_type", "resource", "result", "batched", "none")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    BATCHED_FIELD_NUMBER: _ClassVar[int]
    NONE_FIELD_NUMBER: _ClassVar[int]
    action: str
    resource_type: str
    resource: str
    result: str
    batched: bool
    none: str
    def __init__(self, action: _Optional[str] = ..., resource_type: _Optional[str] = ..., resource: _Optional[str] = ..., result: _Optional[str] = ..., batched: _Optional[bool] = ..., none: _Optional[str] = ...) -> None: ...
