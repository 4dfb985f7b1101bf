"""The records of memory stores and memories."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from core.storage.references import Closable
from core.storage.table import Record

ACTIVE: Final = "active"
INACTIVE: Final = "inactive"
ARCHIVED: Final = "archived"
EXPIRED: Final = "expired"
GLOBAL: Final = "global"
SCOPES: Final = (GLOBAL, "user", "agent", "session")
SOURCES: Final = ("chat", "api", "agent", "manual")
METRICS: Final = ("cosine", "dotproduct", "euclidean")
NEVER: Final = 1e12
"""Unix seconds at which a vector expires that never does."""


class Ranking(Record, frozen=True):
    """Shares of a match's score, which are divided by their sum, and the half-life of recency."""

    similarity: float = 0.7
    recency: float = 0.15
    importance: float = 0.1
    access: float = 0.05
    half_life_hours: float = 168.0


class StoreConfig(Record, frozen=True):
    """Settings of a store. 0 memories or days: no limit."""

    embedding_dimension: int = 0
    metric: str = "cosine"
    default_scope: str = GLOBAL
    deduplication: bool = True
    auto_summarize: bool = False
    extraction: bool = False
    chat_model_key: str = ""
    max_memories: int = 0
    ttl_days: float = 0.0
    default_top_k: int = 10
    default_min_score: float | None = None
    ranking: Ranking = Ranking()


class MemoryStore(Closable, frozen=True):
    """One record."""

    id: str
    key: str
    name: str
    vector_provider_key: str
    vector_index_key: str
    embedding_model_key: str
    config: StoreConfig
    created_at: float
    updated_at: float
    description: str = ""
    status: str = ACTIVE
    last_activity_at: float | None = None


class Memory(Record, frozen=True):
    """One record. `vector_id` names its vector, and is new with every change that the vector must show."""

    id: str
    store_id: str
    content: str
    content_hash: str
    scope: str
    scope_id: str
    vector_id: str
    created_at: float
    updated_at: float
    retention: float
    """Order of eviction. See ranking.retention."""
    dedup_key: str | None = None
    """Unique within the store; None: the store does not deduplicate."""
    summary: str = ""
    metadata: Mapping[str, Any] = {}
    tags: tuple[str, ...] = ()
    source: str = "api"
    importance: float = 0.5
    status: str = ACTIVE
    embedding_version: int = 1
    access_count: int = 0
    last_accessed_at: float | None = None
    expires_at: float | None = None

    @property
    def vector_metadata(self) -> dict[str, Any]:
        """Metadata of its vector, by which the index filters."""
        return {
            "scope": self.scope,
            "scopeId": self.scope_id,
            "tags": list(self.tags),
            "status": self.status,
            "expiresAt": self.expires_at or NEVER,
        }


def content_hash(content: str) -> str:
    """SHA-256 of a text, hexadecimal."""
    return hashlib.sha256(content.encode()).hexdigest()


def dedup_key(scope: str, scope_id: str, content: str) -> str:
    """Key that two memories share if they have the same content in the same scope."""
    return hashlib.sha256("\0".join((scope, scope_id, content)).encode()).hexdigest()
