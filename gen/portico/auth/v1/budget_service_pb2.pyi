import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portico.common.v1 import access_pb2 as _access_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Budget(_message.Message):
    __slots__ = ("id", "object", "label", "description", "domain", "scope", "scope_id", "project_id", "daily_limit_usd", "monthly_limit_usd", "alert_thresholds", "enabled", "priority", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    DAILY_LIMIT_USD_FIELD_NUMBER: _ClassVar[int]
    MONTHLY_LIMIT_USD_FIELD_NUMBER: _ClassVar[int]
    ALERT_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    object: str
    label: str
    description: str
    domain: str
    scope: str
    scope_id: str
    project_id: str
    daily_limit_usd: float
    monthly_limit_usd: float
    alert_thresholds: _containers.RepeatedScalarFieldContainer[float]
    enabled: bool
    priority: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., object: _Optional[str] = ..., label: _Optional[str] = ..., description: _Optional[str] = ..., domain: _Optional[str] = ..., scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., project_id: _Optional[str] = ..., daily_limit_usd: _Optional[float] = ..., monthly_limit_usd: _Optional[float] = ..., alert_thresholds: _Optional[_Iterable[float]] = ..., enabled: _Optional[bool] = ..., priority: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListBudgetsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBudgetsResponse(_message.Message):
    __slots__ = ("object", "data", "next_page_token")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    object: str
    data: _containers.RepeatedCompositeFieldContainer[Budget]
    next_page_token: str
    def __init__(self, object: _Optional[str] = ..., data: _Optional[_Iterable[_Union[Budget, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateBudgetRequest(_message.Message):
    __slots__ = ("domain", "scope", "scope_id", "project_id", "daily_limit_usd", "monthly_limit_usd", "alert_thresholds", "label", "description", "enabled", "priority")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    DAILY_LIMIT_USD_FIELD_NUMBER: _ClassVar[int]
    MONTHLY_LIMIT_USD_FIELD_NUMBER: _ClassVar[int]
    ALERT_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    domain: str
    scope: str
    scope_id: str
    project_id: str
    daily_limit_usd: float
    monthly_limit_usd: float
    alert_thresholds: _containers.RepeatedScalarFieldContainer[float]
    label: str
    description: str
    enabled: bool
    priority: int
    def __init__(self, domain: _Optional[str] = ..., scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., project_id: _Optional[str] = ..., daily_limit_usd: _Optional[float] = ..., monthly_limit_usd: _Optional[float] = ..., alert_thresholds: _Optional[_Iterable[float]] = ..., label: _Optional[str] = ..., description: _Optional[str] = ..., enabled: _Optional[bool] = ..., priority: _Optional[int] = ...) -> None: ...

class UpdateBudgetRequest(_message.Message):
    __slots__ = ("id", "daily_limit_usd", "monthly_limit_usd", "alert_thresholds", "label", "description", "enabled", "priority")
    ID_FIELD_NUMBER: _ClassVar[int]
    DAILY_LIMIT_USD_FIELD_NUMBER: _ClassVar[int]
    MONTHLY_LIMIT_USD_FIELD_NUMBER: _ClassVar[int]
    ALERT_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    id: str
    daily_limit_usd: float
    monthly_limit_usd: float
    alert_thresholds: _containers.RepeatedScalarFieldContainer[float]
    label: str
    description: str
    enabled: bool
    priority: int
    def __init__(self, id: _Optional[str] = ..., daily_limit_usd: _Optional[float] = ..., monthly_limit_usd: _Optional[float] = ..., alert_thresholds: _Optional[_Iterable[float]] = ..., label: _Optional[str] = ..., description: _Optional[str] = ..., enabled: _Optional[bool] = ..., priority: _Optional[int] = ...) -> None: ...

class DeleteBudgetRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteBudgetResponse(_message.Message):
    __slots__ = ("deleted", "id")
    DELETED_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    deleted: bool
    id: str
    def __init__(self, deleted: _Optional[bool] = ..., id: _Optional[str] = ...) -> None: ...
