"""Records of what has happened, taken without waiting and written in batches a little later."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from secrets import token_hex
from typing import Generic, TypeVar

from core import logs
from core.errors import Conflict, FailedPrecondition, InvalidInput, PorticoError
from core.storage.ports import Collection, Cond, Document, DocumentStore, Op
from core.tasks import Tasks
from core.tenancy import AllProjects, Project, Tenant

BATCH = 500
_PRUNE_SECONDS = 3600.0
_UNWRITABLE = (InvalidInput, Conflict, TypeError, ValueError, OverflowError)
"""Errors of a store about a record itself; writing it again would end in the same way."""

log = logs.get(__name__)

T = TypeVar("T")
Held = tuple[str, T]
"""A record's id and its entry."""

RecordScope = Project | Tenant


class WriteBehind(Generic[T]):
    """Takes entries and writes what `document` makes of each, under an id that begins with `prefix` unless it has one.

    Holds at most `capacity` unwritten ones. When that is used up, the owner that holds most loses its newest, so that
    no project or tenant can take another's share; what is lost is counted. A record that the store can never take is
    logged, counted and dropped, and the rest of its batch is written. What is older than `keep_seconds` is removed.
    What is held of a tenant that was dropped meanwhile is dropped with it.
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
        self._held: dict[RecordScope, deque[Held[T]]] = {}
        self._count = 0
        """Number of records that are held, a batch that is being written included."""
        self._fresh = 0
        """Taken since the last flush."""
        self._flushing = asyncio.Lock()
        self._called = False
        self._pruned: dict[Tenant | AllProjects, float] = {}
        ours = token_hex(8)
        self._ids = (f"{prefix}_{ours}{number:010x}" for number in count())
        self.lost = 0
        """Entries for which there was no room, since the start."""
        self._reported = 0
        """Number of them that the log has reported."""
        self.unwritable = 0
        """Records that the store can never take, since the start."""

    def add(self, scope: RecordScope, entry: T) -> None:
        """Queue a record. Never waits and never raises. `scope` is a scope of the collection's level."""
        if self._count >= self._capacity:
            self.lost += 1
            if not self._make_room(scope):
                return
        held = self._held.get(scope)
        if held is None:
            held = self._held[scope] = deque()
        held.append((next(self._ids), entry))
        self._count += 1
        self._fresh += 1
        if self._fresh >= BATCH and not self._called:
            self._called = True
            try:
                self._tasks.spawn(f"write {self._collection.name}", self.flush())
            except PorticoError:  # too much background work: the periodic flush comes anyway
                log.debug("records are written later", collection=self._collection.name)

    def _make_room(self, scope: RecordScope) -> bool:
        """Drop the newest record of the owner that holds most, unless that is the one that wants room."""
        largest = max(self._held.values(), key=len, default=None)
        if not largest or len(largest) <= len(self._held.get(scope, ())):
            return False
        largest.pop()
        self._count -= 1
        return True

    async def flush(self) -> None:
        """Write what there is. What the store cannot take now is kept for the next time."""
        async with self._flushing:
            self._called = False
            self._fresh = 0
            for scope in list(self._held):
                await self._write(scope)
            if lost := self.lost - self._reported:
                self._reported += lost
                log.error("records lost", collection=self._collection.name, lost=lost)

    async def _write(self, scope: RecordScope) -> None:
        held = self._held[scope]
        left = len(held)  # not what comes meanwhile: a busy service would write batches of a few records without end
        while held and left > 0:
            batch = [held.popleft() for _ in range(min(BATCH, left, len(held)))]
            left -= len(batch)
            context = {"collection": self._collection.name, "waiting": len(held) + len(batch)}
            try:
                await self._insert(scope, batch)
                await self._prune(scope)
            except FailedPrecondition as error:  # the tenant has been removed meanwhile, and its records with it
                log.warning("records of a removed tenant dropped", reason=error.reason, **context)
                self._count -= len(batch) + len(held)
                held.clear()
                break
            except BaseException as error:
                held.extendleft(reversed(batch))
                if isinstance(error, PorticoError):
                    log.warning("records not written yet", reason=error.reason, **context)
                elif isinstance(error, Exception):  # a store's own trouble, whatever its driver calls it
                    log.exception("records not written yet", **context)
                else:
                    raise
                return
            self._count -= len(batch)
        if not held:
            del self._held[scope]

    async def _insert(self, scope: RecordScope, batch: Sequence[Held[T]]) -> None:
        """Write the batch but for records that can never be written, which are found by halving it. Records of it that
        were written before an error are skipped by the store the next time."""
        try:
            documents = [{"id": id, **self._document(entry)} for id, entry in batch]
            await self._store.insert_many(scope, self._collection, documents)
        except _UNWRITABLE as error:
            if len(batch) == 1:
                self.unwritable += 1
                reason = error.reason if isinstance(error, PorticoError) else type(error).__name__
                log.error("record dropped: it can never be written", collection=self._collection.name, reason=reason)
                return
            half = len(batch) // 2
            await self._insert(scope, batch[:half])
            await self._insert(scope, batch[half:])

    async def _prune(self, scope: RecordScope) -> None:
        now = time.time()
        whole = scope if isinstance(scope, Tenant) else AllProjects(scope.tenant)
        if self._keep_seconds is None or self._pruned.get(whole, 0.0) + _PRUNE_SECONDS > now:
            return
        self._pruned[whole] = now
        old = {"createdAt": Cond(Op.LT, now - self._keep_seconds)}
        await self._store.delete_where(whole, self._collection, old)
