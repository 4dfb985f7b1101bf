"""A span, in whatever encoding it came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Attributes = Mapping[str, Any]

STATUS_ERROR = 2
KIND_CLIENT = 3


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened within a span. `at` is Unix seconds."""

    name: str
    at: float
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Resource:
    """Whatever sent spans: a process of a service."""

    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """One span. Ids are hexadecimal digits; times are Unix seconds, and 0 where the sender gave none."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start: float
    end: float
    status_code: int
    status_message: str
    attributes: Attributes
    events: Sequence[SpanEvent]
    resource: Resource
    scope: str


@dataclass(slots=True)
class Batch:
    """The spans of one request. Those that cannot be read are counted, with the reason of the first."""

    spans: list[Span]
    rejected: int = 0
    reason: str = ""

    def reject(self, reason: str) -> None:
        self.rejected += 1
        self.reason = self.reason or reason
