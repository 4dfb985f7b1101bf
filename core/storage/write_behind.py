"""Records of what has happened, taken without waiting and written in batches a little later."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from secrets import token_hex
from typing import Generic, NamedTuple, TypeVar, cast

from core import logs
from core.errors import Conflict, FailedPrecondition, InvalidInput, PorticoError
from core.storage.journal import Segment
from core.storage.ports import Collection, Cond, Document, DocumentStore, Op
from core.storage.write_ahead import RecordScope, WriteAhead
from core.tasks import Tasks
from core.tenancy import AllProjects, Project, Tenant

BATCH = 500
_PRUNE_SECONDS = 3600.0
_UNWRITABLE = (InvalidInput, Conflict, TypeError, ValueError, OverflowError)
"""Errors of a store about a record itself; writing it again would end in the same way."""

log = logs.get(__name__)

T = TypeVar("T")
Insert = Callable[[RecordScope, Sequence[Document], Sequence[str] | None], Awaitable[object]]
"""Writes documents, whose texts are known or None."""


class _Held(NamedTuple, Generic[T]):
    """A record in memory: its id, and either its entry or, where it is journalled, its document."""

    id: str
    entry: T | None
    document: Document | None = None
    segment: Segment | None = None
    """Segment of the journal that has the record; None: none has it."""
    text: str | None = None
    """Text of the document, as a store keeps it."""


class WriteBehind(Generic[T]):
    """Takes entries and writes what `document` makes of each, under an id that begins with `prefix` unless it has one.

    Holds at most `capacity` unwritten ones. When that is used up, the owner that holds most loses its newest, so that
    no project or tenant can take another's share; what is lost is counted. A record that the store can never take is
    logged, counted and dropped, and the rest of its batch is written. What is older than `keep_seconds` is removed.
    What is held of a tenant that was dropped meanwhile is dropped with it.

    With a `journal`, a record is in a file before `add` returns: one that memory has no room for, or whose process is
    killed, is read from there and written later. `insert` writes documents in another way than into the collection
    alone; it must skip ids that are known.
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
        journal: WriteAhead | None = None,
        insert: Insert | None = None,
    ) -> None:
        self._store = store
        self._collection = collection
        self._tasks = tasks
        self._document = document
        self._capacity = capacity
        self._keep_seconds = keep_seconds
        self._journal = journal
        self._insert_new: Insert = insert or partial(_insert_into, store, collection)
        self._held: dict[RecordScope, deque[_Held[T]]] = {}
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

    @property
    def waiting(self) -> int:
        """Records in memory that are not written yet."""
        return self._count

    def add(self, scope: RecordScope, entry: T) -> None:
        """Queue a record. Never waits and never raises. `scope` is a scope of the collection's level."""
        id = next(self._ids)
        record = _Held(id, entry) if self._journal is None else self._journalled(self._journal, scope, id, entry)
        if self._count >= self._capacity and not self._make_room(scope):
            self._forget(record)
            return
        self._hold(scope, record)
        self._fresh += 1
        if self._fresh >= BATCH and not self._called:
            self._called = True
            try:
                self._tasks.spawn(f"write {self._collection.name}", self.flush())
            except PorticoError:  # too much background work: the periodic flush comes anyway
                log.debug("records are written later", collection=self._collection.name)

    def _journalled(self, journal: WriteAhead, scope: RecordScope, id: str, entry: T) -> _Held[T]:
        document = self._with_id(id, entry)
        if isinstance(scope, Project):
            document["project"] = scope.id
        return _Held(document["id"], None, document, *journal.append(scope, document))

    def _with_id(self, id: str, entry: T) -> Document:
        document = self._document(entry)
        document.setdefault("id", id)
        return document

    def _hold(self, scope: RecordScope, record: _Held[T]) -> None:
        held = self._held.get(scope)
        if held is None:
            held = self._held[scope] = deque()
        held.append(record)
        self._count += 1

    def _forget(self, record: _Held[T]) -> None:
        """Leave a record to the journal. Where there is none, it is lost."""
        if self._journal is None or record.segment is None:
            self.lost += 1
        else:
            self._journal.forgotten(record.segment)

    def _make_room(self, scope: RecordScope) -> bool:
        """Drop the newest record of the owner that holds most, unless that is the one that wants room."""
        largest = max(self._held.values(), key=len, default=None)
        if not largest or len(largest) <= len(self._held.get(scope, ())):
            return False
        self._forget(largest.pop())
        self._count -= 1
        return True

    async def flush(self) -> None:
        """Write what there is. What the store cannot take now is kept for the next time."""
        async with self._flushing:
            self._called = False
            self._fresh = 0
            await self._write_held()
            if self._journal is not None:
                await self._write_unread(self._journal)
            if lost := self.lost - self._reported:
                self._reported += lost
                log.error("records lost", collection=self._collection.name, lost=lost)

    async def _write_held(self) -> None:
        for scope in list(self._held):
            await self._write(scope)

    async def _write_unread(self, journal: WriteAhead) -> None:
        """Write what is in the journal alone. What the store cannot take now stays in memory as far as there is room,
        and the rest in the journal."""
        while journal.unread and self._count <= self._capacity // 2:
            segment, records = await journal.read()
            for scope, document in records:
                self._hold(scope, _Held(document["id"], None, document, segment))
            await self._write_held()

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
                self._done((*batch, *held))
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
            self._done(batch)
        if not held:
            del self._held[scope]

    def _done(self, records: Sequence[_Held[T]]) -> None:
        """Hold the records no more: they are written, or never can be."""
        self._count -= len(records)
        if self._journal is not None:
            for segment, count in Counter(record.segment for record in records).items():
                if segment is not None:
                    self._journal.written(segment, count)

    async def _insert(self, scope: RecordScope, batch: Sequence[_Held[T]]) -> None:
        """Write the batch but for records that can never be written, which are found by halving it. Records of it that
        were written before an error are skipped by the store the next time."""
        try:
            texts = [record.text for record in batch if record.text is not None]
            documents = [self._document_of(record) for record in batch]
            await self._insert_new(scope, documents, texts if len(texts) == len(documents) else None)
        except _UNWRITABLE as error:
            if len(batch) == 1:
                self.unwritable += 1
                reason = error.reason if isinstance(error, PorticoError) else type(error).__name__
                log.error("record dropped: it can never be written", collection=self._collection.name, reason=reason)
                return
            half = len(batch) // 2
            await self._insert(scope, batch[:half])
            await self._insert(scope, batch[half:])

    def _document_of(self, record: _Held[T]) -> Document:
        if record.document is not None:
            return record.document
        return self._with_id(record.id, cast(T, record.entry))

    async def _prune(self, scope: RecordScope) -> None:
        now = time.time()
        whole = scope if isinstance(scope, Tenant) else AllProjects(scope.tenant)
        if self._keep_seconds is None or self._pruned.get(whole, 0.0) + _PRUNE_SECONDS > now:
            return
        self._pruned[whole] = now
        old = {"createdAt": Cond(Op.LT, now - self._keep_seconds)}
        await self._store.delete_where(whole, self._collection, old)


async def _insert_into(
    store: DocumentStore,
    collection: Collection,
    scope: RecordScope,
    documents: Sequence[Document],
    texts: Sequence[str] | None,
) -> None:
    await store.insert_many(scope, collection, documents)
