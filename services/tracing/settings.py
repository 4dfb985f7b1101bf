"""The settings of the tracing service."""

from dataclasses import dataclass

from core.config import setting
from core.http.guard import OutboundSettings
from core.mail.settings import MailSettings
from core.sealing import SealingSettings


@dataclass(frozen=True)
class MonitoringSettings:
    """Inference monitoring and alerts"""

    min_poll_seconds: int = setting(
        "PORTICO_MONITORING_MIN_POLL_SECONDS",
        default=10,
        min=1,
        max=3600,
        help="Shortest interval between two polls of an inference server.",
    )
    poll_timeout_seconds: float = setting(
        "PORTICO_MONITORING_POLL_TIMEOUT_SECONDS",
        default=10.0,
        min=0.1,
        max=60,
        help="Time that an inference server has for each phase of an answer: connection, headers, body.",
    )
    retention_days: float = setting(
        "PORTICO_MONITORING_RETENTION_DAYS", default=14.0, min=0.01, max=3650, help="How long polls are kept."
    )
    alert_seconds: float = setting(
        "PORTICO_ALERT_SECONDS", default=60.0, min=0.5, max=3600, help="Pause between two evaluations of alert rules."
    )
    webhook_seconds: float = setting(
        "PORTICO_ALERT_WEBHOOK_SECONDS", default=10.0, min=0.1, max=60, help="Time limit of a webhook's answer."
    )
    history_days: float = setting(
        "PORTICO_ALERT_HISTORY_DAYS", default=365.0, min=1, max=3650, help="How long events of alerts are kept."
    )


@dataclass(frozen=True)
class NeighbourSettings:
    """Portico's other services, as the tracing service reaches them"""

    inference_address: str = setting(
        "PORTICO_INFERENCE_ADDRESS",
        default="127.0.0.1:50052",
        help="host:port of inference, for embeddings, chats and reranking.",
    )
    rag_address: str = setting("PORTICO_RAG_ADDRESS", default="127.0.0.1:50054", help="host:port of rag.")


@dataclass(frozen=True)
class Settings:
    """Traces"""

    sealing: SealingSettings
    outbound: OutboundSettings
    mail: MailSettings
    monitoring: MonitoringSettings
    neighbours: NeighbourSettings
    retention_days: float = setting(
        "PORTICO_TRACING_RETENTION_DAYS",
        default=30.0,
        min=0,
        max=3650,
        help="Days after which a session that nothing was added to is removed, unless its tenant has set another "
        "number; 0: never.",
    )
    niceness: int = setting(
        "PORTICO_TRACING_NICENESS",
        default=5,
        min=0,
        max=19,
        help="How far the process stands back where the processor is short, so that spans do not slow chats down.",
    )
    max_body_mb: int = setting(
        "PORTICO_TRACING_MAX_BODY_MB",
        default=16,
        min=1,
        max=32,
        help="MiB of the largest body of spans or events that is taken, unpacked.",
    )
    waiting_mb: int = setting(
        "PORTICO_TRACING_WAITING_MB",
        default=32,
        min=1,
        help="MiB of a tenant's spans and events that may wait to be written.",
    )
