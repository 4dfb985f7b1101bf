"""The settings of the tracing service."""

from dataclasses import dataclass

from core.config import setting


@dataclass(frozen=True)
class Settings:
    """Traces"""

    retention_days: float = setting(
        "PORTICO_TRACING_RETENTION_DAYS",
        default=30.0,
        min=0,
        max=3650,
        help="Days after which a session that nothing was added to is removed, unless its tenant has set another "
        "number; 0: never.",
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
