"""The settings of the rag service."""

from dataclasses import dataclass
from pathlib import Path

from core.config import setting
from core.http.guard import OutboundSettings
from core.sealing import SealingSettings


@dataclass(frozen=True)
class ConversionSettings:
    """Conversion of files to Markdown"""

    seconds: int = setting(
        "PORTICO_CONVERSION_SECONDS", default=60, min=1, max=3600, help="Time that one document may take."
    )
    memory_mb: int = setting(
        "PORTICO_CONVERSION_MEMORY_MB",
        default=1024,
        min=256,
        help="MiB of address space of one conversion, the libraries' 30 to 200 included.",
    )
    max_mb: int = setting(
        "PORTICO_CONVERSION_MAX_MB", default=100, min=1, help="MiB of the largest file that is converted."
    )
    max_output_mb: int = setting(
        "PORTICO_CONVERSION_MAX_OUTPUT_MB", default=20, min=1, help="MiB of the longest Markdown kept."
    )
    workers: int = setting(
        "PORTICO_CONVERSION_WORKERS", default=2, min=1, max=64, help="Conversions at a time, each a process."
    )
    job_lease_seconds: float = setting(
        "PORTICO_CONVERSION_LEASE_SECONDS",
        default=15.0,
        min=1,
        help="How soon after a crash a conversion is begun again.",
    )


@dataclass(frozen=True)
class ServiceSettings:
    """Portico's other services, as the rag service reaches them"""

    inference_address: str = setting(
        "PORTICO_INFERENCE_ADDRESS",
        default="127.0.0.1:50052",
        help="host:port of inference, for embeddings, chats and reranking.",
    )
    vector_address: str = setting(
        "PORTICO_VECTOR_ADDRESS", default="127.0.0.1:50053", help="host:port of vector, for indexes."
    )


@dataclass(frozen=True)
class MemorySettings:
    """Memory of agents and chats"""

    grace_seconds: float = setting(
        "PORTICO_MEMORY_GRACE_SECONDS",
        default=600.0,
        min=1,
        help="After which the vectors of a change of memories that was cut off are removed.",
    )
    sweep_seconds: float = setting(
        "PORTICO_MEMORY_SWEEP_SECONDS",
        default=60.0,
        min=0.1,
        help="Pause between two looks for such vectors, and for those that have expired.",
    )


@dataclass(frozen=True)
class RetrievalSettings:
    """Queries of documents, and vector stores"""

    log_capacity: int = setting(
        "PORTICO_RAG_QUERY_LOG_CAPACITY", default=10_000, min=1, help="Ended queries held until they are written."
    )
    log_days: float = setting(
        "PORTICO_RAG_QUERY_LOG_DAYS", default=30.0, min=0.01, help="Days for which queries stay in their log."
    )
    embedding_model: str = setting(
        "PORTICO_VECTOR_STORES_EMBEDDING_MODEL",
        default="",
        help="Key of the embedding model of vector stores that name none; empty: the project's oldest.",
    )
    rewrite_model: str = setting(
        "PORTICO_VECTOR_STORES_REWRITE_MODEL",
        default="",
        help="Key of the chat model that rewrites queries (rewrite_query); empty: they are searched for as they are.",
    )


@dataclass(frozen=True)
class KnowledgeSettings:
    """Knowledge modules"""

    workers: int = setting(
        "PORTICO_INGESTION_WORKERS", default=8, min=1, max=256, help="Documents that are ingested at a time."
    )
    embeddings: int = setting(
        "PORTICO_INGESTION_EMBEDDINGS",
        default=4,
        min=1,
        max=256,
        help="Calls for embeddings that ingestion has under way at a time, of 32 chunks each.",
    )
    job_lease_seconds: float = setting(
        "PORTICO_INGESTION_LEASE_SECONDS",
        default=15.0,
        min=1,
        help="How soon after a crash an ingestion goes on.",
    )


@dataclass(frozen=True)
class Settings:
    """Files"""

    sealing: SealingSettings
    outbound: OutboundSettings
    conversion: ConversionSettings
    services: ServiceSettings
    memory: MemorySettings
    retrieval: RetrievalSettings
    knowledge: KnowledgeSettings
    folder: Path | None = setting(
        "PORTICO_FILES_DIR", default=None, help="Where files of the local driver lie; empty: files in the data folder."
    )
    max_mb: int = setting("PORTICO_FILES_MAX_MB", default=5120, min=1, max=81920, help="MiB of the largest file taken.")
    allowed_types: tuple[str, ...] = setting(
        "PORTICO_FILES_ALLOWED_TYPES",
        default=(),
        help="MIME types taken, such as application/pdf or image/*; empty: all.",
    )
    min_rate: float = setting(
        "PORTICO_FILES_MIN_RATE",
        default=1024.0,
        min=0,
        help="Bytes a second that an upload must bring on average, or it is refused with 408; 0: none.",
    )
    idle_seconds: float = setting(
        "PORTICO_FILES_IDLE_SECONDS",
        default=30.0,
        min=0.1,
        help="The time that this is averaged over, which an upload has from its beginning, and may pause for at most.",
    )
    grace_seconds: float = setting(
        "PORTICO_FILES_GRACE_SECONDS",
        default=3600.0,
        min=1,
        help="After which the remains of an upload or deletion that was cut off are removed.",
    )
    sweep_seconds: float = setting(
        "PORTICO_FILES_SWEEP_SECONDS", default=60.0, min=0.1, help="Pause between two looks for such remains."
    )
    stores: int = setting(
        "PORTICO_FILES_STORES", default=100, min=1, help="Connections to file providers kept, one per provider."
    )
    store_idle_seconds: float = setting(
        "PORTICO_FILES_STORE_IDLE_SECONDS", default=600.0, min=1, help="After which an unused one is closed."
    )
