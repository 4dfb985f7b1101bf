"""Records of what has happened, taken without waiting and written in batches a little later."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from secrets import token_hex
from typing import Generic, TypeVar

from core import logs
from core.errors import FailedPrecondition, PorticoError
from core.storage.ports import Collection, Cond, Document, DocumentStore, Op
from core.tasks import Tasks
from core.tenancy import EveryProject, Project, Tenant

BATCH = 500
_PRUNE_SECONDS = 3600.0

log = logs.get(__name__)

T = TypeVar("T")


class WriteBehind(Generic[T]):
    """Takes entries and writes what `document` makes of each, under an id that begins with `prefix`.

    Holds at most `capacity` unwritten ones; more are counted as lost. What is older than `keep_seconds` is removed. The
    calls that the records are about must have prepared the collection: prepared here, a tenant that has been removed
    meanwhile would come to be again.
    """

    def __init__(
        self,
        store: DocumentStore,
        collection: Collection,
        tasks: Tasks,
        prefix: str,
        document: Callable[[T], Document],
        *,
        capacity: int,
        keep_seconds: float | None = None,
    ) -> None:
        self._store = store
        self._collection = collection
        self._tasks = tasks
        self._document = document
        self._capacity = capacity
        self._keep_seconds = keep_seconds
        self._taken: deque[tuple[Project, T]] = deque()
        self._unwritten: dict[Project, list[Document]] = {}
        self._waiting = 0
        self._flushing = asyncio.Lock()
        self._called = False
        self._pruned: dict[Tenant, float] = {}
        ours = token_hex(8)
        self._ids = (f"{prefix}_{ours}{number:010x}" for number in count())
        self.lost = 0
        """Entries that could not be kept, since the start."""
        self._told = 0
        """How many of them the log has told of."""

    def add(self, project: Project, entry: T) -> None:
        """Never waits and never raises."""
        if len(self._taken) + self._waiting >= self._capacity:
            self.lost += 1
            return
        self._taken.append((project, entry))
        if len(self._taken) >= BATCH and not self._called:
            self._called = True
            try:
                self._tasks.spawn(f"write {self._collection.name}", self.flush())
            except PorticoError:  # too much background work: the periodic flush comes anyway
                log.debug("records are written later", collection=self._collection.name)

    async def flush(self) -> None:
        """Writes what there is. What the store does not take now is kept for the next time."""
        async with self._flushing:
            self._called = False
            while self._taken:
                project, entry = self._taken.popleft()
                document = {"id": next(self._ids), **self._document(entry)}
                self._unwritten.setdefault(project, []).append(document)
                self._waiting += 1
            for project in list(self._unwritten):
                await self._write(project)
            if lost := self.lost - self._told:
                self._told += lost
                log.error("records lost", collection=self._collection.name, lost=lost)

    async def _write(self, project: Project) -> None:
        documents = self._unwritten[project]
        told = {"collection": self._collection.name, "waiting": len(documents)}
        while documents:
            batch = documents[:BATCH]
            try:
                await self._store.insert_many(project, self._collection, batch)
                await self._prune(project.tenant)
            except FailedPrecondition as error:  # the tenant has been removed meanwhile, and its records with it
                log.warning("records of a removed tenant dropped", reason=error.reason, **told)
                self._waiting -= len(documents)
                break
            except PorticoError as error:
                log.warning("records not written yet", reason=error.reason, **told)
                return
            except Exception:  # a store's own trouble, whatever its driver calls it: these records must outlive it
                log.exception("records not written yet", **told)
                return
            del documents[: len(batch)]
            self._waiting -= len(batch)
        del self._unwritten[project]

    async def _prune(self, tenant: Tenant) -> None:
        now = time.time()
        if self._keep_seconds is None or self._pruned.get(tenant, 0.0) + _PRUNE_SECONDS > now:
            return
        self._pruned[tenant] = now
        old = {"createdAt": Cond(Op.LT, now - self._keep_seconds)}
        await self._store.delete_where(EveryProject(tenant), self._collection, old)
