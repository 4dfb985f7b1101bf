"""The metrics that rules can watch, and what a rule's condition says of a value."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MODEL, SERVER, GUARDRAIL, RAG_MODULE = "modelKey", "serverKey", "guardrailKey", "ragModuleKey"
SCOPES = (MODEL, SERVER, GUARDRAIL, RAG_MODULE)
INFO, WARNING, CRITICAL = "info", "warning", "critical"
SEVERITIES = (INFO, WARNING, CRITICAL)


@dataclass(frozen=True, slots=True)
class AlertMetric:
    """One metric. `scopes` are the fields of a rule's scope that it knows; an incident is critical from `critical_at`
    times the threshold on."""

    module: str
    name: str
    label: str
    unit: str = ""
    scopes: tuple[str, ...] = ()
    critical_at: float = 3.0


_ALL = (
    AlertMetric("models", "error_rate", "Error rate", "%", (MODEL,), critical_at=2.0),
    AlertMetric("models", "avg_latency_ms", "Mean latency", "ms", (MODEL,)),
    AlertMetric("models", "p95_latency_ms", "95th percentile of the latency", "ms", (MODEL,)),
    AlertMetric("models", "total_requests", "Requests", "", (MODEL,)),
    AlertMetric("models", "total_cost", "Cost", "", (MODEL,)),
    AlertMetric("inference", "server_up", "Server up", "", (SERVER,)),
    AlertMetric("inference", "gpu_cache_usage", "KV cache usage", "%", (SERVER,)),
    AlertMetric("inference", "request_queue_depth", "Waiting requests", "", (SERVER,)),
    AlertMetric("inference", "time_to_first_token_ms", "Mean time to the first token", "ms", (SERVER,)),
    AlertMetric("guardrails", "guardrail_fail_rate", "Failed evaluations", "%", (GUARDRAIL,), critical_at=2.0),
    AlertMetric("guardrails", "guardrail_avg_latency_ms", "Mean latency of evaluations", "ms", (GUARDRAIL,)),
    AlertMetric("guardrails", "guardrail_total_evaluations", "Evaluations", "", (GUARDRAIL,)),
    AlertMetric("rag", "rag_total_queries", "Queries", "", (RAG_MODULE,)),
    AlertMetric("rag", "rag_avg_latency_ms", "Mean latency of queries", "ms", (RAG_MODULE,)),
    AlertMetric("rag", "rag_failed_documents", "Failed documents", "", (RAG_MODULE,)),
    AlertMetric("spend", "spend", "Spend"),
    AlertMetric("spend", "budget_used", "Budget used", "%", (MODEL,), critical_at=1.25),
)
METRICS: Mapping[tuple[str, str], AlertMetric] = {(each.module, each.name): each for each in _ALL}
MODULES = tuple(dict.fromkeys(each.module for each in _ALL))

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "gt": operator.gt,
    "lt": operator.lt,
    "gte": operator.ge,
    "lte": operator.le,
    "eq": operator.eq,
}
_WORDS = {"gt": "above", "lt": "below", "gte": "at least", "lte": "at most", "eq": "equal to"}
_WARNING_AT = 1.5


def severity(metric: AlertMetric, operator: str, threshold: float, value: float | None) -> str:
    """Severity of an incident by how far the value is beyond the threshold; a server that is down is critical, and
    silence a warning."""
    if value is None:
        return WARNING
    if metric.name == "server_up":
        return CRITICAL
    upwards = operator in ("gt", "gte", "eq")
    beyond, base = (value, threshold) if upwards else (threshold, value)
    times = beyond / base if base > 0 else float("inf") if beyond > 0 else 1.0
    return CRITICAL if times >= metric.critical_at else WARNING if times >= _WARNING_AT else INFO


def sentence(metric: AlertMetric, operator: str, threshold: float, window_minutes: int) -> str:
    """A rule's condition for people."""
    return f"{metric.label} {_WORDS[operator]} {with_unit(threshold, metric.unit)} over {window_text(window_minutes)}"


def with_unit(value: float | None, unit: str) -> str:
    return "no data" if value is None else f"{value:.6g}{' ' if unit else ''}{unit}"


def window_text(minutes: int) -> str:
    for size, name in ((1440, "day"), (60, "hour")):
        if minutes % size == 0:
            count = minutes // size
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{minutes} minute{'s' if minutes > 1 else ''}"
