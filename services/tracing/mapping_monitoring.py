"""Between the messages of MonitoringService and the values of the domain."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core.rpc.values import seconds_of, timestamp_of
from portico.tracing.v1 import monitoring_service_pb2 as pb
from services.tracing.domain.monitoring.records import UP, InferenceServer, MetricRow
from services.tracing.domain.monitoring.servers import NewServer, ServerChanges


def server(found: InferenceServer, latest: MetricRow | None = None) -> pb.InferenceServer:
    return pb.InferenceServer(
        id=found.id,
        record_id=found.id,
        key=found.key,
        name=found.name,
        type=found.type,
        base_url=found.base_url,
        has_api_key=bool(found.sealed),
        poll_interval_seconds=found.poll_interval_seconds,
        status=found.status,
        health=found.health,
        last_polled_at=timestamp_of(found.last_polled_at),
        last_error=found.last_error,
        created_at=timestamp_of(found.created_at),
        updated_at=timestamp_of(found.updated_at),
        latest=None if latest is None else metrics(latest),
    )


def servers(found: Sequence[InferenceServer], latest: Mapping[str, MetricRow]) -> list[pb.InferenceServer]:
    return [server(each, latest.get(each.id)) for each in found]


def metrics(row: MetricRow) -> pb.InferenceMetrics:
    values = {} if row.readings is None else msgspec.structs.asdict(row.readings)
    return pb.InferenceMetrics(
        timestamp=timestamp_of(row.at),
        up=int(row.up),
        error=row.error,
        interval_seconds=row.interval_seconds,
        **{name: value for name, value in values.items() if value is not None},
    )


def totals(found: Sequence[InferenceServer], latest: Mapping[str, MetricRow]) -> pb.InferenceTotals:
    rows = [row.readings for row in latest.values() if row.up and row.readings is not None]
    summed = (
        "num_requests_running",
        "num_requests_waiting",
        "prompt_tokens_throughput",
        "generation_tokens_throughput",
        "requests_per_second",
    )
    up = sum(each.health == UP for each in found)
    return pb.InferenceTotals(
        servers=len(found),
        up=up,
        down=sum(each.health == "down" for each in found),
        **{name: sum(getattr(row, name) or 0.0 for row in rows) for name in summed},
    )


def new_server(request: pb.CreateInferenceServerRequest) -> NewServer:
    return NewServer(
        name=request.name,
        type=request.type,
        base_url=request.base_url,
        key=request.key,
        api_key=request.api_key,
        poll_interval_seconds=request.poll_interval_seconds,
        status=request.status,
    )


def server_changes(request: pb.UpdateInferenceServerRequest) -> ServerChanges:
    return ServerChanges(
        **given(request, "name", "base_url", "api_key", "poll_interval_seconds", "status"),
    )


def given(request: Any, *names: str) -> dict[str, Any]:
    """The optional fields that a request holds."""
    return {name: getattr(request, name) for name in names if request.HasField(name)}


def span(request: pb.ListInferenceMetricsRequest) -> tuple[float | None, float | None]:
    """The times of a request, in Unix seconds."""
    start = seconds_of(getattr(request, "from")) if request.HasField("from") else None
    return start, seconds_of(request.to) if request.HasField("to") else None
