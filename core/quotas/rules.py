"""Rules: limits that hold for a call, and the windows of time that they count in."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, Protocol

from core.tenancy import Project

UNLIMITED = -1


class Dimension(StrEnum):
    """The amounts that limits count, in whole numbers."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    """Tokens of input and output."""
    INPUT_TOKENS = "inputTokens"
    OUTPUT_TOKENS = "outputTokens"
    SPEND = "spend"
    """Billionths of the currency, as in usage records."""
    VECTORS = "vectors"
    FILES = "files"
    STORAGE = "storage"
    """Bytes."""
    TRACES = "traces"
    RESULTS = "results"
    DIMENSIONS = "dimensions"
    EVENTS = "events"
    DURATION = "duration"
    """Milliseconds."""
    PROJECTS = "projects"
    MODELS = "models"
    INDEXES = "indexes"
    BUCKETS = "buckets"
    SESSIONS = "sessions"
    RETENTION_DAYS = "retentionDays"
    API_TOKENS = "apiTokens"
    USERS = "users"
    AGENTS = "agents"


class Window(StrEnum):
    """The time that a limit counts in. All windows of time begin at round times in UTC; a month is one of the
    calendar."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    REQUEST = "request"
    """One call alone: nothing is counted."""
    CONCURRENT = "concurrent"
    """Calls in progress."""
    TOTAL = "total"
    """All that there is at any time, such as files."""


Amounts = Mapping[Dimension, int]


class Subject(NamedTuple):
    """A call, as far as policies tell calls apart. Empty: there is none."""

    project: Project
    domain: str
    """The area of the call: "llm", "embedding", "rerank", "vector", "file", "rag", "memory", "tracing"..."""
    user: str = ""
    token: str = ""
    model: str = ""
    """Key of the model, or of another resource."""
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A limit, and whose calls it counts. Calls with the same `scope`, `scope_id`, `domain`, `dimension` and `window`
    share a counter within their tenant, whatever policy the limit comes from."""

    scope: str
    """"plan", "tenant", "project", "user", "token", "model" or "provider"."""
    scope_id: str
    """The one whose calls are counted; empty for the tenant. Of a model or provider the key."""
    domain: str
    """The domain whose calls are counted; "global": all."""
    dimension: Dimension
    window: Window
    limit: int
    """0 or more; where there is no limit there is no rule."""
    policy: str = ""
    """Id of the policy that the limit comes from."""
    label: str = ""
    """The policy's name, for people."""
    thresholds: tuple[int, ...] = ()
    """Percents of the limit that raise an alert, in ascending order."""
    project: str = ""
    """Id of the project whose calls are counted; empty: all of the tenant's."""

    @property
    def key(self) -> str:
        """The counter's name within its tenant."""
        return ":".join((self.domain, self.scope, self.project, self.scope_id, self.dimension, self.window))


class RuleSource(Protocol):
    """Finds the rules that hold for a subject. It gives out the same tuple as long as no policy changes."""

    def known(self, subject: Subject) -> tuple[Rule, ...] | None:
        """The rules, if they are in memory; else `find` them."""

    def find(self, subject: Subject) -> Awaitable[tuple[Rule, ...]]:
        """Raises Unavailable."""


class NoRules:
    """The rules of a service without policies."""

    def known(self, subject: Subject) -> tuple[Rule, ...]:
        return ()

    async def find(self, subject: Subject) -> tuple[Rule, ...]:
        return ()


_SECONDS = {Window.SECOND: 1, Window.MINUTE: 60, Window.HOUR: 3600, Window.DAY: 86_400}


class Span(NamedTuple):
    """A window that has begun: from `start` up to `end`, in Unix seconds. A window without an end is all zeros."""

    start: int = 0
    end: int = 0


ALWAYS = Span()


def span_of(window: Window, now: float) -> Span:
    """The span of a window that `now`, in Unix seconds, lies in."""
    if (seconds := _SECONDS.get(window)) is not None:
        start = int(now // seconds) * seconds
        return Span(start, start + seconds)
    return _month(int(now // 86_400)) if window is Window.MONTH else ALWAYS


@lru_cache(maxsize=64)
def _month(day: int) -> Span:
    first = datetime.fromtimestamp(day * 86_400, UTC).replace(day=1)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return Span(int(first.timestamp()), int(following.timestamp()))
