"""AlertService."""

import time

from core import fields
from core.context import identity
from core.rpc.call import CallContext
from portico.tracing.v1 import alert_service_pb2 as pb
from portico.tracing.v1 import alert_service_pb2_grpc
from services.tracing import mapping_alerts as mapping
from services.tracing.domain.alerts.incidents import Incidents
from services.tracing.domain.alerts.notifications import History
from services.tracing.domain.alerts.records import ACKNOWLEDGED, OPEN
from services.tracing.domain.alerts.rules import AlertRules
from services.tracing.mapping_monitoring import given


class AlertServicer(alert_service_pb2_grpc.AlertServiceServicer):
    def __init__(self, rules: AlertRules, incidents: Incidents, history: History, *, mail_enabled: bool) -> None:
        self._rules = rules
        self._incidents = incidents
        self._history = history
        self._mail_enabled = mail_enabled

    async def GetAlertMetrics(
        self, request: pb.GetAlertMetricsRequest, context: CallContext
    ) -> pb.GetAlertMetricsResponse:
        return pb.GetAlertMetricsResponse(metrics=mapping.alert_metrics(), mail_enabled=self._mail_enabled)

    async def ListAlertRules(
        self, request: pb.ListAlertRulesRequest, context: CallContext
    ) -> pb.ListAlertRulesResponse:
        project = identity().project
        rules, following = await self._rules.page(project, request.page_size, request.page_token)
        unresolved = await self._incidents.open_of(project, [rule.id for rule in rules])
        return pb.ListAlertRulesResponse(
            rules=[mapping.rule(rule, unresolved.get(rule.id)) for rule in rules], next_page_token=following
        )

    async def CreateAlertRule(
        self, request: pb.CreateAlertRuleRequest, context: CallContext
    ) -> pb.CreateAlertRuleResponse:
        made = await self._rules.create(identity().project, mapping.new_rule(request))
        return pb.CreateAlertRuleResponse(rule=mapping.rule(made.rule, secrets=made.secrets))

    async def GetAlertRule(self, request: pb.GetAlertRuleRequest, context: CallContext) -> pb.GetAlertRuleResponse:
        project = identity().project
        rule = await self._rules.get(project, request.id)
        unresolved = await self._incidents.open_of(project, [rule.id])
        return pb.GetAlertRuleResponse(rule=mapping.rule(rule, unresolved.get(rule.id)))

    async def UpdateAlertRule(
        self, request: pb.UpdateAlertRuleRequest, context: CallContext
    ) -> pb.UpdateAlertRuleResponse:
        caller = identity()
        made = await self._rules.update(caller.project, request.id, mapping.rule_changes(request), caller.subject)
        unresolved = await self._incidents.open_of(caller.project, [request.id])
        return pb.UpdateAlertRuleResponse(rule=mapping.rule(made.rule, unresolved.get(request.id), made.secrets))

    async def DeleteAlertRule(
        self, request: pb.DeleteAlertRuleRequest, context: CallContext
    ) -> pb.DeleteAlertRuleResponse:
        await self._rules.delete(identity().project, request.id, identity().subject)
        return pb.DeleteAlertRuleResponse(success=True)

    async def ListAlertEvents(
        self, request: pb.ListAlertEventsRequest, context: CallContext
    ) -> pb.ListAlertEventsResponse:
        project = identity().project
        given = {"ruleId": request.rule_id, "incidentId": request.incident_id}
        events, following = await self._history.events.page(
            project,
            {name: value for name, value in given.items() if value},
            page_size=fields.page_size(request.page_size),
            page_token=request.page_token,
        )
        deliveries = await self._history.deliveries_of(project, events)
        return pb.ListAlertEventsResponse(
            events=[mapping.event(event, deliveries[event.id]) for event in events], next_page_token=following
        )

    async def AcknowledgeAlertEvent(
        self, request: pb.AcknowledgeAlertEventRequest, context: CallContext
    ) -> pb.AcknowledgeAlertEventResponse:
        caller = identity()
        event = await self._history.get(caller.project, request.id)
        if not event.acknowledged_by:
            changed = await self._history.events.update(
                caller.project, event.id, acknowledged_by=caller.subject, acknowledged_at=time.time()
            )
            event = changed or event
        incident = await self._incidents.table.get(caller.project, event.incident_id)
        if incident is not None and incident.status == OPEN:
            await self._incidents.update(caller.project, incident.id, caller.subject, status=ACKNOWLEDGED)
        deliveries = await self._history.deliveries_of(caller.project, [event])
        return pb.AcknowledgeAlertEventResponse(event=mapping.event(event, deliveries[event.id]))

    async def ListIncidents(self, request: pb.ListIncidentsRequest, context: CallContext) -> pb.ListIncidentsResponse:
        where = {"status": request.status, "ruleId": request.rule_id, "severity": request.severity}
        found, following = await self._incidents.page(identity().project, where, request.page_size, request.page_token)
        return pb.ListIncidentsResponse(incidents=map(mapping.incident, found), next_page_token=following)

    async def GetIncident(self, request: pb.GetIncidentRequest, context: CallContext) -> pb.GetIncidentResponse:
        return pb.GetIncidentResponse(
            incident=mapping.incident(await self._incidents.get(identity().project, request.id))
        )

    async def UpdateIncident(
        self, request: pb.UpdateIncidentRequest, context: CallContext
    ) -> pb.UpdateIncidentResponse:
        caller = identity()
        updated = await self._incidents.update(
            caller.project,
            request.id,
            caller.subject,
            **given(request, "status", "severity", "assigned_to"),
        )
        return pb.UpdateIncidentResponse(incident=mapping.incident(updated))

    async def AddIncidentNote(
        self, request: pb.AddIncidentNoteRequest, context: CallContext
    ) -> pb.AddIncidentNoteResponse:
        caller = identity()
        noted = await self._incidents.add_note(caller.project, request.id, caller.subject, request.content)
        return pb.AddIncidentNoteResponse(incident=mapping.incident(noted))
