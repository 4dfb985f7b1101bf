"""Metrics of a project in Prometheus' format: what they are, and whose."""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from core import context
from core.context import Identity, Kind, RequestContext
from core.project_metrics import gauge, text_of
from core.rpc import metrics as metrics_rpc
from core.tenancy import Project, Tenant
from portico.inference.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from services.rag.domain.metrics import RagMetrics
from services.tracing.domain.metrics import TracingMetrics
from services.vector.domain.metrics import VectorMetrics
from tests.support.inference_harness import Caller, Harness, inference, refused
from tests.support.stores import MemoryStore


async def metrics(harness: Harness, caller: Caller) -> dict[str, dict[tuple[str, ...], float]]:
    """Samples by name and by the values of their labels, in the order of their names."""
    await harness.flush()
    stub = metrics_service_pb2_grpc.MetricsServiceStub(harness.channel)
    body = await stub.GetMetrics(metrics_service_pb2.GetMetricsRequest(), metadata=caller.metadata)
    assert body.content_type == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(body.data.decode()):
        assert family.type == "gauge", "a moving window is no counter"
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


async def test_they_are_those_of_the_project(tmp_path: Path) -> None:
    async with inference(tmp_path / "data") as harness:
        callers = [harness.caller(), harness.caller(project="p2"), harness.caller(tenant="globex")]
        for count, caller in enumerate(callers, 1):
            await caller.provider()
            await caller.model(pricing={"input_token_per_1m": 1.0, "output_token_per_1m": 2.0})
            for _ in range(count):
                await caller.chat("one two")
            await refused(caller.chat(model="nope"))
        for count, caller in enumerate(callers, 1):
            records = await caller.records(count + 1)
            found = await metrics(harness, caller)
            assert found["portico_models"] == {("llm",): 1}
            assert found["portico_model_requests_30d"]["m", "p", "success"] == count
            assert found["portico_model_requests_30d"]["nope", "", "error"] == 1
            tokens = sum(each.usage.input_tokens for each in records if each.status == "success")
            assert found["portico_model_tokens_30d"]["m", "p", "input"] == tokens
            assert found["portico_model_cost_30d"]["USD", "m", "p"] == pytest.approx(sum(each.cost for each in records))
            latency = found["portico_model_latency_seconds_30d"]
            assert 0 < latency["m", "p", "0.5"] <= latency["m", "p", "0.99"] < 60


async def test_nothing_has_metrics_too(tmp_path: Path) -> None:
    async with inference(tmp_path / "data") as harness:
        found = await metrics(harness, harness.caller())
    assert found["portico_prompts"] == {(): 0}


async def test_many_samples_are_written_in_the_worker_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a project with thousands of models held the loop for half a second."""
    threads: list[int] = []

    async def collect(project: Project) -> list[Metric]:
        family = gauge("portico_models", "Models.", ["model"])
        for number in range(2_000):
            family.add_metric([str(number)], number)
        return [family]

    def written(families: Iterable[Metric]) -> bytes:
        threads.append(threading.get_ident())
        return b""

    context.bind(
        RequestContext("r", Identity(Project(Tenant("acme"), "p1"), "u", Kind.API, frozenset(), "t", 0.0, None))
    )
    monkeypatch.setattr(metrics_rpc, "text_of", written)
    unused: Any = None
    await metrics_rpc.MetricsServicer(collect).GetMetrics(unused, unused)
    assert threads
    assert threading.get_ident() not in threads


async def test_the_scope_is_needed(tmp_path: Path) -> None:
    async with inference(tmp_path / "data") as harness:
        error: Any = await refused(metrics(harness, harness.caller(scopes=["models:write"])))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("collector", [RagMetrics, TracingMetrics, VectorMetrics])
async def test_every_service_can_read_its_own(collector: Any) -> None:
    text = text_of(await collector(MemoryStore()).collect(Project(Tenant("acme"), "p1"))).decode()
    assert {family.type for family in text_string_to_metric_families(text)} == {"gauge"}
