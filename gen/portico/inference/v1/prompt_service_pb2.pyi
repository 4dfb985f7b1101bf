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

class Prompt(_message.Message):
    __slots__ = ("id", "record_id", "key", "name", "description", "template", "metadata", "current_version", "latest_version_id", "deployments", "deployment_history", "created_by", "created_at", "updated_at")
    class DeploymentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: PromptDeployment
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[PromptDeployment, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CURRENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_HISTORY_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    key: str
    name: str
    description: str
    template: str
    metadata: _struct_pb2.Struct
    current_version: int
    latest_version_id: str
    deployments: _containers.MessageMap[str, PromptDeployment]
    deployment_history: _containers.RepeatedCompositeFieldContainer[PromptDeploymentEvent]
    created_by: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., template: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., current_version: _Optional[int] = ..., latest_version_id: _Optional[str] = ..., deployments: _Optional[_Mapping[str, PromptDeployment]] = ..., deployment_history: _Optional[_Iterable[_Union[PromptDeploymentEvent, _Mapping]]] = ..., created_by: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PromptVersion(_message.Message):
    __slots__ = ("id", "prompt_id", "version", "name", "description", "template", "metadata", "comment", "is_latest", "created_by", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    IS_LATEST_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    prompt_id: str
    version: int
    name: str
    description: str
    template: str
    metadata: _struct_pb2.Struct
    comment: str
    is_latest: bool
    created_by: str
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., prompt_id: _Optional[str] = ..., version: _Optional[int] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., template: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., comment: _Optional[str] = ..., is_latest: _Optional[bool] = ..., created_by: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PromptReference(_message.Message):
    __slots__ = ("id", "key", "name")
    ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    id: str
    key: str
    name: str
    def __init__(self, id: _Optional[str] = ..., key: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class PromptDeployment(_message.Message):
    __slots__ = ("environment", "version_id", "version", "rollout_status", "rollout_strategy", "active_version_id", "active_version", "rollback_version_id", "rollback_version", "note", "updated_by", "updated_at")
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_STATUS_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_STRATEGY_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_VERSION_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    UPDATED_BY_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    environment: str
    version_id: str
    version: int
    rollout_status: str
    rollout_strategy: str
    active_version_id: str
    active_version: int
    rollback_version_id: str
    rollback_version: int
    note: str
    updated_by: str
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, environment: _Optional[str] = ..., version_id: _Optional[str] = ..., version: _Optional[int] = ..., rollout_status: _Optional[str] = ..., rollout_strategy: _Optional[str] = ..., active_version_id: _Optional[str] = ..., active_version: _Optional[int] = ..., rollback_version_id: _Optional[str] = ..., rollback_version: _Optional[int] = ..., note: _Optional[str] = ..., updated_by: _Optional[str] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PromptDeploymentEvent(_message.Message):
    __slots__ = ("id", "environment", "action", "version_id", "version", "note", "created_by", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    environment: str
    action: str
    version_id: str
    version: int
    note: str
    created_by: str
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., environment: _Optional[str] = ..., action: _Optional[str] = ..., version_id: _Optional[str] = ..., version: _Optional[int] = ..., note: _Optional[str] = ..., created_by: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PromptDeployments(_message.Message):
    __slots__ = ("deployments", "history")
    class DeploymentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: PromptDeployment
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[PromptDeployment, _Mapping]] = ...) -> None: ...
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    deployments: _containers.MessageMap[str, PromptDeployment]
    history: _containers.RepeatedCompositeFieldContainer[PromptDeploymentEvent]
    def __init__(self, deployments: _Optional[_Mapping[str, PromptDeployment]] = ..., history: _Optional[_Iterable[_Union[PromptDeploymentEvent, _Mapping]]] = ...) -> None: ...

class PromptComment(_message.Message):
    __slots__ = ("id", "content", "version_id", "version", "created_by", "created_by_name", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    content: str
    version_id: str
    version: int
    created_by: str
    created_by_name: str
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., content: _Optional[str] = ..., version_id: _Optional[str] = ..., version: _Optional[int] = ..., created_by: _Optional[str] = ..., created_by_name: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PromptLineChange(_message.Message):
    __slots__ = ("type", "line")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    type: str
    line: str
    def __init__(self, type: _Optional[str] = ..., line: _Optional[str] = ...) -> None: ...

class PromptMetadataChange(_message.Message):
    __slots__ = ("key", "from_value", "to_value", "changed")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FROM_VALUE_FIELD_NUMBER: _ClassVar[int]
    TO_VALUE_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    key: str
    from_value: _struct_pb2.Value
    to_value: _struct_pb2.Value
    changed: bool
    def __init__(self, key: _Optional[str] = ..., from_value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., to_value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., changed: _Optional[bool] = ...) -> None: ...

class PromptComparison(_message.Message):
    __slots__ = ("from_version", "to_version", "template_diff", "metadata_diff", "deployment_history", "comments")
    FROM_VERSION_FIELD_NUMBER: _ClassVar[int]
    TO_VERSION_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_DIFF_FIELD_NUMBER: _ClassVar[int]
    METADATA_DIFF_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_HISTORY_FIELD_NUMBER: _ClassVar[int]
    COMMENTS_FIELD_NUMBER: _ClassVar[int]
    from_version: PromptVersion
    to_version: PromptVersion
    template_diff: _containers.RepeatedCompositeFieldContainer[PromptLineChange]
    metadata_diff: _containers.RepeatedCompositeFieldContainer[PromptMetadataChange]
    deployment_history: _containers.RepeatedCompositeFieldContainer[PromptDeploymentEvent]
    comments: _containers.RepeatedCompositeFieldContainer[PromptComment]
    def __init__(self, from_version: _Optional[_Union[PromptVersion, _Mapping]] = ..., to_version: _Optional[_Union[PromptVersion, _Mapping]] = ..., template_diff: _Optional[_Iterable[_Union[PromptLineChange, _Mapping]]] = ..., metadata_diff: _Optional[_Iterable[_Union[PromptMetadataChange, _Mapping]]] = ..., deployment_history: _Optional[_Iterable[_Union[PromptDeploymentEvent, _Mapping]]] = ..., comments: _Optional[_Iterable[_Union[PromptComment, _Mapping]]] = ...) -> None: ...

class ListPromptsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "search")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    search: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., search: _Optional[str] = ...) -> None: ...

class ListPromptsResponse(_message.Message):
    __slots__ = ("prompts", "next_page_token")
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    prompts: _containers.RepeatedCompositeFieldContainer[Prompt]
    next_page_token: str
    def __init__(self, prompts: _Optional[_Iterable[_Union[Prompt, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetPromptRequest(_message.Message):
    __slots__ = ("key", "version", "environment")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    key: str
    version: int
    environment: str
    def __init__(self, key: _Optional[str] = ..., version: _Optional[int] = ..., environment: _Optional[str] = ...) -> None: ...

class GetPromptResponse(_message.Message):
    __slots__ = ("prompt", "resolved_version")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_VERSION_FIELD_NUMBER: _ClassVar[int]
    prompt: Prompt
    resolved_version: PromptVersion
    def __init__(self, prompt: _Optional[_Union[Prompt, _Mapping]] = ..., resolved_version: _Optional[_Union[PromptVersion, _Mapping]] = ...) -> None: ...

class CreatePromptRequest(_message.Message):
    __slots__ = ("key", "name", "template", "description", "metadata", "version_comment")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    VERSION_COMMENT_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    template: str
    description: str
    metadata: _struct_pb2.Struct
    version_comment: str
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., template: _Optional[str] = ..., description: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., version_comment: _Optional[str] = ...) -> None: ...

class CreatePromptResponse(_message.Message):
    __slots__ = ("prompt",)
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    prompt: Prompt
    def __init__(self, prompt: _Optional[_Union[Prompt, _Mapping]] = ...) -> None: ...

class UpdatePromptRequest(_message.Message):
    __slots__ = ("key", "name", "template", "description", "metadata", "version_comment")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    VERSION_COMMENT_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    template: str
    description: str
    metadata: _struct_pb2.Struct
    version_comment: str
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., template: _Optional[str] = ..., description: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., version_comment: _Optional[str] = ...) -> None: ...

class UpdatePromptResponse(_message.Message):
    __slots__ = ("prompt",)
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    prompt: Prompt
    def __init__(self, prompt: _Optional[_Union[Prompt, _Mapping]] = ...) -> None: ...

class DeletePromptRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class DeletePromptResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class RenderPromptRequest(_message.Message):
    __slots__ = ("key", "version", "environment", "data")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    key: str
    version: int
    environment: str
    data: _struct_pb2.Struct
    def __init__(self, key: _Optional[str] = ..., version: _Optional[int] = ..., environment: _Optional[str] = ..., data: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class RenderedPrompt(_message.Message):
    __slots__ = ("key", "name", "description", "version", "environment")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    version: int
    environment: str
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., version: _Optional[int] = ..., environment: _Optional[str] = ...) -> None: ...

class RenderPromptResponse(_message.Message):
    __slots__ = ("prompt", "rendered")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    RENDERED_FIELD_NUMBER: _ClassVar[int]
    prompt: RenderedPrompt
    rendered: str
    def __init__(self, prompt: _Optional[_Union[RenderedPrompt, _Mapping]] = ..., rendered: _Optional[str] = ...) -> None: ...

class RenderPromptOverRestRequest(_message.Message):
    __slots__ = ("key", "version", "environment", "body")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    key: str
    version: int
    environment: str
    body: _httpbody_pb2.HttpBody
    def __init__(self, key: _Optional[str] = ..., version: _Optional[int] = ..., environment: _Optional[str] = ..., body: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class RenderPromptOverRestResponse(_message.Message):
    __slots__ = ("prompt", "rendered")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    RENDERED_FIELD_NUMBER: _ClassVar[int]
    prompt: RenderedPrompt
    rendered: str
    def __init__(self, prompt: _Optional[_Union[RenderedPrompt, _Mapping]] = ..., rendered: _Optional[str] = ...) -> None: ...

class ListPromptVersionsRequest(_message.Message):
    __slots__ = ("key", "page_size", "page_token")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    key: str
    page_size: int
    page_token: str
    def __init__(self, key: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPromptVersionsResponse(_message.Message):
    __slots__ = ("prompt", "versions", "next_page_token")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    prompt: PromptReference
    versions: _containers.RepeatedCompositeFieldContainer[PromptVersion]
    next_page_token: str
    def __init__(self, prompt: _Optional[_Union[PromptReference, _Mapping]] = ..., versions: _Optional[_Iterable[_Union[PromptVersion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SetCurrentPromptVersionRequest(_message.Message):
    __slots__ = ("key", "version_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    key: str
    version_id: str
    def __init__(self, key: _Optional[str] = ..., version_id: _Optional[str] = ...) -> None: ...

class SetCurrentPromptVersionResponse(_message.Message):
    __slots__ = ("prompt",)
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    prompt: Prompt
    def __init__(self, prompt: _Optional[_Union[Prompt, _Mapping]] = ...) -> None: ...

class GetPromptDeploymentsRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class GetPromptDeploymentsResponse(_message.Message):
    __slots__ = ("prompt", "deployments")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    prompt: PromptReference
    deployments: PromptDeployments
    def __init__(self, prompt: _Optional[_Union[PromptReference, _Mapping]] = ..., deployments: _Optional[_Union[PromptDeployments, _Mapping]] = ...) -> None: ...

class DeployPromptRequest(_message.Message):
    __slots__ = ("key", "action", "environment", "version_id", "note")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    key: str
    action: str
    environment: str
    version_id: str
    note: str
    def __init__(self, key: _Optional[str] = ..., action: _Optional[str] = ..., environment: _Optional[str] = ..., version_id: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class DeployPromptResponse(_message.Message):
    __slots__ = ("prompt", "deployments")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    prompt: PromptReference
    deployments: PromptDeployments
    def __init__(self, prompt: _Optional[_Union[PromptReference, _Mapping]] = ..., deployments: _Optional[_Union[PromptDeployments, _Mapping]] = ...) -> None: ...

class ComparePromptVersionsRequest(_message.Message):
    __slots__ = ("key", "from_version_id", "to_version_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FROM_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    TO_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    key: str
    from_version_id: str
    to_version_id: str
    def __init__(self, key: _Optional[str] = ..., from_version_id: _Optional[str] = ..., to_version_id: _Optional[str] = ...) -> None: ...

class ComparePromptVersionsResponse(_message.Message):
    __slots__ = ("prompt", "comparison")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    prompt: PromptReference
    comparison: PromptComparison
    def __init__(self, prompt: _Optional[_Union[PromptReference, _Mapping]] = ..., comparison: _Optional[_Union[PromptComparison, _Mapping]] = ...) -> None: ...

class ListPromptCommentsRequest(_message.Message):
    __slots__ = ("key", "page_size", "page_token")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    key: str
    page_size: int
    page_token: str
    def __init__(self, key: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPromptCommentsResponse(_message.Message):
    __slots__ = ("comments", "next_page_token")
    COMMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    comments: _containers.RepeatedCompositeFieldContainer[PromptComment]
    next_page_token: str
    def __init__(self, comments: _Optional[_Iterable[_Union[PromptComment, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreatePromptCommentRequest(_message.Message):
    __slots__ = ("key", "content", "version_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    key: str
    content: str
    version_id: str
    def __init__(self, key: _Optional[str] = ..., content: _Optional[str] = ..., version_id: _Optional[str] = ...) -> None: ...

class CreatePromptCommentResponse(_message.Message):
    __slots__ = ("comment",)
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    comment: PromptComment
    def __init__(self, comment: _Optional[_Union[PromptComment, _Mapping]] = ...) -> None: ...

class DeletePromptCommentRequest(_message.Message):
    __slots__ = ("key", "comment_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    COMMENT_ID_FIELD_NUMBER: _ClassVar[int]
    key: str
    comment_id: str
    def __init__(self, key: _Optional[str] = ..., comment_id: _Optional[str] = ...) -> None: ...

class DeletePromptCommentResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...
