"""The settings of the vector service."""

from dataclasses import dataclass

from core.config import setting
from core.http.guard import OutboundSettings
from core.sealing import SealingSettings


@dataclass(frozen=True)
class Settings:
    """Vector providers, indexes and vectors"""

    sealing: SealingSettings
    outbound: OutboundSettings
    embedded: bool = setting(
        "PORTICO_VECTOR_EMBEDDED",
        default=True,
        help="Whether projects may keep vectors in the service itself, on its own disk. Turn it off to run several "
        "replicas: vectors then lie on Qdrant and PostgreSQL servers alone, and projects have no default provider.",
    )
    workers: int = setting(
        "PORTICO_VECTOR_HOSTS", default=2, min=1, max=64, help="Processes that small embedded indexes are spread over."
    )
    open_indexes: int = setting(
        "PORTICO_VECTOR_OPEN_INDEXES", default=64, min=1, max=4096, help="Small embedded indexes open at once."
    )
    large_indexes: int = setting(
        "PORTICO_VECTOR_LARGE_INDEXES",
        default=8,
        min=1,
        max=1024,
        help="Large embedded indexes open at once, each in a process of its own.",
    )
    engines: int = setting(
        "PORTICO_VECTOR_ENGINES", default=200, min=1, help="Connections to other engines kept, one per provider."
    )
    engine_idle_seconds: float = setting(
        "PORTICO_VECTOR_ENGINE_IDLE_SECONDS", default=600.0, min=1, help="After which an unused connection is closed."
    )
    max_answer_mb: int = setting(
        "PORTICO_VECTOR_MAX_ANSWER_MB",
        default=16,
        min=1,
        max=1024,
        help="MiB of the largest answer taken from a Qdrant or PostgreSQL server.",
    )
    lookup_seconds: float = setting(
        "PORTICO_VECTOR_LOOKUP_SECONDS",
        default=2.0,
        min=0,
        max=60,
        help="How long another replica's change of an index may stay unseen.",
    )
    query_log_buffer: int = setting(
        "PORTICO_VECTOR_QUERY_LOG_BUFFER", default=100_000, min=1, help="Query log entries held until they are written."
    )
    query_log_days: float = setting(
        "PORTICO_VECTOR_QUERY_LOG_DAYS", default=30.0, min=0.01, help="How long the query log is kept."
    )
    jobs: int = setting("PORTICO_VECTOR_JOBS", default=4, min=1, max=100, help="Migrations that run at a time.")
    job_lease_seconds: float = setting(
        "PORTICO_VECTOR_JOB_LEASE_SECONDS",
        default=15.0,
        min=1,
        help="How soon after a crash another process goes on with a migration.",
    )
