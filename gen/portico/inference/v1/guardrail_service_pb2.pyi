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

class Guardrail(_message.Message):
    __slots__ = ("id", "record_id", "key", "name", "description", "type", "target", "action", "enabled", "fail_mode", "model_key", "custom_prompt", "policy", "metadata", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    FAIL_MODE_FIELD_NUMBER: _ClassVar[int]
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_PROMPT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    key: str
    name: str
    description: str
    type: str
    target: str
    action: str
    enabled: bool
    fail_mode: str
    model_key: str
    custom_prompt: str
    policy: _struct_pb2.Struct
    metadata: _struct_pb2.Struct
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., type: _Optional[str] = ..., target: _Optional[str] = ..., action: _Optional[str] = ..., enabled: _Optional[bool] = ..., fail_mode: _Optional[str] = ..., model_key: _Optional[str] = ..., custom_prompt: _Optional[str] = ..., policy: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GuardrailFinding(_message.Message):
    __slots__ = ("type", "category", "severity", "message", "action", "block", "value")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    type: str
    category: str
    severity: str
    message: str
    action: str
    block: bool
    value: str
    def __init__(self, type: _Optional[str] = ..., category: _Optional[str] = ..., severity: _Optional[str] = ..., message: _Optional[str] = ..., action: _Optional[str] = ..., block: _Optional[bool] = ..., value: _Optional[str] = ...) -> None: ...

class WordList(_message.Message):
    __slots__ = ("id", "record_id", "key", "name", "description", "language", "words", "word_count", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    WORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    key: str
    name: str
    description: str
    language: str
    words: _containers.RepeatedScalarFieldContainer[str]
    word_count: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., language: _Optional[str] = ..., words: _Optional[_Iterable[str]] = ..., word_count: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GuardrailEvaluation(_message.Message):
    __slots__ = ("id", "created_at", "guardrail_key", "guardrail_name", "guardrail_type", "target", "action", "passed", "findings", "latency_ms", "source", "request_id", "model", "message", "token_id", "user_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    GUARDRAIL_KEY_FIELD_NUMBER: _ClassVar[int]
    GUARDRAIL_NAME_FIELD_NUMBER: _ClassVar[int]
    GUARDRAIL_TYPE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    created_at: _timestamp_pb2.Timestamp
    guardrail_key: str
    guardrail_name: str
    guardrail_type: str
    target: str
    action: str
    passed: bool
    findings: _containers.RepeatedCompositeFieldContainer[GuardrailFinding]
    latency_ms: float
    source: str
    request_id: str
    model: str
    message: str
    token_id: str
    user_id: str
    def __init__(self, id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., guardrail_key: _Optional[str] = ..., guardrail_name: _Optional[str] = ..., guardrail_type: _Optional[str] = ..., target: _Optional[str] = ..., action: _Optional[str] = ..., passed: _Optional[bool] = ..., findings: _Optional[_Iterable[_Union[GuardrailFinding, _Mapping]]] = ..., latency_ms: _Optional[float] = ..., source: _Optional[str] = ..., request_id: _Optional[str] = ..., model: _Optional[str] = ..., message: _Optional[str] = ..., token_id: _Optional[str] = ..., user_id: _Optional[str] = ...) -> None: ...

class ListGuardrailsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "type", "enabled")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    type: str
    enabled: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., type: _Optional[str] = ..., enabled: _Optional[bool] = ...) -> None: ...

class ListGuardrailsResponse(_message.Message):
    __slots__ = ("guardrails", "next_page_token")
    GUARDRAILS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    guardrails: _containers.RepeatedCompositeFieldContainer[Guardrail]
    next_page_token: str
    def __init__(self, guardrails: _Optional[_Iterable[_Union[Guardrail, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetGuardrailRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class GetGuardrailResponse(_message.Message):
    __slots__ = ("guardrail",)
    GUARDRAIL_FIELD_NUMBER: _ClassVar[int]
    guardrail: Guardrail
    def __init__(self, guardrail: _Optional[_Union[Guardrail, _Mapping]] = ...) -> None: ...

class CreateGuardrailRequest(_message.Message):
    __slots__ = ("key", "name", "description", "type", "target", "action", "enabled", "fail_mode", "model_key", "custom_prompt", "policy", "metadata")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    FAIL_MODE_FIELD_NUMBER: _ClassVar[int]
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_PROMPT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    type: str
    target: str
    action: str
    enabled: bool
    fail_mode: str
    model_key: str
    custom_prompt: str
    policy: _struct_pb2.Struct
    metadata: _struct_pb2.Struct
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., type: _Optional[str] = ..., target: _Optional[str] = ..., action: _Optional[str] = ..., enabled: _Optional[bool] = ..., fail_mode: _Optional[str] = ..., model_key: _Optional[str] = ..., custom_prompt: _Optional[str] = ..., policy: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class CreateGuardrailResponse(_message.Message):
    __slots__ = ("guardrail",)
    GUARDRAIL_FIELD_NUMBER: _ClassVar[int]
    guardrail: Guardrail
    def __init__(self, guardrail: _Optional[_Union[Guardrail, _Mapping]] = ...) -> None: ...

class UpdateGuardrailRequest(_message.Message):
    __slots__ = ("key", "name", "description", "target", "action", "enabled", "fail_mode", "model_key", "custom_prompt", "policy", "metadata")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    FAIL_MODE_FIELD_NUMBER: _ClassVar[int]
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_PROMPT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    target: str
    action: str
    enabled: bool
    fail_mode: str
    model_key: str
    custom_prompt: str
    policy: _struct_pb2.Struct
    metadata: _struct_pb2.Struct
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., target: _Optional[str] = ..., action: _Optional[str] = ..., enabled: _Optional[bool] = ..., fail_mode: _Optional[str] = ..., model_key: _Optional[str] = ..., custom_prompt: _Optional[str] = ..., policy: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class UpdateGuardrailResponse(_message.Message):
    __slots__ = ("guardrail",)
    GUARDRAIL_FIELD_NUMBER: _ClassVar[int]
    guardrail: Guardrail
    def __init__(self, guardrail: _Optional[_Union[Guardrail, _Mapping]] = ...) -> None: ...

class DeleteGuardrailRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class DeleteGuardrailResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class EvaluateGuardrailRequest(_message.Message):
    __slots__ = ("guardrail_key", "text", "target")
    GUARDRAIL_KEY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    guardrail_key: str
    text: str
    target: str
    def __init__(self, guardrail_key: _Optional[str] = ..., text: _Optional[str] = ..., target: _Optional[str] = ...) -> None: ...

class EvaluateGuardrailResponse(_message.Message):
    __slots__ = ("passed", "guardrail_key", "guardrail_name", "action", "findings", "message", "disabled", "redacted_text")
    PASSED_FIELD_NUMBER: _ClassVar[int]
    GUARDRAIL_KEY_FIELD_NUMBER: _ClassVar[int]
    GUARDRAIL_NAME_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    REDACTED_TEXT_FIELD_NUMBER: _ClassVar[int]
    passed: bool
    guardrail_key: str
    guardrail_name: str
    action: str
    findings: _containers.RepeatedCompositeFieldContainer[GuardrailFinding]
    message: _struct_pb2.Value
    disabled: bool
    redacted_text: _struct_pb2.Value
    def __init__(self, passed: _Optional[bool] = ..., guardrail_key: _Optional[str] = ..., guardrail_name: _Optional[str] = ..., action: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[GuardrailFinding, _Mapping]]] = ..., message: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., disabled: _Optional[bool] = ..., redacted_text: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...

class ModerateTextsRequest(_message.Message):
    __slots__ = ("input", "model")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    input: _struct_pb2.Value
    model: str
    def __init__(self, input: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class ModerationResult(_message.Message):
    __slots__ = ("flagged", "categories", "category_scores", "findings")
    class CategoriesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bool
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bool] = ...) -> None: ...
    class CategoryScoresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    FLAGGED_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_SCORES_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    flagged: bool
    categories: _containers.ScalarMap[str, bool]
    category_scores: _containers.ScalarMap[str, float]
    findings: _containers.RepeatedCompositeFieldContainer[GuardrailFinding]
    def __init__(self, flagged: _Optional[bool] = ..., categories: _Optional[_Mapping[str, bool]] = ..., category_scores: _Optional[_Mapping[str, float]] = ..., findings: _Optional[_Iterable[_Union[GuardrailFinding, _Mapping]]] = ...) -> None: ...

class ModerateTextsResponse(_message.Message):
    __slots__ = ("id", "model", "results")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    results: _containers.RepeatedCompositeFieldContainer[ModerationResult]
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., results: _Optional[_Iterable[_Union[ModerationResult, _Mapping]]] = ...) -> None: ...

class ListGuardrailEvaluationsRequest(_message.Message):
    __slots__ = ("key", "page_size", "page_token", "passed")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    key: str
    page_size: int
    page_token: str
    passed: bool
    def __init__(self, key: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., passed: _Optional[bool] = ...) -> None: ...

class ListGuardrailEvaluationsResponse(_message.Message):
    __slots__ = ("logs", "next_page_token")
    LOGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    logs: _containers.RepeatedCompositeFieldContainer[GuardrailEvaluation]
    next_page_token: str
    def __init__(self, logs: _Optional[_Iterable[_Union[GuardrailEvaluation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetGuardrailStatisticsRequest(_message.Message):
    __slots__ = ("key", "to")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    key: str
    to: _timestamp_pb2.Timestamp
    def __init__(self, key: _Optional[str] = ..., to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., **kwargs) -> None: ...

class GuardrailDay(_message.Message):
    __slots__ = ("day", "evaluations", "passed")
    DAY_FIELD_NUMBER: _ClassVar[int]
    EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    day: str
    evaluations: int
    passed: int
    def __init__(self, day: _Optional[str] = ..., evaluations: _Optional[int] = ..., passed: _Optional[int] = ...) -> None: ...

class GetGuardrailStatisticsResponse(_message.Message):
    __slots__ = ("evaluations", "passed", "failed", "pass_rate", "mean_latency_ms", "findings_by_category", "days")
    class FindingsByCategoryEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    PASS_RATE_FIELD_NUMBER: _ClassVar[int]
    MEAN_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_BY_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    evaluations: int
    passed: int
    failed: int
    pass_rate: float
    mean_latency_ms: float
    findings_by_category: _containers.ScalarMap[str, int]
    days: _containers.RepeatedCompositeFieldContainer[GuardrailDay]
    def __init__(self, evaluations: _Optional[int] = ..., passed: _Optional[int] = ..., failed: _Optional[int] = ..., pass_rate: _Optional[float] = ..., mean_latency_ms: _Optional[float] = ..., findings_by_category: _Optional[_Mapping[str, int]] = ..., days: _Optional[_Iterable[_Union[GuardrailDay, _Mapping]]] = ...) -> None: ...

class ListWordListsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListWordListsResponse(_message.Message):
    __slots__ = ("word_lists", "builtin_lists", "next_page_token")
    WORD_LISTS_FIELD_NUMBER: _ClassVar[int]
    BUILTIN_LISTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    word_lists: _containers.RepeatedCompositeFieldContainer[WordList]
    builtin_lists: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    def __init__(self, word_lists: _Optional[_Iterable[_Union[WordList, _Mapping]]] = ..., builtin_lists: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetWordListRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class GetWordListResponse(_message.Message):
    __slots__ = ("word_list",)
    WORD_LIST_FIELD_NUMBER: _ClassVar[int]
    word_list: WordList
    def __init__(self, word_list: _Optional[_Union[WordList, _Mapping]] = ...) -> None: ...

class CreateWordListRequest(_message.Message):
    __slots__ = ("key", "name", "description", "language", "words")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    language: str
    words: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., language: _Optional[str] = ..., words: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateWordListResponse(_message.Message):
    __slots__ = ("word_list",)
    WORD_LIST_FIELD_NUMBER: _ClassVar[int]
    word_list: WordList
    def __init__(self, word_list: _Optional[_Union[WordList, _Mapping]] = ...) -> None: ...

class UpdateWordListRequest(_message.Message):
    __slots__ = ("key", "name", "description", "language", "words")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    language: str
    words: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., language: _Optional[str] = ..., words: _Optional[_Iterable[str]] = ...) -> None: ...

class UpdateWordListResponse(_message.Message):
    __slots__ = ("word_list",)
    WORD_LIST_FIELD_NUMBER: _ClassVar[int]
    word_list: WordList
    def __init__(self, word_list: _Optional[_Union[WordList, _Mapping]] = ...) -> None: ...

class UploadWordListRequest(_message.Message):
    __slots__ = ("key", "body")
    KEY_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    key: str
    body: _httpbody_pb2.HttpBody
    def __init__(self, key: _Optional[str] = ..., body: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class UploadWordListResponse(_message.Message):
    __slots__ = ("word_list",)
    WORD_LIST_FIELD_NUMBER: _ClassVar[int]
    word_list: WordList
    def __init__(self, word_list: _Optional[_Union[WordList, _Mapping]] = ...) -> None: ...

class DeleteWordListRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class DeleteWordListResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...
