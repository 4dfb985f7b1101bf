"""Traces and metrics of one service.

OpenTelemetry is off until an endpoint is set: its SDK is not even imported, and `span` is one shared empty block.
Prometheus metrics are always kept, which costs microseconds, and shown over HTTP when a port is set.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from core.config import Secret, setting

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram as OtelHistogram

SpanAttributes = Mapping[str, str | bool | int | float]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_EXPORT_SECONDS = 3
_MAX_SERIES = 2_000
_CARRIED = frozenset({"traceparent", "tracestate"})
_propagator = TraceContextTextMapPropagator()


@dataclass(frozen=True)
class TelemetrySettings:
    """Telemetry"""

    endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        default=None,
        help="OTLP/gRPC collector for traces and metrics, as http://host:4317. Off when empty.",
    )
    headers: Secret | None = setting(
        "OTEL_EXPORTER_OTLP_HEADERS",
        default=None,
        help="Headers of each call to the collector, as name=value,name=value with percent-encoded values: a token, "
        "for instance.",
    )
    metrics_exporter: Literal["otlp", "none"] = setting(
        "OTEL_METRICS_EXPORTER",
        default="otlp",
        help="none: the collector takes traces alone, as Portico's own tracing service does.",
    )
    metrics_port: int | None = setting(
        "PORTICO_METRICS_PORT",
        default=None,
        min=0,
        max=65535,
        help="HTTP port where Prometheus reads /metrics, one for each service. Off when empty.",
    )
    metrics_host: str = setting("PORTICO_METRICS_HOST", default="127.0.0.1", help="Address of that port.")


class _Watched(Collector):
    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        return self._read()


class Metrics:
    """Metrics of the process. Further collectors register with `registry`."""

    def __init__(self, service: str, durations: "OtelHistogram | None" = None) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("portico_service", "Which service this is.", registry=self.registry).info({"service": service})
        labels = ("method", "code")
        self._calls = Counter("portico_calls", "Calls answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "portico_call_seconds", "Time to answer a call.", labels, registry=self.registry, buckets=_SECONDS
        )
        self._durations = durations
        self._bound: dict[tuple[str, str], Callable[[float], None]] = {}

    def watch(self, collect: Callable[[], Iterable[Metric]]) -> None:
        """Show families of a service that are read whenever Prometheus asks."""
        self.registry.register(_Watched(collect))

    def call(self, method: str, code: str, seconds: float) -> None:
        """Count one finished call. `method` must be one that exists, not whatever a client asked for."""
        record = self._bound.get((method, code))
        if record is None:
            record = self._bind(method, code)
        record(seconds)

    def _bind(self, method: str, code: str) -> Callable[[float], None]:
        """Looks the labels up once. Past the bound on series everything counts as "other"."""
        if len(self._bound) >= _MAX_SERIES:
            method = code = "other"
        count = self._calls.labels(method, code).inc
        observe = self._seconds.labels(method, code).observe
        durations, attributes = self._durations, {"rpc.method": method, "rpc.response.status_code": code}

        def record(seconds: float) -> None:
            count()
            observe(seconds)
            if durations is not None:
                durations.record(seconds, attributes)

        if len(self._bound) < _MAX_SERIES:
            self._bound[method, code] = record
        return record


@dataclass(slots=True)
class Telemetry:
    """Telemetry as set up by `configure`. `close` sends what is left and stops the threads."""

    metrics: Metrics
    tracer: Tracer | None = None
    metrics_port: int | None = None
    """Port that Prometheus reads: the one that was given, or the one that the system chose for 0."""
    _closers: list[Callable[[], None]] = field(default_factory=list)

    async def close(self) -> None:
        """Take a few seconds at most when the collector does not answer. Safe to call twice."""
        global _active
        if _active is self:
            _active = None
        closers, self._closers = self._closers, []
        self.tracer = None
        await asyncio.gather(*(asyncio.to_thread(close) for close in closers))


_active: Telemetry | None = None


def configure(
    service: str,
    endpoint: str | None = None,
    *,
    headers: Secret | None = None,
    metrics_exporter: Literal["otlp", "none"] = "otlp",
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
) -> Telemetry:
    """Set up what `tracer`, `span` and `metrics` of this process use. Raises OSError if the port is taken."""
    global _active
    with_metrics = metrics_exporter == "otlp"
    active = _export(service, endpoint, headers, metrics=with_metrics) if endpoint else Telemetry(Metrics(service))
    if metrics_port is not None:
        server, thread = start_http_server(metrics_port, metrics_host, active.metrics.registry)

        def close() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        active.metrics_port = server.server_port
        active._closers.append(close)
    _active = active
    return active


def _export(service: str, endpoint: str, headers: Secret | None, *, metrics: bool) -> Telemetry:
    # Imported here because the SDK and its exporters cost a quarter of a second and 20 MB that most runs do not need.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": service, "service.namespace": "portico"})
    insecure = not endpoint.startswith("https://")
    sent = headers.reveal() if headers else None
    spans = OTLPSpanExporter(endpoint, insecure, headers=sent, timeout=_EXPORT_SECONDS)
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    traces.add_span_processor(BatchSpanProcessor(spans))
    tracer, closers = traces.get_tracer("portico"), [traces.shutdown]
    if not metrics:
        return Telemetry(Metrics(service), tracer, _closers=closers)
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    points = OTLPMetricExporter(endpoint, insecure, headers=sent, timeout=_EXPORT_SECONDS)
    meters = MeterProvider([PeriodicExportingMetricReader(points)], resource, shutdown_on_exit=False)
    durations = meters.get_meter("portico").create_histogram(
        "rpc.server.call.duration", "s", "Time to answer a call.", explicit_bucket_boundaries_advisory=_SECONDS
    )
    closers.append(lambda: meters.shutdown(_EXPORT_SECONDS * 1000))
    return Telemetry(Metrics(service, durations), tracer, _closers=closers)


def metrics() -> Metrics:
    """The metrics of this process; before `configure`, ones that nobody reads."""
    global _active
    if _active is None:
        _active = Telemetry(Metrics("unnamed"))
    return _active.metrics


def active() -> Telemetry | None:
    """Return the telemetry that `configure` set up last, until it is closed."""
    return _active


def tracer() -> Tracer | None:
    """The tracer, or None when tracing is off."""
    return None if _active is None else _active.tracer


_OFF: AbstractContextManager[None] = nullcontext()


def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: Context | None = None,
    attributes: SpanAttributes | None = None,
) -> AbstractContextManager[Span | None]:
    """A span around a block, current inside it; None when tracing is off.

    An error marks it with the error's class alone: what the error says may hold a secret.
    """
    active = tracer()
    return _OFF if active is None else _span(active, name, kind, parent, attributes)


@contextmanager
def _span(
    active: Tracer, name: str, kind: SpanKind, parent: Context | None, attributes: SpanAttributes | None
) -> Iterator[Span]:
    started = active.start_span(name, parent, kind, attributes)
    token = otel_context.attach(trace.set_span_in_context(started, parent))
    try:
        yield started
    except Exception as error:
        started.set_status(StatusCode.ERROR, type(error).__name__)
        raise
    finally:
        started.end()
        if trace.get_current_span() is started:  # not so when a cancelled stream is closed from another context
            otel_context.detach(token)


def begin_call(name: str, attributes: SpanAttributes) -> Span | None:
    """Begin a span of a call to another system, which `end_call` ends; None when tracing is off."""
    active = tracer()
    return None if active is None else active.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)


def within(span: Span | None) -> AbstractContextManager[Any]:
    """A block in which the span is the current one. It does not end the span."""
    return _OFF if span is None else trace.use_span(span, record_exception=False, set_status_on_exception=False)


def end_call(span: Span, attributes: Mapping[str, Any], failed: str = "") -> None:
    """End a span with what is known now. `failed` is the class or reason of an error; empty: there was none."""
    span.set_attributes(attributes)
    if failed:
        span.set_status(StatusCode.ERROR, failed)
    span.end()


def headers() -> bytes:
    """Header lines that let an outgoing HTTP request continue our trace; empty when tracing is off."""
    if tracer() is None:
        return b""
    return b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in inject())


def extract(metadata: Iterable[tuple[str, str | bytes]]) -> Context | None:
    """The caller's trace from the metadata of a gRPC call, as `parent` of a span; None when tracing is off."""
    if tracer() is None:
        return None
    return _propagator.extract({key: value for key, value in metadata if key in _CARRIED and isinstance(value, str)})


def inject() -> tuple[tuple[str, str], ...]:
    """Return the metadata that lets an outgoing call continue our trace; empty when tracing is off."""
    if tracer() is None:
        return ()
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return tuple(carrier.items())
