"""Records of alerts. Times are Unix seconds."""

from collections.abc import Mapping
from typing import ClassVar

from core.storage.ports import BOOLEAN, JSON, TEXT, TIME, Collection, Level
from core.storage.table import Record

EMAIL, WEBHOOK, SLACK = "email", "webhook", "slack"
CHANNEL_TYPES = (EMAIL, WEBHOOK, SLACK)
IGNORE, FIRE, RESOLVE = "ignore", "fire", "resolve"
NO_DATA = (IGNORE, FIRE, RESOLVE)

OPEN, ACKNOWLEDGED, INVESTIGATING, RESOLVED, CLOSED = "open", "acknowledged", "investigating", "resolved", "closed"
UNRESOLVED = (OPEN, ACKNOWLEDGED, INVESTIGATING)
STATES = (*UNRESOLVED, RESOLVED, CLOSED)
FIRED, REOPENED = "fired", "reopened"
AUTO = "auto"
"""The resolver of an incident whose condition is no longer met."""

PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"


class Channel(Record, frozen=True):
    """A destination of a rule's notifications. `sealed` holds url and secret, of which `origin` alone may be seen."""

    hidden: ClassVar[frozenset[str]] = frozenset({"sealed"})

    id: str
    type: str
    recipients: tuple[str, ...] = ()
    origin: str = ""
    sealed: str = ""


class AlertRule(Record, frozen=True):
    """A rule. `filters` are its scope, by names of `metrics.SCOPES`."""

    id: str
    name: str
    description: str
    module: str
    metric: str
    operator: str
    threshold: float
    window_minutes: int
    cooldown_minutes: int
    created_at: float
    updated_at: float
    filters: Mapping[str, str] = {}
    no_data: str = IGNORE
    auto_resolve: bool = True
    channels: tuple[Channel, ...] = ()
    enabled: bool = True
    last_evaluated_at: float | None = None
    last_value: float | None = None
    last_error: str = ""
    last_triggered_at: float | None = None

    @property
    def watched(self) -> tuple[object, ...]:
        """The part of the rule that an open incident is about."""
        return (self.module, self.metric, self.operator, self.threshold, self.window_minutes, dict(self.filters))


class IncidentNote(Record, frozen=True):
    user_id: str
    content: str
    created_at: float


class Incident(Record, frozen=True):
    """The outcome of a rule whose condition was met. `open_key` is the rule's id while it is unresolved, and unique.

    Every change between open and resolved counts in `transitions` and is `unannounced` (fired, reopened or resolved)
    until it stands in the history and its notifications are queued: so neither is lost nor repeated by a crash.
    `told`: its firing was notified, so its end is, too.
    """

    id: str
    rule_id: str
    rule_name: str
    module: str
    metric: str
    severity: str
    condition: str
    fired_at: float
    created_at: float
    status: str = OPEN
    last_value: float | None = None
    assigned_to: str = ""
    notes: tuple[IncidentNote, ...] = ()
    note_count: int = 0
    acknowledged_at: float | None = None
    resolved_at: float | None = None
    resolved_by: str = ""
    closed_at: float | None = None
    open_key: str | None = None
    transitions: int = 1
    unannounced: str | None = FIRED
    told: bool = False
    expires_at: float | None = None


class AlertEvent(Record, frozen=True):
    """An entry of the history."""

    id: str
    rule_id: str
    rule_name: str
    status: str
    metric: str
    unit: str
    operator: str
    threshold: float
    window_minutes: int
    created_at: float
    incident_id: str
    expires_at: float
    value: float | None = None
    acknowledged_by: str = ""
    acknowledged_at: float | None = None


class Delivery(Record, frozen=True):
    """One notification of an event to one recipient or webhook."""

    id: str
    event_id: str
    rule_id: str
    incident_id: str
    channel_id: str
    type: str
    target: str
    created_at: float
    expires_at: float
    status: str = PENDING
    error: str = ""
    ended_at: float | None = None


RULES = Collection(
    "alert_rules",
    Level.PROJECT,
    {"createdAt": TIME, "enabled": BOOLEAN, "channels": JSON, "filters": JSON},
    indexes=(("createdAt",),),
    sealed={"channels.*.sealed": "channel {id}"},
)
INCIDENTS = Collection(
    "alert_incidents",
    Level.PROJECT,
    {
        "ruleId": TEXT,
        "status": TEXT,
        "severity": TEXT,
        "openKey": TEXT,
        "unannounced": TEXT,
        "createdAt": TIME,
        "expiresAt": TIME,
        "notes": JSON,
    },
    unique=(("openKey",),),
    indexes=(("createdAt",), ("ruleId", "createdAt"), ("status", "createdAt"), ("unannounced",)),
    expiry="expiresAt",
)
EVENTS = Collection(
    "alert_events",
    Level.PROJECT,
    {"ruleId": TEXT, "incidentId": TEXT, "createdAt": TIME, "expiresAt": TIME},
    indexes=(("createdAt",), ("ruleId", "createdAt"), ("incidentId", "createdAt")),
    expiry="expiresAt",
)
DELIVERIES = Collection(
    "alert_deliveries",
    Level.PROJECT,
    {"eventId": TEXT, "createdAt": TIME, "expiresAt": TIME},
    indexes=(("eventId", "createdAt"),),
    expiry="expiresAt",
)
COLLECTIONS = (RULES, INCIDENTS, EVENTS, DELIVERIES)
