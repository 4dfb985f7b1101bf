from portico.common.v1 import access_pb2 as _access_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Revocation(_message.Message):
    __slots__ = ("tenant", "token_id", "subject", "api_tokens", "all_tokens", "suspension", "issued_before", "expires_at", "api_token", "user_id", "issued_at", "kept_token_ids")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    API_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ALL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SUSPENSION_FIELD_NUMBER: _ClassVar[int]
    ISSUED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    API_TOKEN_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    KEPT_TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    token_id: str
    subject: str
    api_tokens: bool
    all_tokens: bool
    suspension: Suspension
    issued_before: float
    expires_at: float
    api_token: bool
    user_id: str
    issued_at: float
    kept_token_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tenant: _Optional[str] = ..., token_id: _Optional[str] = ..., subject: _Optional[str] = ..., api_tokens: _Optional[bool] = ..., all_tokens: _Optional[bool] = ..., suspension: _Optional[_Union[Suspension, _Mapping]] = ..., issued_before: _Optional[float] = ..., expires_at: _Optional[float] = ..., api_token: _Optional[bool] = ..., user_id: _Optional[str] = ..., issued_at: _Optional[float] = ..., kept_token_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Suspension(_message.Message):
    __slots__ = ("suspended", "changed_at")
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    suspended: bool
    changed_at: float
    def __init__(self, suspended: _Optional[bool] = ..., changed_at: _Optional[float] = ...) -> None: ...

class WatchRevocationsRequest(_message.Message):
    __slots__ = ("service",)
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    service: str
    def __init__(self, service: _Optional[str] = ...) -> None: ...

class WatchRevocationsResponse(_message.Message):
    __slots__ = ("snapshot", "revocations", "more")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    REVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    snapshot: bool
    revocations: _containers.RepeatedCompositeFieldContainer[Revocation]
    more: bool
    def __init__(self, snapshot: _Optional[bool] = ..., revocations: _Optional[_Iterable[_Union[Revocation, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class MintServiceTokenRequest(_message.Message):
    __slots__ = ("service", "tenant", "project", "scopes")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    service: str
    tenant: str
    project: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, service: _Optional[str] = ..., tenant: _Optional[str] = ..., project: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class MintServiceTokenResponse(_message.Message):
    __slots__ = ("token", "expires_at")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    token: str
    expires_at: float
    def __init__(self, token: _Optional[str] = ..., expires_at: _Optional[float] = ...) -> None: ...

class DeletedProject(_message.Message):
    __slots__ = ("tenant", "project", "actor")
    class ActorEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    project: str
    actor: _containers.ScalarMap[str, str]
    def __init__(self, tenant: _Optional[str] = ..., project: _Optional[str] = ..., actor: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ListDeletedProjectsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "service")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    service: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., service: _Optional[str] = ...) -> None: ...

class ListDeletedProjectsResponse(_message.Message):
    __slots__ = ("projects", "next_page_token")
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    projects: _containers.RepeatedCompositeFieldContainer[DeletedProject]
    next_page_token: str
    def __init__(self, projects: _Optional[_Iterable[_Union[DeletedProject, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AcknowledgeDeletedProjectRequest(_message.Message):
    __slots__ = ("service", "tenant", "project")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    service: str
    tenant: str
    project: str
    def __init__(self, service: _Optional[str] = ..., tenant: _Optional[str] = ..., project: _Optional[str] = ...) -> None: ...

class AcknowledgeDeletedProjectResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
