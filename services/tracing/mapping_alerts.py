"""Between the messages of AlertService and the values of the domain."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.rpc.values import timestamp_of
from portico.tracing.v1 import alert_service_pb2 as pb
from services.tracing.domain.alerts import metrics
from services.tracing.domain.alerts.channels import GivenChannel
from services.tracing.domain.alerts.records import WEBHOOK, AlertEvent, AlertRule, Channel, Delivery, Incident
from services.tracing.domain.alerts.rules import RuleChanges
from services.tracing.mapping_monitoring import given

_PLAIN = (
    "name",
    "description",
    "module",
    "metric",
    "window_minutes",
    "cooldown_minutes",
    "no_data",
    "auto_resolve",
    "enabled",
)
_SCOPES = {
    "model_key": metrics.MODEL,
    "server_key": metrics.SERVER,
    "guardrail_key": metrics.GUARDRAIL,
    "rag_module_key": metrics.RAG_MODULE,
}


def alert_metrics() -> list[pb.AlertMetric]:
    return [
        pb.AlertMetric(module=each.module, metric=each.name, label=each.label, unit=each.unit, scopes=each.scopes)
        for each in metrics.METRICS.values()
    ]


def new_rule(request: pb.CreateAlertRuleRequest) -> RuleChanges:
    """A new rule, whose empty values mean the defaults."""
    optional = given(request, "cooldown_minutes", "auto_resolve", "enabled")
    return RuleChanges(
        name=request.name,
        description=request.description,
        module=request.module,
        metric=request.metric,
        window_minutes=request.window_minutes or None,
        no_data=request.no_data or None,
        channels=_channels(request.channels),
        filters=_scope(request.scope),
        **_condition(request),
        **optional,
    )


def rule_changes(request: pb.UpdateAlertRuleRequest) -> RuleChanges:
    return RuleChanges(
        **given(request, *_PLAIN),
        **_condition(request),
        filters=_scope(request.scope) if request.HasField("scope") else None,
        channels=_channels(request.channels) if request.set_channels or request.channels else None,
    )


def rule(found: AlertRule, incident: Incident | None = None, secrets: Mapping[str, str] | None = None) -> pb.AlertRule:
    return pb.AlertRule(
        id=found.id,
        record_id=found.id,
        name=found.name,
        description=found.description,
        module=found.module,
        metric=found.metric,
        condition=pb.AlertCondition(operator=found.operator, threshold=found.threshold),
        window_minutes=found.window_minutes,
        cooldown_minutes=found.cooldown_minutes,
        scope=pb.AlertScope(**{name: found.filters.get(field, "") for name, field in _SCOPES.items()}),
        no_data=found.no_data,
        auto_resolve=found.auto_resolve,
        channels=[_channel(each, (secrets or {}).get(each.id, "")) for each in found.channels],
        enabled=found.enabled,
        last_evaluated_at=timestamp_of(found.last_evaluated_at),
        last_value=found.last_value,
        last_error=found.last_error,
        last_triggered_at=timestamp_of(found.last_triggered_at),
        open_incident_id=incident.id if incident else "",
        created_at=timestamp_of(found.created_at),
        updated_at=timestamp_of(found.updated_at),
    )


def event(found: AlertEvent, deliveries: Sequence[Delivery] = ()) -> pb.AlertEvent:
    return pb.AlertEvent(
        id=found.id,
        rule_id=found.rule_id,
        rule_name=found.rule_name,
        status=found.status,
        metric=found.metric,
        unit=found.unit,
        operator=found.operator,
        threshold=found.threshold,
        window_minutes=found.window_minutes,
        actual_value=found.value,
        fired_at=timestamp_of(found.created_at),
        incident_id=found.incident_id,
        channels=[
            pb.AlertDelivery(
                type=each.type,
                target=each.target,
                status=each.status,
                error=each.error,
                ended_at=timestamp_of(each.ended_at),
            )
            for each in deliveries
        ],
        acknowledged_by=found.acknowledged_by,
        acknowledged_at=timestamp_of(found.acknowledged_at),
    )


def incident(found: Incident) -> pb.Incident:
    return pb.Incident(
        id=found.id,
        record_id=found.id,
        rule_id=found.rule_id,
        rule_name=found.rule_name,
        metric=found.metric,
        severity=found.severity,
        status=found.status,
        condition=found.condition,
        last_value=found.last_value,
        assigned_to=found.assigned_to,
        notes=[
            pb.IncidentNote(user_id=note.user_id, content=note.content, created_at=timestamp_of(note.created_at))
            for note in found.notes
        ],
        fired_at=timestamp_of(found.fired_at),
        acknowledged_at=timestamp_of(found.acknowledged_at),
        resolved_at=timestamp_of(found.resolved_at),
        resolved_by=found.resolved_by,
        closed_at=timestamp_of(found.closed_at),
    )


def _condition(request: Any) -> dict[str, Any]:
    if not request.HasField("condition"):
        return {}
    return {"operator": request.condition.operator, "threshold": request.condition.threshold}


def _scope(scope: pb.AlertScope) -> dict[str, str]:
    return {field: value for name, field in _SCOPES.items() if (value := getattr(scope, name))}


def _channels(channels: Sequence[pb.AlertChannel]) -> tuple[GivenChannel, ...]:
    return tuple(GivenChannel(each.type, each.id, tuple(each.recipients), each.url, each.secret) for each in channels)


def _channel(found: Channel, secret: str) -> pb.AlertChannel:
    return pb.AlertChannel(
        id=found.id,
        type=found.type,
        recipients=found.recipients,
        url=found.origin,
        secret=secret,
        has_secret=found.type == WEBHOOK,
    )
