"""Conversion between the contract's messages of memory and the domain's values. Pure."""

from collections.abc import Sequence
from typing import Any

from core.errors import InvalidInput
from core.rpc.values import small_json_of, struct_of, timestamp_of
from portico.rag.v1 import memory_service_pb2 as pb
from services.rag.domain.memory.changes import MemoryChange
from services.rag.domain.memory.checks import Filter, NewMemory, time_of
from services.rag.domain.memory.records import Memory, MemoryStore, StoreConfig
from services.rag.domain.memory.searches import Match, Query
from services.rag.domain.memory.stores import NewStore, StoreChange

_CONFIG = (
    "embedding_dimension",
    "metric",
    "default_scope",
    "deduplication",
    "auto_summarize",
    "max_memories",
    "ttl_days",
    "default_top_k",
    "default_min_score",
    "chat_model_key",
    "extraction",
)
_DIGITS = 6
"""Decimal places of scores: 32-bit floats have no more."""
_RANKING = ("similarity", "recency", "importance", "access", "half_life_hours")


def store(record: MemoryStore, count: int) -> pb.MemoryStore:
    return pb.MemoryStore(
        id=record.id,
        record_id=record.id,
        key=record.key,
        name=record.name,
        description=record.description,
        vector_provider_key=record.vector_provider_key,
        vector_index_key=record.vector_index_key,
        embedding_model_key=record.embedding_model_key,
        config=_config(record.config),
        status=record.status,
        memory_count=count,
        last_activity_at=timestamp_of(record.last_activity_at),
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
    )


def _config(config: StoreConfig) -> pb.MemoryStoreConfig:
    ranking = pb.MemoryRanking(**{name: getattr(config.ranking, name) for name in _RANKING})
    return pb.MemoryStoreConfig(auto_embed=True, ranking=ranking, **{name: getattr(config, name) for name in _CONFIG})


def new_store(request: pb.CreateMemoryStoreRequest) -> NewStore:
    return NewStore(
        name=request.name,
        key=request.key,
        description=request.description,
        vector_provider_key=request.vector_provider_key,
        embedding_model_key=request.embedding_model_key,
        config=_given_config(request.config),
    )


def store_change(request: pb.UpdateMemoryStoreRequest) -> StoreChange:
    return StoreChange(
        name=_given(request, "name"),
        description=_given(request, "description"),
        status=_given(request, "status"),
        config=_given_config(request.config),
    )


def _given_config(config: pb.MemoryStoreConfig) -> dict[str, Any]:
    """The settings that are set. Raises InvalidInput."""
    if config.HasField("auto_embed") and not config.auto_embed:
        raise InvalidInput(
            "config.autoEmbed must be true: a memory that is not embedded is not found.", field="config.autoEmbed"
        )
    given = {name: getattr(config, name) for name in _CONFIG if config.HasField(name)}
    if config.HasField("ranking"):
        ranking = config.ranking
        given["ranking"] = {name: getattr(ranking, name) for name in _RANKING if ranking.HasField(name)}
    return given


def memory(record: Memory, store_key: str) -> pb.Memory:
    return pb.Memory(
        id=record.id,
        record_id=record.id,
        store_key=store_key,
        content=record.content,
        content_hash=record.content_hash,
        summary=record.summary,
        scope=record.scope,
        scope_id=record.scope_id,
        metadata=struct_of(record.metadata),
        tags=record.tags,
        source=record.source,
        importance=record.importance,
        access_count=record.access_count,
        last_accessed_at=timestamp_of(record.last_accessed_at),
        embedding_version=record.embedding_version,
        vector_id=record.vector_id,
        expires_at=timestamp_of(record.expires_at),
        status=record.status,
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
    )


def match(found: Match) -> pb.MemoryMatch:
    record = found.memory
    return pb.MemoryMatch(
        id=record.id,
        content=record.content,
        score=round(found.score, _DIGITS),
        similarity=round(found.similarity, _DIGITS),
        scope=record.scope,
        scope_id=record.scope_id,
        metadata=struct_of(record.metadata),
        tags=record.tags,
        source=record.source,
        importance=record.importance,
        created_at=timestamp_of(record.created_at),
        summary=record.summary,
        access_count=record.access_count,
    )


def new_memory(given: "pb.NewMemory | pb.AddMemoryRequest", prefix: str = "") -> NewMemory:
    return NewMemory(
        content=given.content,
        scope=given.scope,
        scope_id=given.scope_id,
        metadata=small_json_of(given.metadata, f"{prefix}metadata"),
        tags=tuple(given.tags),
        source=given.source,
        importance=_given(given, "importance"),
    )


def memory_change(request: pb.UpdateMemoryRequest) -> MemoryChange:
    return MemoryChange(
        content=_given(request, "content"),
        metadata=small_json_of(request.metadata, "metadata") if request.HasField("metadata") else None,
        tags=_texts("tags", request.tags) if request.HasField("tags") else None,
        importance=_given(request, "importance"),
        status=_given(request, "status"),
    )


def _texts(field: str, values: Any) -> list[str]:
    if any(value.WhichOneof("kind") != "string_value" for value in values.values):
        raise InvalidInput(f"{field} must be a list of texts.", field=field)
    return [value.string_value for value in values.values]


def listed(request: pb.ListMemoriesRequest) -> Filter:
    return Filter(request.scope, request.scope_id, _tags(request.tags), request.status, request.search)


def deleted(request: pb.DeleteMemoriesRequest) -> Filter:
    before = time_of("before", request.before)
    return Filter(request.scope, request.scope_id, _tags(request.tags), before=before)


def query(request: "pb.SearchMemoriesRequest | pb.RecallMemoriesRequest") -> Query:
    return Query(
        text=request.query,
        filter=Filter(request.scope, request.scope_id, tuple(request.tags)),
        top_k=request.top_k,
        min_score=_given(request, "min_score"),
    )


def _tags(joined: str) -> Sequence[str]:
    """Tags of a query string, which are joined by commas."""
    return [tag for tag in joined.split(",") if tag.strip()]


def _given(message: Any, name: str) -> Any:
    """The value of an optional field; None: it is not set."""
    return getattr(message, name) if message.HasField(name) else None
