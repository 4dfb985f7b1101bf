"""The query log, and statistics of an index made from it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from core import fields
from core.storage.ports import Cond, Document, DocumentStore, Op
from core.storage.write_behind import WriteBehind
from core.tasks import Tasks
from core.tenancy import Project
from services.vector.domain.points import Match
from services.vector.domain.tables import QUERY_LOGS
from services.vector.ports import IndexLocation, Query

FLUSH_SECONDS = 0.5
_HOUR, _DAY = 3600.0, 86_400.0
_MAX_HOURS = 720


@dataclass(slots=True)
class QueryRecord:
    """One query as it ended."""

    location: IndexLocation
    request_id: str
    token_id: str
    query: Query
    matches: Sequence[Match]
    latency_ms: float

    def document(self, at: float) -> Document:
        top = {"topScore": self.matches[0].score} if self.matches else {}
        return {
            "createdAt": at,
            "indexId": self.location.index_id,
            "requestId": self.request_id,
            "tokenId": self.token_id,
            "topK": self.query.top_k,
            "matchCount": len(self.matches),
            "latencyMs": round(self.latency_ms, 3),
            "filtered": self.query.filter is not None,
            "hybrid": self.query.keywords is not None,
            "found": bool(self.matches),
            **top,
        }


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
        self.records: WriteBehind[Document] = WriteBehind(
            store, QUERY_LOGS, tasks, "vql", dict, capacity=capacity, keep_seconds=keep_days * _DAY
        )

    def add(self, record: QueryRecord) -> None:
        """Log a query. Never waits and never raises. Keeps only the number of matches and the first one's score."""
        self.records.add(record.location.scope, record.document(time.time()))

    async def flush(self) -> None:
        await self.records.flush()

    async def page(self, project: Project, index_id: str, size: int, token: str) -> tuple[list[Document], str]:
        """Newest first, and the token of the next page. Raises InvalidInput."""
        page = await self._store.find(
            project, QUERY_LOGS, {"indexId": index_id}, page_size=fields.page_size(size), page_token=token
        )
        return page.items, page.next_token

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
