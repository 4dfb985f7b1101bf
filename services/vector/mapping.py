"""Conversion between the contract's messages and the domain's values. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.struct_pb2 import Struct

from core import fields
from core.errors import InvalidInput
from core.jobs.records import Job
from core.providers.records import Provider
from core.rpc.provider_messages import driver_fields, provider_fields
from core.rpc.values import small_json_of, struct_of, timestamp_of
from portico.common.v1 import job_pb2
from portico.vector.v1 import index_service_pb2, migration_service_pb2, point_service_pb2, provider_service_pb2
from services.vector.domain import filters
from services.vector.domain.filters import MAX_FILTER_BYTES, Filter
from services.vector.domain.index_migrations import IndexMigration, NewIndexMigration
from services.vector.domain.indexes import Index, NewIndex
from services.vector.domain.points import (
    MAX_DIMENSION,
    MAX_METADATA_BYTES,
    KeywordQuery,
    Match,
    Point,
    Vector,
    check_count,
    parse_fusion,
    vector,
)
from services.vector.domain.query_log import QueryRecord, QueryStats
from services.vector.ports import EngineCapabilities, Query, VectorDriver

DEFAULT_TOP_K = 5


def capabilities(able: EngineCapabilities) -> provider_service_pb2.Capabilities:
    return provider_service_pb2.Capabilities(
        metrics=[metric.value for metric in able.metrics],
        filter_operators=able.filter_operators,
        hybrid=able.hybrid,
    )


def driver(value: VectorDriver) -> provider_service_pb2.Driver:
    return provider_service_pb2.Driver(**driver_fields(value), capabilities=capabilities(value.capabilities))


def provider(record: Provider, drivers: Mapping[str, VectorDriver]) -> provider_service_pb2.Provider:
    able = drivers[record.driver].capabilities
    return provider_service_pb2.Provider(**provider_fields(record), capabilities=capabilities(able))


def index(record: Index) -> index_service_pb2.Index:
    return index_service_pb2.Index(
        id=record.id,
        record_id=record.id,
        key=record.key,
        index_id=record.key,
        name=record.name,
        dimension=record.spec.dimension,
        metric=record.spec.metric.value,
        provider_key=record.provider_key,
        hybrid=record.spec.hybrid,
        metadata=struct_of(record.metadata),
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
    )


def new_index(request: index_service_pb2.CreateIndexRequest) -> NewIndex:
    return NewIndex(
        request.name, request.dimension, request.metric, request.hybrid, small_json_of(request.metadata, "metadata")
    )


def index_change(request: index_service_pb2.UpdateIndexRequest) -> tuple[str | None, dict[str, Any] | None]:
    """Name and metadata; None: unchanged."""
    return (
        request.name if request.HasField("name") else None,
        small_json_of(request.metadata, "metadata") if request.HasField("metadata") else None,
    )


def stats(vectors: int, of_queries: QueryStats) -> index_service_pb2.GetIndexStatsResponse:
    return index_service_pb2.GetIndexStatsResponse(
        vectors=vectors,
        queries=of_queries.queries,
        filtered_queries=of_queries.filtered,
        mean_latency_ms=of_queries.mean_latency_ms,
        mean_top_score=of_queries.mean_top_score,
    )


def query_log(record: QueryRecord) -> index_service_pb2.QueryLog:
    return index_service_pb2.QueryLog(
        id=record.id,
        created_at=timestamp_of(record.created_at),
        request_id=record.request_id,
        token_id=record.token_id,
        top_k=record.top_k,
        match_count=record.match_count,
        latency_ms=record.latency_ms,
        top_score=record.top_score,
        filtered=record.filtered,
        hybrid=record.hybrid,
    )


def points(messages: Sequence[point_service_pb2.Point]) -> list[Point]:
    """The points of messages. Raises InvalidInput."""
    check_count(messages)
    return [
        Point(
            id=message.id,
            values=_numbers(message.values, f"vectors[{at}].values"),
            metadata=_metadata(message, f"vectors[{at}].metadata"),
            text=message.text,
        )
        for at, message in enumerate(messages)
    ]


def _metadata(message: point_service_pb2.Point, field: str) -> dict[str, Any]:
    return small_json_of(message.metadata, field, MAX_METADATA_BYTES) if message.HasField("metadata") else {}


def ids(given: Sequence[str], at_most: int) -> list[str]:
    """Raises InvalidInput, before anything is made of them."""
    fields.count("ids", given, at_most)
    return list(given)


def point(value: Point) -> point_service_pb2.Point:
    return point_service_pb2.Point(
        id=value.id, values=value.values, metadata=struct_of(value.metadata), text=value.text
    )


def query(request: point_service_pb2.QueryRequest) -> Query:
    weight = request.dense_weight if request.HasField("dense_weight") else None
    return Query(
        vector=_numbers(request.vector, "vector"),
        top_k=request.top_k or DEFAULT_TOP_K,
        filter=filter_of(request.filter),
        include_values=request.include_values,
        keywords=keywords(request.text, request.fusion, weight),
    )


def _numbers(given: Sequence[float], field: str) -> Vector:
    """Counted before they become Python's objects, which are eight times as large."""
    if len(given) > MAX_DIMENSION:
        raise InvalidInput(f"{field} has {len(given)} numbers; no index has more than {MAX_DIMENSION}", field=field)
    return vector(given[:], field)


def keywords(text: str, fusion: str, dense_weight: float | None) -> KeywordQuery | None:
    method = parse_fusion(fusion)
    return KeywordQuery(text, method, 0.5 if dense_weight is None else dense_weight) if text else None


def filter_of(struct: Struct) -> Filter | None:
    return filters.parse(small_json_of(struct, "filter", MAX_FILTER_BYTES))


def match(value: Match) -> point_service_pb2.Match:
    return point_service_pb2.Match(
        id=value.id, score=value.score, values=value.values, metadata=struct_of(value.metadata)
    )


def new_migration(request: migration_service_pb2.CreateMigrationRequest) -> NewIndexMigration:
    return NewIndexMigration(
        source_provider=request.source_provider_key,
        source_index=request.source_index_id,
        destination_provider=request.destination_provider_key,
        destination_name=request.destination_name,
        batch_size=request.batch_size,
    )


def migration(value: IndexMigration) -> migration_service_pb2.Migration:
    source_provider, source_index = value.source
    destination_provider, destination_index = value.destination
    return migration_service_pb2.Migration(
        id=value.job.id,
        source_provider_key=source_provider,
        source_index_id=source_index,
        destination_provider_key=destination_provider,
        destination_index_id=destination_index,
        job=job(value.job),
        verified=value.verified,
    )


def job(value: Job) -> job_pb2.Job:
    return job_pb2.Job(
        id=value.id,
        kind=value.kind,
        status=value.status.value,
        attempts=value.attempts,
        done=value.done,
        total=value.total,
        error=value.error,
        created_at=timestamp_of(value.created_at),
        updated_at=timestamp_of(value.updated_at),
        ended_at=timestamp_of(value.ended_at),
    )
