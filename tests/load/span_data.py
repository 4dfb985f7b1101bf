"""Spans as an instrumented agent sends them: a root, calls of a model with messages, calls of tools, a retrieval."""

import os
import random
import time
from collections.abc import Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

SPANS_OF_A_TRACE = 16
_WORDS = [
    "the",
    "agent",
    "looked",
    "at",
    "every",
    "order",
    "of",
    "last",
    "week",
    "and",
    "found",
    "that",
    "three",
    "of",
    "them",
    "were",
    "late",
    "because",
    "of",
    "rain",
]
_KINDS = ("CHAIN", "LLM", "TOOL", "LLM", "RETRIEVER", "LLM", "TOOL", "LLM")


def requests(count: int, spans_each: int, seed: int) -> Iterator[bytes]:
    """So many serialised requests with so many spans each; the spans of a trace follow each other."""
    chance = random.Random(seed)  # any text will do
    pending: list[Span] = []
    for _ in range(count):
        while len(pending) < spans_each:
            pending += _trace(chance)
        batch, pending = pending[:spans_each], pending[spans_each:]
        resource = ResourceSpans(scope_spans=[ScopeSpans(spans=batch)])
        resource.resource.attributes.extend(
            [_pair("service.name", f"agent-{seed % 4}"), _pair("service.version", "1.2")]
        )
        resource.scope_spans[0].scope.name = "openinference.instrumentation.openai"
        yield ExportTraceServiceRequest(resource_spans=[resource]).SerializeToString()


def _trace(chance: random.Random) -> list[Span]:
    trace_id, root = os.urandom(16), os.urandom(8)
    now = time.time_ns()
    spans = []
    for at in range(SPANS_OF_A_TRACE):
        kind = _KINDS[at % len(_KINDS)] if at else "AGENT"
        span = Span(
            trace_id=trace_id,
            span_id=os.urandom(8) if at else root,
            parent_span_id=root if at else b"",
            name=f"{kind.lower()} step",
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=now + at * 1_000_000,
            end_time_unix_nano=now + at * 1_000_000 + 900_000,
        )
        span.attributes.extend([_pair("openinference.span.kind", kind), *_attributes(kind, chance)])
        spans.append(span)
    return spans[1:] + spans[:1]  # a root ends last


def _attributes(kind: str, chance: random.Random) -> list[KeyValue]:
    if kind != "LLM":
        name = [_pair("tool.name", "weather")] if kind == "TOOL" else []
        return [*name, _pair("input.value", _text(chance, 20)), _pair("output.value", _text(chance, 30))]
    return [
        _pair("llm.model_name", "gpt-5-mini"),
        _pair("llm.invocation_parameters", '{"model": "gpt-5-mini", "temperature": 0.2}'),
        _pair("llm.token_count.prompt", 250),
        _pair("llm.token_count.completion", 40),
        _pair("llm.token_count.total", 290),
        _pair("llm.input_messages.0.message.role", "system"),
        _pair("llm.input_messages.0.message.content", _text(chance, 60)),
        _pair("llm.input_messages.1.message.role", "user"),
        _pair("llm.input_messages.1.message.content", _text(chance, 80)),
        _pair("llm.output_messages.0.message.role", "assistant"),
        _pair("llm.output_messages.0.message.content", _text(chance, 40)),
        _pair("session.id", "conversation-7"),
    ]


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words))


def _pair(key: str, value: str | int) -> KeyValue:
    return KeyValue(
        key=key, value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)
    )
