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

class PiiPolicy(_message.Message):
    __slots__ = ("id", "record_id", "key", "name", "description", "default_action", "categories", "custom_patterns", "languages", "enabled", "metadata", "created_at", "updated_at")
    class CategoriesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bool
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bool] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_ACTION_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_PATTERNS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    key: str
    name: str
    description: str
    default_action: str
    categories: _containers.ScalarMap[str, bool]
    custom_patterns: _containers.RepeatedCompositeFieldContainer[PiiPattern]
    languages: _containers.RepeatedScalarFieldContainer[str]
    enabled: bool
    metadata: _struct_pb2.Struct
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., default_action: _Optional[str] = ..., categories: _Optional[_Mapping[str, bool]] = ..., custom_patterns: _Optional[_Iterable[_Union[PiiPattern, _Mapping]]] = ..., languages: _Optional[_Iterable[str]] = ..., enabled: _Optional[bool] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PiiPattern(_message.Message):
    __slots__ = ("category_id", "pattern", "label", "severity")
    CATEGORY_ID_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    category_id: str
    pattern: str
    label: str
    severity: str
    def __init__(self, category_id: _Optional[str] = ..., pattern: _Optional[str] = ..., label: _Optional[str] = ..., severity: _Optional[str] = ...) -> None: ...

class PiiFinding(_message.Message):
    __slots__ = ("category", "source", "severity", "value", "start", "end", "label", "message", "action", "block", "replacement")
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    REPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    category: str
    source: str
    severity: str
    value: str
    start: int
    end: int
    label: str
    message: str
    action: str
    block: bool
    replacement: str
    def __init__(self, category: _Optional[str] = ..., source: _Optional[str] = ..., severity: _Optional[str] = ..., value: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., label: _Optional[str] = ..., message: _Optional[str] = ..., action: _Optional[str] = ..., block: _Optional[bool] = ..., replacement: _Optional[str] = ...) -> None: ...

class ScanPiiRequest(_message.Message):
    __slots__ = ("policy_key", "text", "action", "locale")
    POLICY_KEY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    policy_key: str
    text: str
    action: str
    locale: str
    def __init__(self, policy_key: _Optional[str] = ..., text: _Optional[str] = ..., action: _Optional[str] = ..., locale: _Optional[str] = ...) -> None: ...

class ScanPiiResponse(_message.Message):
    __slots__ = ("policy_key", "policy_name", "action", "findings", "output_text", "input_length", "has_blocking", "languages", "vault")
    POLICY_KEY_FIELD_NUMBER: _ClassVar[int]
    POLICY_NAME_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TEXT_FIELD_NUMBER: _ClassVar[int]
    INPUT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    HAS_BLOCKING_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    VAULT_FIELD_NUMBER: _ClassVar[int]
    policy_key: str
    policy_name: str
    action: str
    findings: _containers.RepeatedCompositeFieldContainer[PiiFinding]
    output_text: str
    input_length: int
    has_blocking: bool
    languages: _containers.RepeatedScalarFieldContainer[str]
    vault: _struct_pb2.Struct
    def __init__(self, policy_key: _Optional[str] = ..., policy_name: _Optional[str] = ..., action: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[PiiFinding, _Mapping]]] = ..., output_text: _Optional[str] = ..., input_length: _Optional[int] = ..., has_blocking: _Optional[bool] = ..., languages: _Optional[_Iterable[str]] = ..., vault: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class DetokenizePiiRequest(_message.Message):
    __slots__ = ("text", "vault")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VAULT_FIELD_NUMBER: _ClassVar[int]
    text: str
    vault: _struct_pb2.Struct
    def __init__(self, text: _Optional[str] = ..., vault: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class DetokenizePiiResponse(_message.Message):
    __slots__ = ("output_text",)
    OUTPUT_TEXT_FIELD_NUMBER: _ClassVar[int]
    output_text: str
    def __init__(self, output_text: _Optional[str] = ...) -> None: ...

class ListPiiPoliciesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPiiPoliciesResponse(_message.Message):
    __slots__ = ("policies", "next_page_token")
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    policies: _containers.RepeatedCompositeFieldContainer[PiiPolicy]
    next_page_token: str
    def __init__(self, policies: _Optional[_Iterable[_Union[PiiPolicy, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetPiiPolicyRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class GetPiiPolicyResponse(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: PiiPolicy
    def __init__(self, policy: _Optional[_Union[PiiPolicy, _Mapping]] = ...) -> None: ...

class CreatePiiPolicyRequest(_message.Message):
    __slots__ = ("key", "name", "description", "default_action", "categories", "custom_patterns", "languages", "enabled", "metadata")
    class CategoriesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bool
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bool] = ...) -> None: ...
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_ACTION_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_PATTERNS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    default_action: str
    categories: _containers.ScalarMap[str, bool]
    custom_patterns: _containers.RepeatedCompositeFieldContainer[PiiPattern]
    languages: _containers.RepeatedScalarFieldContainer[str]
    enabled: bool
    metadata: _struct_pb2.Struct
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., default_action: _Optional[str] = ..., categories: _Optional[_Mapping[str, bool]] = ..., custom_patterns: _Optional[_Iterable[_Union[PiiPattern, _Mapping]]] = ..., languages: _Optional[_Iterable[str]] = ..., enabled: _Optional[bool] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class CreatePiiPolicyResponse(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: PiiPolicy
    def __init__(self, policy: _Optional[_Union[PiiPolicy, _Mapping]] = ...) -> None: ...

class UpdatePiiPolicyRequest(_message.Message):
    __slots__ = ("key", "name", "description", "default_action", "categories", "custom_patterns", "languages", "enabled", "metadata", "clear_custom_patterns")
    class CategoriesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bool
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bool] = ...) -> None: ...
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_ACTION_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_PATTERNS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CLEAR_CUSTOM_PATTERNS_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    default_action: str
    categories: _containers.ScalarMap[str, bool]
    custom_patterns: _containers.RepeatedCompositeFieldContainer[PiiPattern]
    languages: _containers.RepeatedScalarFieldContainer[str]
    enabled: bool
    metadata: _struct_pb2.Struct
    clear_custom_patterns: bool
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., default_action: _Optional[str] = ..., categories: _Optional[_Mapping[str, bool]] = ..., custom_patterns: _Optional[_Iterable[_Union[PiiPattern, _Mapping]]] = ..., languages: _Optional[_Iterable[str]] = ..., enabled: _Optional[bool] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., clear_custom_patterns: _Optional[bool] = ...) -> None: ...

class UpdatePiiPolicyResponse(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: PiiPolicy
    def __init__(self, policy: _Optional[_Union[PiiPolicy, _Mapping]] = ...) -> None: ...

class DeletePiiPolicyRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class DeletePiiPolicyResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...
