"""Records of inference monitoring. Times are Unix seconds."""

from typing import ClassVar

from core.storage.ports import BOOLEAN, JSON, TEXT, TIME, Collection, Level
from core.storage.table import Record
from services.tracing.domain.monitoring.readings import Counters, Readings

ACTIVE, DISABLED = "active", "disabled"
UP, DOWN, UNKNOWN = "up", "down", "unknown"


class InferenceServer(Record, frozen=True):
    """A server that is polled. `sealed` holds its API key; empty: it has none. `counters` are those of the last poll
    that succeeded."""

    hidden: ClassVar[frozenset[str]] = frozenset({"sealed"})

    id: str
    key: str
    name: str
    type: str
    base_url: str
    poll_interval_seconds: int
    created_at: float
    updated_at: float
    status: str = ACTIVE
    sealed: str = ""
    health: str = UNKNOWN
    """up, down or unknown (not polled yet)."""
    last_polled_at: float | None = None
    last_error: str = ""
    counters: Counters | None = None


class MetricRow(Record, frozen=True):
    """One poll of a server. Without readings where it was down."""

    id: str
    server_id: str
    at: float
    up: bool
    expires_at: float
    readings: Readings | None = None
    error: str = ""
    interval_seconds: float = 0.0
    """Time that rates and means are over; 0: there was nothing to compare with."""


SERVERS = Collection(
    "inference_servers",
    Level.PROJECT,
    {"key": TEXT, "status": TEXT, "createdAt": TIME, "lastPolledAt": TIME, "counters": JSON},
    unique=(("key",),),
    indexes=(("createdAt",),),
    sealed={"sealed": "{id}"},
)
METRICS = Collection(
    "inference_metrics",
    Level.PROJECT,
    {"serverId": TEXT, "at": TIME, "up": BOOLEAN, "expiresAt": TIME, "readings": JSON},
    indexes=(("serverId", "at"), ("at",)),
    expiry="expiresAt",
)
COLLECTIONS = (SERVERS, METRICS)
