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

class AlertMetric(_message.Message):
    __slots__ = ("module", "metric", "label", "unit", "scopes")
    MODULE_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    module: str
    metric: str
    label: str
    unit: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, module: _Optional[str] = ..., metric: _Optional[str] = ..., label: _Optional[str] = ..., unit: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class AlertCondition(_message.Message):
    __slots__ = ("operator", "threshold")
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    operator: str
    threshold: float
    def __init__(self, operator: _Optional[str] = ..., threshold: _Optional[float] = ...) -> None: ...

class AlertScope(_message.Message):
    __slots__ = ("model_key", "server_key", "guardrail_key", "rag_module_key")
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    SERVER_KEY_FIELD_NUMBER: _ClassVar[int]
    GUARDRAIL_KEY_FIELD_NUMBER: _ClassVar[int]
    RAG_MODULE_KEY_FIELD_NUMBER: _ClassVar[int]
    model_key: str
    server_key: str
    guardrail_key: str
    rag_module_key: str
    def __init__(self, model_key: _Optional[str] = ..., server_key: _Optional[str] = ..., guardrail_key: _Optional[str] = ..., rag_module_key: _Optional[str] = ...) -> None: ...

class AlertChannel(_message.Message):
    __slots__ = ("id", "type", "recipients", "url", "secret", "has_secret")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    RECIPIENTS_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    HAS_SECRET_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    recipients: _containers.RepeatedScalarFieldContainer[str]
    url: str
    secret: str
    has_secret: bool
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., recipients: _Optional[_Iterable[str]] = ..., url: _Optional[str] = ..., secret: _Optional[str] = ..., has_secret: _Optional[bool] = ...) -> None: ...

class AlertRule(_message.Message):
    __slots__ = ("id", "record_id", "name", "description", "module", "metric", "condition", "window_minutes", "cooldown_minutes", "scope", "no_data", "auto_resolve", "channels", "enabled", "last_evaluated_at", "last_value", "last_error", "last_triggered_at", "open_incident_id", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MODULE_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MINUTES_FIELD_NUMBER: _ClassVar[int]
    COOLDOWN_MINUTES_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NO_DATA_FIELD_NUMBER: _ClassVar[int]
    AUTO_RESOLVE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    LAST_EVALUATED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_VALUE_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    LAST_TRIGGERED_AT_FIELD_NUMBER: _ClassVar[int]
    OPEN_INCIDENT_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    name: str
    description: str
    module: str
    metric: str
    condition: AlertCondition
    window_minutes: int
    cooldown_minutes: int
    scope: AlertScope
    no_data: str
    auto_resolve: bool
    channels: _containers.RepeatedCompositeFieldContainer[AlertChannel]
    enabled: bool
    last_evaluated_at: _timestamp_pb2.Timestamp
    last_value: float
    last_error: str
    last_triggered_at: _timestamp_pb2.Timestamp
    open_incident_id: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., module: _Optional[str] = ..., metric: _Optional[str] = ..., condition: _Optional[_Union[AlertCondition, _Mapping]] = ..., window_minutes: _Optional[int] = ..., cooldown_minutes: _Optional[int] = ..., scope: _Optional[_Union[AlertScope, _Mapping]] = ..., no_data: _Optional[str] = ..., auto_resolve: _Optional[bool] = ..., channels: _Optional[_Iterable[_Union[AlertChannel, _Mapping]]] = ..., enabled: _Optional[bool] = ..., last_evaluated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_value: _Optional[float] = ..., last_error: _Optional[str] = ..., last_triggered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., open_incident_id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AlertDelivery(_message.Message):
    __slots__ = ("type", "target", "status", "error", "ended_at")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    type: str
    target: str
    status: str
    error: str
    ended_at: _timestamp_pb2.Timestamp
    def __init__(self, type: _Optional[str] = ..., target: _Optional[str] = ..., status: _Optional[str] = ..., error: _Optional[str] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AlertEvent(_message.Message):
    __slots__ = ("id", "rule_id", "rule_name", "status", "metric", "unit", "operator", "threshold", "window_minutes", "actual_value", "fired_at", "incident_id", "channels", "acknowledged_by", "acknowledged_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    RULE_NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MINUTES_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_VALUE_FIELD_NUMBER: _ClassVar[int]
    FIRED_AT_FIELD_NUMBER: _ClassVar[int]
    INCIDENT_ID_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_BY_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    rule_id: str
    rule_name: str
    status: str
    metric: str
    unit: str
    operator: str
    threshold: float
    window_minutes: int
    actual_value: float
    fired_at: _timestamp_pb2.Timestamp
    incident_id: str
    channels: _containers.RepeatedCompositeFieldContainer[AlertDelivery]
    acknowledged_by: str
    acknowledged_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., rule_id: _Optional[str] = ..., rule_name: _Optional[str] = ..., status: _Optional[str] = ..., metric: _Optional[str] = ..., unit: _Optional[str] = ..., operator: _Optional[str] = ..., threshold: _Optional[float] = ..., window_minutes: _Optional[int] = ..., actual_value: _Optional[float] = ..., fired_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., incident_id: _Optional[str] = ..., channels: _Optional[_Iterable[_Union[AlertDelivery, _Mapping]]] = ..., acknowledged_by: _Optional[str] = ..., acknowledged_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class IncidentNote(_message.Message):
    __slots__ = ("user_id", "content", "created_at")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    content: str
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, user_id: _Optional[str] = ..., content: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Incident(_message.Message):
    __slots__ = ("id", "record_id", "rule_id", "rule_name", "metric", "severity", "status", "condition", "last_value", "assigned_to", "notes", "fired_at", "acknowledged_at", "resolved_at", "resolved_by", "closed_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    RULE_NAME_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    LAST_VALUE_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_TO_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    FIRED_AT_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_AT_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_AT_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_BY_FIELD_NUMBER: _ClassVar[int]
    CLOSED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    rule_id: str
    rule_name: str
    metric: str
    severity: str
    status: str
    condition: str
    last_value: float
    assigned_to: str
    notes: _containers.RepeatedCompositeFieldContainer[IncidentNote]
    fired_at: _timestamp_pb2.Timestamp
    acknowledged_at: _timestamp_pb2.Timestamp
    resolved_at: _timestamp_pb2.Timestamp
    resolved_by: str
    closed_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., rule_id: _Optional[str] = ..., rule_name: _Optional[str] = ..., metric: _Optional[str] = ..., severity: _Optional[str] = ..., status: _Optional[str] = ..., condition: _Optional[str] = ..., last_value: _Optional[float] = ..., assigned_to: _Optional[str] = ..., notes: _Optional[_Iterable[_Union[IncidentNote, _Mapping]]] = ..., fired_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., acknowledged_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resolved_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resolved_by: _Optional[str] = ..., closed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetAlertMetricsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetAlertMetricsResponse(_message.Message):
    __slots__ = ("metrics", "mail_enabled")
    METRICS_FIELD_NUMBER: _ClassVar[int]
    MAIL_ENABLED_FIELD_NUMBER: _ClassVar[int]
    metrics: _containers.RepeatedCompositeFieldContainer[AlertMetric]
    mail_enabled: bool
    def __init__(self, metrics: _Optional[_Iterable[_Union[AlertMetric, _Mapping]]] = ..., mail_enabled: _Optional[bool] = ...) -> None: ...

class ListAlertRulesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAlertRulesResponse(_message.Message):
    __slots__ = ("rules", "next_page_token")
    RULES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[AlertRule]
    next_page_token: str
    def __init__(self, rules: _Optional[_Iterable[_Union[AlertRule, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateAlertRuleRequest(_message.Message):
    __slots__ = ("name", "description", "module", "metric", "condition", "window_minutes", "cooldown_minutes", "scope", "no_data", "auto_resolve", "channels", "enabled")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MODULE_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MINUTES_FIELD_NUMBER: _ClassVar[int]
    COOLDOWN_MINUTES_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NO_DATA_FIELD_NUMBER: _ClassVar[int]
    AUTO_RESOLVE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    module: str
    metric: str
    condition: AlertCondition
    window_minutes: int
    cooldown_minutes: int
    scope: AlertScope
    no_data: str
    auto_resolve: bool
    channels: _containers.RepeatedCompositeFieldContainer[AlertChannel]
    enabled: bool
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., module: _Optional[str] = ..., metric: _Optional[str] = ..., condition: _Optional[_Union[AlertCondition, _Mapping]] = ..., window_minutes: _Optional[int] = ..., cooldown_minutes: _Optional[int] = ..., scope: _Optional[_Union[AlertScope, _Mapping]] = ..., no_data: _Optional[str] = ..., auto_resolve: _Optional[bool] = ..., channels: _Optional[_Iterable[_Union[AlertChannel, _Mapping]]] = ..., enabled: _Optional[bool] = ...) -> None: ...

class CreateAlertRuleResponse(_message.Message):
    __slots__ = ("rule",)
    RULE_FIELD_NUMBER: _ClassVar[int]
    rule: AlertRule
    def __init__(self, rule: _Optional[_Union[AlertRule, _Mapping]] = ...) -> None: ...

class GetAlertRuleRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetAlertRuleResponse(_message.Message):
    __slots__ = ("rule",)
    RULE_FIELD_NUMBER: _ClassVar[int]
    rule: AlertRule
    def __init__(self, rule: _Optional[_Union[AlertRule, _Mapping]] = ...) -> None: ...

class UpdateAlertRuleRequest(_message.Message):
    __slots__ = ("id", "name", "description", "module", "metric", "condition", "window_minutes", "cooldown_minutes", "scope", "no_data", "auto_resolve", "channels", "set_channels", "enabled")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MODULE_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MINUTES_FIELD_NUMBER: _ClassVar[int]
    COOLDOWN_MINUTES_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NO_DATA_FIELD_NUMBER: _ClassVar[int]
    AUTO_RESOLVE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    SET_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    description: str
    module: str
    metric: str
    condition: AlertCondition
    window_minutes: int
    cooldown_minutes: int
    scope: AlertScope
    no_data: str
    auto_resolve: bool
    channels: _containers.RepeatedCompositeFieldContainer[AlertChannel]
    set_channels: bool
    enabled: bool
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., module: _Optional[str] = ..., metric: _Optional[str] = ..., condition: _Optional[_Union[AlertCondition, _Mapping]] = ..., window_minutes: _Optional[int] = ..., cooldown_minutes: _Optional[int] = ..., scope: _Optional[_Union[AlertScope, _Mapping]] = ..., no_data: _Optional[str] = ..., auto_resolve: _Optional[bool] = ..., channels: _Optional[_Iterable[_Union[AlertChannel, _Mapping]]] = ..., set_channels: _Optional[bool] = ..., enabled: _Optional[bool] = ...) -> None: ...

class UpdateAlertRuleResponse(_message.Message):
    __slots__ = ("rule",)
    RULE_FIELD_NUMBER: _ClassVar[int]
    rule: AlertRule
    def __init__(self, rule: _Optional[_Union[AlertRule, _Mapping]] = ...) -> None: ...

class DeleteAlertRuleRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteAlertRuleResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class ListAlertEventsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "rule_id", "incident_id")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    INCIDENT_ID_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    rule_id: str
    incident_id: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., rule_id: _Optional[str] = ..., incident_id: _Optional[str] = ...) -> None: ...

class ListAlertEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[AlertEvent]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[AlertEvent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AcknowledgeAlertEventRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class AcknowledgeAlertEventResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: AlertEvent
    def __init__(self, event: _Optional[_Union[AlertEvent, _Mapping]] = ...) -> None: ...

class ListIncidentsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "status", "rule_id", "severity")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    status: str
    rule_id: str
    severity: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., status: _Optional[str] = ..., rule_id: _Optional[str] = ..., severity: _Optional[str] = ...) -> None: ...

class ListIncidentsResponse(_message.Message):
    __slots__ = ("incidents", "next_page_token")
    INCIDENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    incidents: _containers.RepeatedCompositeFieldContainer[Incident]
    next_page_token: str
    def __init__(self, incidents: _Optional[_Iterable[_Union[Incident, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetIncidentRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetIncidentResponse(_message.Message):
    __slots__ = ("incident",)
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    incident: Incident
    def __init__(self, incident: _Optional[_Union[Incident, _Mapping]] = ...) -> None: ...

class UpdateIncidentRequest(_message.Message):
    __slots__ = ("id", "status", "severity", "assigned_to")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_TO_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: str
    severity: str
    assigned_to: str
    def __init__(self, id: _Optional[str] = ..., status: _Optional[str] = ..., severity: _Optional[str] = ..., assigned_to: _Optional[str] = ...) -> None: ...

class UpdateIncidentResponse(_message.Message):
    __slots__ = ("incident",)
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    incident: Incident
    def __init__(self, incident: _Optional[_Union[Incident, _Mapping]] = ...) -> None: ...

class AddIncidentNoteRequest(_message.Message):
    __slots__ = ("id", "content")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    content: str
    def __init__(self, id: _Optional[str] = ..., content: _Optional[str] = ...) -> None: ...

class AddIncidentNoteResponse(_message.Message):
    __slots__ = ("incident",)
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    incident: Incident
    def __init__(self, incident: _Optional[_Union[Incident, _Mapping]] = ...) -> None: ...
