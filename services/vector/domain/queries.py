"""The query log, written in batches off the queries' path, and what it says of an index."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from secrets import token_hex
from typing import Any

from core import fields, logs
from core.errors import PorticoError
from core.storage.ports import Cond, Document, DocumentStore, Op
from core.tasks import Tasks
from core.tenancy import EveryProject, Project, Tenant
from services.vector.domain.points import Match
from services.vector.domain.tables import QUERY_LOGS
from services.vector.ports import Place, Query

FLUSH_SECONDS = 0.5
_BATCH = 500
_PRUNE_SECONDS = 3600.0
_HOUR, _DAY = 3600.0, 86_400.0
_MAX_HOURS = 720

log = logs.get(__name__)


@dataclass(slots=True)
class QueryRecord:
    """One query as it ended."""

    place: Place
    request_id: str
    token_id: str
    query: Query
    matches: Sequence[Match]
    latency_ms: float

    def document(self, id: str, at: float) -> Document:
        top = {"topScore": self.matches[0].score} if self.matches else {}
        return {
            "id": id,
            "createdAt": at,
            "indexId": self.place.index_id,
            "requestId": self.request_id,
            "tokenId": self.token_id,
            "topK": self.query.top_k,
            "matchCount": len(self.matches),
            "latencyMs": round(self.latency_ms, 3),
            "filtered": self.query.filter is not None,
            "hybrid": self.query.words is not None,
            "found": bool(self.matches),
            **top,
        }


@dataclass(frozen=True, slots=True)
class QueryStats:
    """Of some hours. Means are over the queries, and the score's over those that found something."""

    queries: int = 0
    filtered: int = 0
    mean_latency_ms: float = 0.0
    mean_top_score: float = 0.0


class QueryLog:
    """Takes ended queries and writes them. Holds at most `capacity` unwritten ones; more are counted as lost. What is
    older than `keep_days` is removed."""

    def __init__(self, store: DocumentStore, tasks: Tasks, *, capacity: int, keep_days: float) -> None:
        self._store = store
        self._tasks = tasks
        self._capacity = capacity
        self._keep_seconds = keep_days * _DAY
        self._added: deque[Document] = deque()
        self._scopes: deque[Project] = deque()
        self._unwritten: dict[Project, list[Document]] = {}
        self._waiting = 0
        self._flushing = asyncio.Lock()
        self._called = False
        self._pruned: dict[Tenant, float] = {}
        ours = token_hex(8)
        self._ids = (f"vql_{ours}{number:010x}" for number in count())
        self.lost = 0
        """Records that could not be kept, since the start."""

    def add(self, record: QueryRecord) -> None:
        """Never waits and never raises."""
        if len(self._added) + self._waiting >= self._capacity:
            self.lost += 1
            return
        self._added.append(record.document(next(self._ids), time.time()))
        self._scopes.append(record.place.scope)
        if len(self._added) >= _BATCH and not self._called:
            self._called = True
            try:
                self._tasks.spawn("write query log", self.flush())
            except PorticoError:  # too much background work: the periodic flush comes anyway
                log.debug("query log is written later")

    async def flush(self) -> None:
        """Writes what there is. What the store does not take now is kept for the next time."""
        async with self._flushing:
            self._called = False
            lost = self.lost
            while self._added:
                self._unwritten.setdefault(self._scopes.popleft(), []).append(self._added.popleft())
                self._waiting += 1
            for project in list(self._unwritten):
                await self._write(project)
            if self.lost > lost:
                log.error("query log entries lost", lost=self.lost - lost)

    async def page(self, project: Project, index_id: str, size: int, token: str) -> tuple[list[Document], str]:
        """Newest first, and the token of the next page. Raises InvalidInput."""
        await self._store.prepare(project.tenant, [QUERY_LOGS])
        page = await self._store.find(
            project, QUERY_LOGS, {"indexId": index_id}, page_size=fields.page_size(size), page_token=token
        )
        return page.items, page.next_token

    async def stats(self, project: Project, index_id: str, hours: int) -> QueryStats:
        """Of the last `hours`; 0: a day. Raises InvalidInput."""
        since = time.time() - fields.between("hours", hours, 1, _MAX_HOURS, default=24) * _HOUR
        await self._store.prepare(project.tenant, [QUERY_LOGS])
        where = {"indexId": index_id, "createdAt": Cond(Op.GTE, since)}
        rows = await self._store.totals(
            project, QUERY_LOGS, where, group_by=["filtered", "found"], sums=["latencyMs", "topScore"]
        )
        return _stats(rows)

    async def _write(self, project: Project) -> None:
        documents = self._unwritten[project]
        while documents:
            batch = documents[:_BATCH]
            try:
                await self._store.prepare(project.tenant, [QUERY_LOGS])
                await self._store.insert_many(project, QUERY_LOGS, batch)
                await self._prune(project.tenant)
            except PorticoError as error:
                log.warning("query log not written yet", reason=error.reason, waiting=len(documents))
                return
            except Exception:  # a store's own trouble, whatever its driver calls it: these records must outlive it
                log.exception("query log not written yet", waiting=len(documents))
                return
            del documents[: len(batch)]
            self._waiting -= len(batch)
        del self._unwritten[project]

    async def _prune(self, tenant: Tenant) -> None:
        now = time.time()
        if self._pruned.get(tenant, 0.0) + _PRUNE_SECONDS > now:
            return
        self._pruned[tenant] = now
        old = {"createdAt": Cond(Op.LT, now - self._keep_seconds)}
        await self._store.delete_where(EveryProject(tenant), QUERY_LOGS, old)


def _stats(rows: Sequence[Mapping[str, Any]]) -> QueryStats:
    queries, found = (sum(row["count"] for row in rows if row["found"] or every) for every in (True, False))
    return QueryStats(
        queries=queries,
        filtered=sum(row["count"] for row in rows if row["filtered"]),
        mean_latency_ms=sum(row["latencyMs"] for row in rows) / queries if queries else 0.0,
        mean_top_score=sum(row["topScore"] or 0.0 for row in rows) / found if found else 0.0,
    )
