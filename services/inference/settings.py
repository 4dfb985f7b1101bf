"""The settings of the inference service."""

from dataclasses import dataclass
from pathlib import Path

from core.config import setting
from core.http.guard import OutboundSettings
from core.sealing import SealingSettings


@dataclass(frozen=True)
class MemorySettings:
    """The memory of chats, which the rag service keeps"""

    rag_address: str = setting(
        "PORTICO_RAG_ADDRESS", default="127.0.0.1:50054", help="host:port of rag, for the memory of chats."
    )
    recall_seconds: float = setting(
        "PORTICO_MEMORY_RECALL_SECONDS",
        default=2.0,
        min=0.01,
        help="How long a chat waits for what is remembered, before it goes on without.",
    )
    store_seconds: float = setting(
        "PORTICO_MEMORY_STORE_SECONDS",
        default=60.0,
        min=0.01,
        help="How long the storing of an answered chat may take.",
    )


@dataclass(frozen=True)
class Settings:
    """Model providers, calls to them, and usage"""

    sealing: SealingSettings
    outbound: OutboundSettings
    memory: MemorySettings
    echo_driver: bool = setting(
        "PORTICO_ECHO_DRIVER",
        default=True,
        help="Whether the driver echo is offered, which answers without a provider: for trials, not for production.",
    )
    local_models: Path | None = setting(
        "PORTICO_LOCAL_MODELS",
        default=None,
        help="A folder of model folders for the driver local, which embeds and ranks without a provider; empty: it is "
        "not offered. Needs the extra `local`.",
    )
    local_threads: int = setting(
        "PORTICO_LOCAL_THREADS", default=0, min=0, max=256, help="Threads that run local models; 0: one for each core."
    )
    local_loaded: int = setting(
        "PORTICO_LOCAL_LOADED", default=4, min=1, max=1000, help="Local models kept in memory at a time."
    )
    local_queue_characters: int = setting(
        "PORTICO_LOCAL_QUEUE_CHARACTERS",
        default=32 * 1024 * 1024,
        min=1,
        help="Characters that may wait to be read by local models; a request beyond that is refused with 429.",
    )
    provider_connections: int = setting(
        "PORTICO_PROVIDER_CONNECTIONS", default=512, min=1, help="Connections to one provider at a time."
    )
    provider_idle_seconds: float = setting(
        "PORTICO_PROVIDER_IDLE_SECONDS",
        default=300.0,
        min=1,
        help="How long a provider may pause within an answer.",
    )
    stream_keep_alive_seconds: float = setting(
        "PORTICO_STREAM_KEEP_ALIVE_SECONDS",
        default=15.0,
        min=0.1,
        help="How often a client hears that its stream goes on while the provider sends nothing.",
    )
    provider_max_response_mb: int = setting(
        "PORTICO_PROVIDER_MAX_RESPONSE_MB",
        default=32,
        min=1,
        max=1024,
        help="The largest whole answer taken, and the largest event of a stream.",
    )
    retry_attempts: int = setting(
        "PORTICO_PROVIDER_ATTEMPTS", default=3, min=1, max=10, help="Attempts per call, the first one included."
    )
    retry_first_delay_seconds: float = setting(
        "PORTICO_PROVIDER_RETRY_DELAY_SECONDS", default=0.2, min=0, help="Pause before the second attempt; it doubles."
    )
    retry_patience_seconds: float = setting(
        "PORTICO_PROVIDER_RETRY_PATIENCE_SECONDS",
        default=2.0,
        min=0,
        help="The longest pause before another attempt; a provider that asks for more is not waited for.",
    )
    breaker_threshold: int = setting(
        "PORTICO_PROVIDER_BREAKER_THRESHOLD", default=5, min=1, help="Failed calls in a row that open the circuit."
    )
    breaker_reset_seconds: float = setting(
        "PORTICO_PROVIDER_BREAKER_RESET_SECONDS", default=30.0, min=0, help="Pause before an open circuit is tried."
    )
    max_routes: int = setting("PORTICO_MAX_ROUTES", default=10_000, min=1, help="Models kept ready in memory.")
    max_prompts: int = setting(
        "PORTICO_MAX_PROMPTS", default=500, min=1, help="Versions of prompts kept ready in memory for chats."
    )
    max_clients: int = setting(
        "PORTICO_MAX_PROVIDER_CLIENTS", default=1000, min=1, help="Providers whose connections are kept open."
    )
    usage_buffer: int = setting(
        "PORTICO_USAGE_BUFFER", default=100_000, min=1, help="Usage records held while the store cannot take them."
    )
    usage_journal_mb: int = setting(
        "PORTICO_USAGE_JOURNAL_MB",
        default=256,
        min=1,
        help="Room for usage records in the journal, from which they reach the store even if the process is killed.",
    )
    usage_sync: bool = setting(
        "PORTICO_USAGE_SYNC",
        default=False,
        help="Whether an answer ends only when its usage record is on the disk, so that a power cut loses none either.",
    )
