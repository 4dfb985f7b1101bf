"""The query log, and statistics of an index made from it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from core import fields
from core.storage.ports import Cond, Document, DocumentStore, Op
from core.storage.table import Record, Table
from core.storage.write_behind import WriteBehind
from core.tasks import Tasks
from core.tenancy import Project
from services.vector.domain.points import Match
from services.vector.domain.tables import QUERY_LOGS
from services.vector.ports import Query

FLUSH_SECONDS = 0.5
_HOUR, _DAY = 3600.0, 86_400.0
_MAX_HOURS = 720


class QueryRecord(Record, frozen=True, omit_defaults=True):
    """One query as it ended. Keeps only the number of matches and the first one's score."""

    created_at: float
    index_id: str
    request_id: str
    token_id: str
    top_k: int
    match_count: int
    latency_ms: float
    filtered: bool
    hybrid: bool
    found: bool
    top_score: float | None = None
    id: str = ""
    """Given by the writer."""


def query_record(
    index_id: str, request_id: str, token_id: str, query: Query, matches: Sequence[Match], latency_ms: float
) -> QueryRecord:
    return QueryRecord(
        time.time(),
        index_id,
        request_id,
        token_id,
        query.top_k,
        len(matches),
        round(latency_ms, 3),
        query.filter is not None,
        query.keywords is not None,
        bool(matches),
        matches[0].score if matches else None,
    )


@dataclass(frozen=True, slots=True)
class QueryStats:
    """Statistics of some hours. Means are over the queries, and the score's over those that found something."""

    queries: int = 0
    filtered: int = 0
    mean_latency_ms: float = 0.0
    mean_top_score: float = 0.0


class QueryLog:
    """Takes ended queries and writes them, off the queries' path. What is older than `keep_days` is removed."""

    def __init__(self, store: DocumentStore, tasks: Tasks, *, capacity: int, keep_days: float) -> None:
        self._store = store
        self._table = Table(store, QUERY_LOGS, QueryRecord)
        self.records: WriteBehind[QueryRecord] = WriteBehind(
            store, QUERY_LOGS, tasks, "vql", msgspec.to_builtins, capacity=capacity, keep_seconds=keep_days * _DAY
        )

    def add(self, project: Project, record: QueryRecord) -> None:
        """Log a query. Never waits and never raises."""
        self.records.add(project, record)

    async def flush(self) -> None:
        await self.records.flush()

    async def page(self, project: Project, index_id: str, size: int, token: str) -> tuple[list[QueryRecord], str]:
        """Newest first, and the token of the next page. Raises InvalidInput."""
        where = {"indexId": index_id}
        return await self._table.page(project, where, page_size=fields.page_size(size), page_token=token)

    async def stats(self, project: Project, index_id: str, hours: int) -> QueryStats:
        """The statistics of the last `hours`; 0: a day. Raises InvalidInput."""
        since = time.time() - fields.between("hours", hours, 1, _MAX_HOURS, default=24) * _HOUR
        where = {"indexId": index_id, "createdAt": Cond(Op.GTE, since)}
        rows = await self._store.totals(
            project, QUERY_LOGS, where, group_by=["filtered", "found"], sums=["latencyMs", "topScore"]
        )
        return _stats(rows)


def _stats(rows: Sequence[Document]) -> QueryStats:
    queries, found = (sum(row["count"] for row in rows if row["found"] or every) for every in (True, False))
    return QueryStats(
        queries=queries,
        filtered=sum(row["count"] for row in rows if row["filtered"]),
        mean_latency_ms=sum(row["latencyMs"] for row in rows) / queries if queries else 0.0,
        mean_top_score=sum(row["topScore"] or 0.0 for row in rows) / found if found else 0.0,
    )
