"""Against a real collector on a real port: what counts is what arrives there."""

import asyncio
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.trace import SpanKind, get_current_span

from core import telemetry
from core.config import load
from core.telemetry import Metrics, TelemetrySettings

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Collector:
    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.metrics: dict[str, Any] = {}


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self.collector = collector

    async def Export(self, request: Any, _context: object) -> Any:
        for group in request.resource_spans:
            self.collector.resources.append({each.key: each.value.string_value for each in group.resource.attributes})
            self.collector.spans += [span for scope in group.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


class Points(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self.collector = collector

    async def Export(self, request: Any, _context: object) -> Any:
        for group in request.resource_metrics:
            for scope in group.scope_metrics:
                self.collector.metrics |= {metric.name: metric for metric in scope.metrics}
        return metrics_service_pb2.ExportMetricsServiceResponse()


@pytest.fixture
async def collector() -> AsyncIterator[tuple[Collector, str]]:
    collector, server = Collector(), grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(collector), server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Points(collector), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield collector, f"http://127.0.0.1:{port}"
    await server.stop(None)


async def read(port: int) -> str:
    def get() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(get)


async def test_off_is_off() -> None:
    active = telemetry.configure("auth")
    assert telemetry.tracer() is None
    assert telemetry.extract([("traceparent", TRACEPARENT)]) is None
    assert telemetry.inject() == ()
    with telemetry.span("a") as outer, telemetry.span("b") as inner:
        assert outer is None
        assert inner is None
    await active.close()


def test_off_does_not_import_the_sdk() -> None:
    program = (
        "import sys; from core import telemetry; telemetry.configure('auth'); telemetry.metrics().call('m', 'OK', 1);"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


async def test_spans_reach_the_collector_under_the_callers_trace(collector: tuple[Collector, str]) -> None:
    received, endpoint = collector
    active = telemetry.configure("auth", endpoint)
    parent = telemetry.extract([("traceparent", TRACEPARENT), ("x-bin", b"1"), ("tracestate", "a=b")])
    with telemetry.span("Chat", kind=SpanKind.SERVER, parent=parent, attributes={"model": "m"}):
        sent = dict(telemetry.inject())
        with telemetry.span("upstream", kind=SpanKind.CLIENT):
            pass
    assert not get_current_span().get_span_context().is_valid
    await active.close()

    inner, outer = received.spans
    assert (outer.name, inner.name) == ("Chat", "upstream")
    assert outer.trace_id.hex() == inner.trace_id.hex() == TRACE
    assert outer.parent_span_id.hex() == PARENT
    assert inner.parent_span_id == outer.span_id
    assert {each.key: each.value.string_value for each in outer.attributes} == {"model": "m"}
    assert sent == {"traceparent": f"00-{TRACE}-{outer.span_id.hex()}-01", "tracestate": "a=b"}
    assert received.resources[0]["service.name"] == "auth"


async def test_an_error_shows_its_class_and_nothing_of_its_text(collector: tuple[Collector, str]) -> None:
    received, endpoint = collector
    active = telemetry.configure("auth", endpoint)
    with pytest.raises(ValueError, match="hidden"), telemetry.span("Chat"):
        raise ValueError("hidden")
    await active.close()
    (span,) = received.spans
    assert (span.status.code, span.status.message) == (2, "ValueError")
    assert b"hidden" not in span.SerializeToString()


async def test_a_stream_closed_from_another_context_ends_its_span(
    collector: tuple[Collector, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A detach in another context fails, and the library logs an error for each client that goes away."""
    received, endpoint = collector
    active = telemetry.configure("auth", endpoint)

    async def stream() -> AsyncIterator[int]:
        with telemetry.span("ChatStream"):
            yield 1
            yield 2

    chunks = stream()
    await asyncio.create_task(anext(chunks))  # type: ignore[arg-type]
    await asyncio.create_task(chunks.aclose())  # type: ignore[attr-defined]
    await active.close()
    assert [span.name for span in received.spans] == ["ChatStream"]
    assert "detach" not in caplog.text


async def test_durations_reach_the_collector(collector: tuple[Collector, str]) -> None:
    received, endpoint = collector
    active = telemetry.configure("auth", endpoint)
    telemetry.metrics().call("/p.Chat/Create", "OK", 0.02)
    await active.close()
    metric = received.metrics["rpc.server.call.duration"]
    assert metric.unit == "s"
    (point,) = metric.histogram.data_points
    assert point.count == 1
    assert {each.key: each.value.string_value for each in point.attributes} == {
        "rpc.method": "/p.Chat/Create",
        "rpc.response.status_code": "OK",
    }


async def test_a_collector_that_is_away_holds_nothing_up_for_long() -> None:
    active = telemetry.configure("auth", "http://127.0.0.1:1")
    with telemetry.span("Chat"):
        pass
    telemetry.metrics().call("m", "OK", 1)
    await asyncio.wait_for(active.close(), 30)


async def test_closing_turns_everything_off(collector: tuple[Collector, str]) -> None:
    active = telemetry.configure("auth", collector[1], metrics_port=0)
    port = active.metrics_port
    assert port is not None
    await active.close()
    await active.close()
    assert telemetry.tracer() is None
    with pytest.raises(OSError, match="refused"):
        await read(port)


async def test_prometheus_reads_what_was_counted() -> None:
    active = telemetry.configure("auth", metrics_port=0)
    assert active.metrics_port
    for seconds in (0.002, 0.2):
        telemetry.metrics().call("/p.Chat/Create", "OK", seconds)
    telemetry.metrics().call("/p.Chat/Create", "NOT_FOUND", 0.002)
    text = await read(active.metrics_port)
    await active.close()
    assert 'portico_service_info{service="auth"} 1.0' in text
    assert 'portico_calls_total{code="OK",method="/p.Chat/Create"} 2.0' in text
    assert 'portico_calls_total{code="NOT_FOUND",method="/p.Chat/Create"} 1.0' in text
    assert 'portico_call_seconds_bucket{code="OK",le="0.0025",method="/p.Chat/Create"} 1.0' in text
    assert 'portico_call_seconds_count{code="OK",method="/p.Chat/Create"} 2.0' in text
    assert "process_resident_memory_bytes" in text


async def test_a_taken_port_is_an_error_at_the_start() -> None:
    active = telemetry.configure("auth", metrics_port=0)
    with pytest.raises(OSError, match="in use"):
        telemetry.configure("rag", metrics_port=active.metrics_port)
    await active.close()


def test_the_number_of_series_is_bounded() -> None:
    metrics = Metrics("auth")
    for number in range(2_100):
        metrics.call(f"/method/{number}", "OK", 0.1)
    assert metrics.registry.get_sample_value("portico_calls_total", {"method": "/method/1999", "code": "OK"}) == 1
    assert metrics.registry.get_sample_value("portico_calls_total", {"method": "/method/2000", "code": "OK"}) is None
    assert metrics.registry.get_sample_value("portico_calls_total", {"method": "other", "code": "other"}) == 100


async def test_counting_works_before_the_set_up() -> None:
    telemetry.metrics().call("m", "OK", 0.1)


def test_settings_are_off_by_default() -> None:
    settings = load(TelemetrySettings, {})
    assert (settings.endpoint, settings.metrics_port, settings.metrics_host) == (None, None, "127.0.0.1")
