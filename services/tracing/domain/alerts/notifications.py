"""Notifications of incidents: an entry of the history, and a durable job for each recipient and webhook.

The record of a delivery says whether it is done, so a job that runs twice notifies once, unless its process is killed
between the answer of the other side and the record. A mail then has the same Message-ID, a webhook the same delivery
id.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from core.errors import Conflict, NotFound
from core.jobs.ends import JobEnd
from core.jobs.jobs import Jobs
from core.jobs.records import Status
from core.jobs.run import JobRun
from core.mail.mailer import Mails
from core.mail.mails import AlertFired, AlertResolved, MailContent
from core.mail.rendering import time_text
from core.storage.ports import Cond, DocumentStore, Op, Order
from core.storage.table import Table
from core.tenancy import Project
from services.tracing.domain.alerts.channels import MAX_RECIPIENTS, Channels
from services.tracing.domain.alerts.incidents import Incidents
from services.tracing.domain.alerts.metrics import METRICS, with_unit
from services.tracing.domain.alerts.records import (
    DELIVERED,
    DELIVERIES,
    EMAIL,
    EVENTS,
    FAILED,
    FIRED,
    PENDING,
    RESOLVED,
    SLACK,
    AlertEvent,
    AlertRule,
    Channel,
    Delivery,
    Incident,
)
from services.tracing.domain.alerts.rules import AlertRules
from services.tracing.ports import Administrators, PostWebhook

KIND = "tracing.notification"
SIGNATURE = "X-Portico-Signature"
_MAX_ATTEMPTS = 20
_LONGEST_ERROR = 300


class History:
    """The entries of the history and the results of their notifications."""

    def __init__(self, store: DocumentStore) -> None:
        self.events = Table(store, EVENTS, AlertEvent)
        self.deliveries = Table(store, DELIVERIES, Delivery)

    async def deliveries_of(self, project: Project, events: Sequence[AlertEvent]) -> Mapping[str, list[Delivery]]:
        """The deliveries of each of these events, by event."""
        found: dict[str, list[Delivery]] = {event.id: [] for event in events}
        if found:
            where = {"eventId": Cond(Op.IN, list(found))}
            async for delivery in self.deliveries.scan(project, where, order=Order(descending=False)):
                found[delivery.event_id].append(delivery)
        return found

    async def get(self, project: Project, id: str) -> AlertEvent:
        """Raises NotFound."""
        event = await self.events.get(project, id)
        if event is None:
            raise NotFound("There is no such event.", reason="ALERT_EVENT_NOT_FOUND", field="id")
        return event

    async def remove_all(self, project: Project) -> None:
        await self.events.delete_where(project, {})
        await self.deliveries.delete_where(project, {})


class Notifications:
    """`keep_seconds`: how long entries of the history are kept."""

    def __init__(
        self,
        jobs: Jobs,
        history: History,
        rules: AlertRules,
        incidents: Incidents,
        channels: Channels,
        mails: Mails,
        webhook: PostWebhook,
        administrators: Administrators,
        *,
        keep_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._jobs = jobs
        self._history = history
        self._rules = rules
        self._incidents = incidents
        self._channels = channels
        self._mails = mails
        self._webhook = webhook
        self._administrators = administrators
        self._keep_seconds = keep_seconds
        self._clock = clock
        jobs.handle(KIND, self._run, None, on_end=self._ended)

    async def announce(self, project: Project, incident: Incident) -> None:
        """Write the last change of an incident into the history, and queue its notifications. Safe to repeat, until it
        has come to an end. Raises PorticoError where the recipients cannot be had now."""
        assert incident.unannounced is not None
        rule = await self._rules.table.get(project, incident.rule_id)
        tells = rule is not None and (
            incident.unannounced == FIRED or (incident.unannounced == RESOLVED and incident.told)
        )
        targets = await self._targets(project, rule) if rule is not None and tells else []
        event = self._event(incident, rule)
        with suppress(Conflict):  # the process was killed when it had come so far
            await self._history.events.insert(project, event)
        deliveries = [self._delivery(event, channel, target) for channel, target in targets]
        if deliveries:
            await self._history.deliveries.insert_many(project, deliveries)
        for delivery in deliveries:
            stored = await self._history.deliveries.get(project, delivery.id)
            if stored is not None and stored.status == PENDING:
                await self._queue(project, stored)
        told = incident.unannounced == FIRED or (incident.told and incident.unannounced != RESOLVED)
        await self._incidents.announced(project, incident, told=told)

    async def _queue(self, project: Project, delivery: Delivery) -> None:
        with suppress(Conflict):  # it is under way
            await self._jobs.submit(
                project,
                KIND,
                {"delivery": delivery.id},
                unique_key=f"{KIND} {delivery.id}",
                max_attempts=_MAX_ATTEMPTS,
            )

    async def _targets(self, project: Project, rule: AlertRule) -> list[tuple[Channel, str]]:
        """The targets of a rule's notifications: each channel with an address or the origin of its webhook."""
        found: list[tuple[Channel, str]] = []
        for channel in rule.channels:
            if channel.type != EMAIL:
                found.append((channel, channel.origin))
                continue
            recipients = channel.recipients or tuple(await self._administrators(project))[:MAX_RECIPIENTS]
            found += [(channel, recipient) for recipient in recipients]
        return found

    def _event(self, incident: Incident, rule: AlertRule | None) -> AlertEvent:
        metric = METRICS[incident.module, incident.metric]
        at = {FIRED: incident.fired_at, RESOLVED: incident.resolved_at}.get(incident.unannounced or "") or self._clock()
        return AlertEvent(
            id=f"{incident.id}-{incident.transitions}",
            rule_id=incident.rule_id,
            rule_name=incident.rule_name,
            status=incident.unannounced or FIRED,
            metric=incident.metric,
            unit=metric.unit,
            operator=rule.operator if rule else "",
            threshold=rule.threshold if rule else 0.0,
            window_minutes=rule.window_minutes if rule else 0,
            created_at=at,
            incident_id=incident.id,
            expires_at=at + self._keep_seconds,
            value=incident.last_value,
        )

    def _delivery(self, event: AlertEvent, channel: Channel, target: str) -> Delivery:
        name = hashlib.sha256(f"{event.id} {channel.id} {target}".encode()).hexdigest()[:32]
        return Delivery(
            id=name,
            event_id=event.id,
            rule_id=event.rule_id,
            incident_id=event.incident_id,
            channel_id=channel.id,
            type=channel.type,
            target=target,
            created_at=event.created_at,
            expires_at=event.expires_at,
        )

    async def _run(self, run: JobRun) -> None:
        project = run.scope
        delivery = await self._history.deliveries.get(project, str(run.payload["delivery"]))
        if delivery is None or delivery.status != PENDING:
            return
        event = await self._history.get(project, delivery.event_id)
        incident = await self._incidents.get(project, delivery.incident_id)
        if delivery.type == EMAIL:
            await self._mails.deliver(delivery.target, _mail(project, event, incident), key=delivery.id)
        else:
            await self._post(project, delivery, event, incident)
        await self._history.deliveries.update(project, delivery.id, status=DELIVERED, ended_at=self._clock())

    async def _post(self, project: Project, delivery: Delivery, event: AlertEvent, incident: Incident) -> None:
        rule = await self._rules.table.get(project, delivery.rule_id)
        channel = next((each for each in rule.channels if each.id == delivery.channel_id), None) if rule else None
        if channel is None:
            raise NotFound("The channel was removed meanwhile.", reason="CHANNEL_REMOVED")
        endpoint = self._channels.endpoint(project, channel)
        if delivery.type == SLACK:
            body, headers = orjson.dumps({"text": _slack_text(event, incident)}), {}
        else:
            body = orjson.dumps(_webhook_body(project, event, incident))
            headers = signature(endpoint.secret, body, int(self._clock()))
            headers |= {"X-Portico-Event": f"alert.{event.status}", "X-Portico-Delivery": delivery.id}
        await self._webhook(endpoint.url, body, {"Content-Type": "application/json", **headers})

    async def _ended(self, end: JobEnd) -> None:
        """Note in the history that a notification has failed for good."""
        if end.status is not Status.SUCCEEDED:
            await self._history.deliveries.update(
                end.scope,
                str(end.payload["delivery"]),
                where={"status": PENDING},
                status=FAILED,
                error=(end.error or "It was cancelled.")[:_LONGEST_ERROR],
                ended_at=self._clock(),
            )


def signature(secret: str, body: bytes, at: int) -> dict[str, str]:
    """The header that signs a webhook's body: HMAC-SHA256 of "<seconds>.<body>" in hexadecimal."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {SIGNATURE: f"t={at},v1={digest}"}


def _mail(project: Project, event: AlertEvent, incident: Incident) -> MailContent:
    values: dict[str, Any] = {
        "alert_name": incident.rule_name,
        "severity": incident.severity,
        "project_id": project.id,
        "tenant": project.tenant.slug,
        "condition": incident.condition,
        "value": with_unit(event.value, event.unit),
        "fired_at": time_text(incident.fired_at),
        "incident_id": incident.id,
    }
    if event.status == RESOLVED:
        return AlertResolved(**values, resolved_at=time_text(event.created_at))
    return AlertFired(**values)


def _webhook_body(project: Project, event: AlertEvent, incident: Incident) -> dict[str, Any]:
    return {
        "type": f"alert.{event.status}",
        "id": event.id,
        "createdAt": event.created_at,
        "tenant": project.tenant.slug,
        "projectId": project.id,
        "alert": {
            "ruleId": event.rule_id,
            "name": incident.rule_name,
            "metric": event.metric,
            "operator": event.operator,
            "threshold": event.threshold,
            "unit": event.unit,
            "windowMinutes": event.window_minutes,
            "value": event.value,
            "condition": incident.condition,
        },
        "incident": {"id": incident.id, "severity": incident.severity, "firedAt": incident.fired_at},
    }


def _slack_text(event: AlertEvent, incident: Incident) -> str:
    """A message in Slack's markup, in which three characters are escaped."""
    head = f"*Resolved: {incident.rule_name}*" if event.status == RESOLVED else f"*{incident.rule_name}*"
    text = f"{head} ({incident.severity})\n{incident.condition}\nMeasured: {with_unit(event.value, event.unit)}"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
