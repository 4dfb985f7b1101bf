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

class GetQuotaStatusRequest(_message.Message):
    __slots__ = ("domain", "model", "provider")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    domain: str
    model: str
    provider: str
    def __init__(self, domain: _Optional[str] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ...) -> None: ...

class GetQuotaStatusResponse(_message.Message):
    __slots__ = ("domain", "limits")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    domain: str
    limits: _containers.RepeatedCompositeFieldContainer[QuotaStanding]
    def __init__(self, domain: _Optional[str] = ..., limits: _Optional[_Iterable[_Union[QuotaStanding, _Mapping]]] = ...) -> None: ...

class QuotaStanding(_message.Message):
    __slots__ = ("scope", "scope_id", "domain", "policy_id", "label", "dimension", "window", "limit", "used", "remaining", "reset_at")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    RESET_AT_FIELD_NUMBER: _ClassVar[int]
    scope: str
    scope_id: str
    domain: str
    policy_id: str
    label: str
    dimension: str
    window: str
    limit: float
    used: float
    remaining: float
    reset_at: _timestamp_pb2.Timestamp
    def __init__(self, scope: _Optional[str] = ..., scope_id: _Optional[str] = ..., domain: _Optional[str] = ..., policy_id: _Optional[str] = ..., label: _Optional[str] = ..., dimension: _Optional[str] = ..., window: _Optional[str] = ..., limit: _Optional[float] = ..., used: _Optional[float] = ..., remaining: _Optional[float] = ..., reset_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetBudgetStatusRequest(_message.Message):
    __slots__ = ("domain", "model", "scope")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    domain: str
    model: str
    scope: str
    def __init__(self, domain: _Optional[str] = ..., model: _Optional[str] = ..., scope: _Optional[str] = ...) -> None: ...

class GetBudgetStatusResponse(_message.Message):
    __slots__ = ("object", "domain", "configured", "per_day", "per_month", "alert_thresholds")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    PER_DAY_FIELD_NUMBER: _ClassVar[int]
    PER_MONTH_FIELD_NUMBER: _ClassVar[int]
    ALERT_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    object: str
    domain: str
    configured: bool
    per_day: BudgetWindow
    per_month: BudgetWindow
    alert_thresholds: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, object: _Optional[str] = ..., domain: _Optional[str] = ..., configured: _Optional[bool] = ..., per_day: _Optional[_Union[BudgetWindow, _Mapping]] = ..., per_month: _Optional[_Union[BudgetWindow, _Mapping]] = ..., alert_thresholds: _Optional[_Iterable[float]] = ...) -> None: ...

class BudgetWindow(_message.Message):
    __slots__ = ("limit_usd", "used_usd", "remaining_usd")
    LIMIT_USD_FIELD_NUMBER: _ClassVar[int]
    USED_USD_FIELD_NUMBER: _ClassVar[int]
    REMAINING_USD_FIELD_NUMBER: _ClassVar[int]
    limit_usd: float
    used_usd: float
    remaining_usd: float
    def __init__(self, limit_usd: _Optional[float] = ..., used_usd: _Optional[float] = ..., remaining_usd: _Optional[float] = ...) -> None: ...
