"""The log of a module's queries, and statistics made from it."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from core import context as request_context
from core import fields
from core.storage.ports import Cond, Document, DocumentStore, Op
from core.storage.table import Record, Table
from core.storage.write_behind import WriteBehind
from core.tasks import Tasks
from core.tenancy import Project
from services.rag.domain.retrieval.tables import QUERIES

FLUSH_SECONDS = 0.5
_DAY = 86_400.0
MAX_DAYS = 90
_DEFAULT_DAYS = 7
_LOGGED_CHARACTERS = 500
_STEP = math.log(1.05)
"""Logarithm of the width of a band of latencies: how exact the 95th percentile is."""
_BANDS = 10
"""Bands of scores, each a tenth."""


class QueryRecord(Record, frozen=True, omit_defaults=True):
    """One query as it ended."""

    created_at: float
    day: int
    """Days since 1970-01-01, UTC."""
    module_id: str
    request_id: str
    token_id: str
    kind: str
    query: str
    top_k: int
    match_count: int
    pre_filter_match_count: int
    latency_ms: float
    latency_band: int
    found: bool
    hybrid: bool
    reranked: bool
    top_score: float | None = None
    avg_score: float | None = None
    score_band: int | None = None
    min_score_applied: float | None = None
    id: str = ""
    """Given by the writer."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A query that has ended. `kind` is query, answer or search; `scores` are those of the matches, the best first."""

    module_id: str
    kind: str
    query: str
    top_k: int
    scores: Sequence[float]
    pre_filter_match_count: int
    min_score: float | None
    hybrid: bool
    reranked: bool
    latency_ms: float


@dataclass(frozen=True, slots=True)
class DayStats:
    day: str
    queries: int = 0
    zero_hits: int = 0
    avg_latency_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class QueryStats:
    """Statistics of some days. `score_bands` counts queries by tenths of the best match's score."""

    queries: int
    zero_hit_rate: float
    avg_latency_ms: float
    p95_latency_ms: float
    avg_top_score: float
    score_bands: Sequence[int]
    by_day: Sequence[DayStats]


class QueryLog:
    """Takes ended queries and writes them, off the queries' path. What is older than `keep_days` is removed."""

    def __init__(self, store: DocumentStore, tasks: Tasks, *, capacity: int, keep_days: float) -> None:
        self._store = store
        self._table = Table(store, QUERIES, QueryRecord)
        self._records: WriteBehind[QueryRecord] = WriteBehind(
            store, QUERIES, tasks, "rql", msgspec.to_builtins, capacity=capacity, keep_seconds=keep_days * _DAY
        )

    def add(self, project: Project, ended: Ended) -> None:
        """Log a query. Never waits and never raises."""
        self._records.add(project, _record(ended, time.time()))

    async def flush(self) -> None:
        await self._records.flush()

    async def page(self, project: Project, module_id: str, size: int, token: str) -> tuple[list[QueryRecord], str]:
        """Newest first, and the token of the next page. Raises InvalidInput."""
        where = {"moduleId": module_id}
        return await self._table.page(project, where, page_size=fields.page_size(size), page_token=token)

    async def remove(self, project: Project, module_id: str) -> None:
        """Remove what is logged of a deleted module, and what is still to be written of it."""
        await self.flush()
        await self._store.delete_where(project, QUERIES, {"moduleId": module_id})

    async def stats(self, project: Project, module_id: str, days: int) -> QueryStats:
        """The statistics of the last `days` in UTC, today included; 0: 7. Raises InvalidInput."""
        count = fields.between("days", days, 1, MAX_DAYS, default=_DEFAULT_DAYS)
        today = int(time.time() // _DAY)
        first = today - count + 1
        where = {"moduleId": module_id, "createdAt": Cond(Op.GTE, first * _DAY)}

        async def totals(group_by: Sequence[str], *sums: str) -> list[Document]:
            return await self._store.totals(project, QUERIES, where, group_by=group_by, sums=sums)

        by_day = await totals(["day", "found"], "latencyMs", "topScore")
        by_score, by_latency = await totals(["scoreBand"]), await totals(["latencyBand"])
        return _stats(range(first, today + 1), by_day, by_score, by_latency)


def _record(ended: Ended, now: float) -> QueryRecord:
    request = request_context.current()
    identity = None if request is None else request.identity
    scores = ended.scores
    return QueryRecord(
        created_at=now,
        day=int(now // _DAY),
        module_id=ended.module_id,
        request_id="" if request is None else request.request_id,
        token_id="" if identity is None else identity.token_id,
        kind=ended.kind,
        query=ended.query[:_LOGGED_CHARACTERS],
        top_k=ended.top_k,
        match_count=len(scores),
        pre_filter_match_count=ended.pre_filter_match_count,
        latency_ms=round(ended.latency_ms, 3),
        latency_band=_latency_band(ended.latency_ms),
        found=bool(scores),
        hybrid=ended.hybrid,
        reranked=ended.reranked,
        top_score=scores[0] if scores else None,
        avg_score=sum(scores) / len(scores) if scores else None,
        score_band=min(_BANDS - 1, max(0, int(scores[0] * _BANDS))) if scores else None,
        min_score_applied=ended.min_score,
    )


def _latency_band(milliseconds: float) -> int:
    return math.floor(math.log(max(milliseconds, 0.001)) / _STEP)


def _stats(
    days: range, by_day: Sequence[Document], by_score: Sequence[Document], by_latency: Sequence[Document]
) -> QueryStats:
    queries = sum(row["count"] for row in by_day)
    found = sum(row["count"] for row in by_day if row["found"])
    scores = {row["scoreBand"]: row["count"] for row in by_score if row["scoreBand"] is not None}
    return QueryStats(
        queries=queries,
        zero_hit_rate=(queries - found) / queries if queries else 0.0,
        avg_latency_ms=sum(row["latencyMs"] for row in by_day) / queries if queries else 0.0,
        p95_latency_ms=_percentile({row["latencyBand"]: row["count"] for row in by_latency}, 0.95),
        avg_top_score=sum(row["topScore"] or 0.0 for row in by_day) / found if found else 0.0,
        score_bands=[scores.get(band, 0) for band in range(_BANDS)],
        by_day=[_day(day, [row for row in by_day if row["day"] == day]) for day in days],
    )


def _day(day: int, rows: Sequence[Document]) -> DayStats:
    queries = sum(row["count"] for row in rows)
    return DayStats(
        day=datetime.fromtimestamp(day * _DAY, UTC).date().isoformat(),
        queries=queries,
        zero_hits=sum(row["count"] for row in rows if not row["found"]),
        avg_latency_ms=sum(row["latencyMs"] for row in rows) / queries if queries else 0.0,
    )


def _percentile(bands: dict[int, int], share: float) -> float:
    """The upper edge of the band in which the share of all is reached; 0: there are none."""
    wanted, seen = share * sum(bands.values()), 0
    for band in sorted(bands):
        seen += bands[band]
        if seen >= wanted:
            return round(math.exp((band + 1) * _STEP), 3)
    return 0.0
