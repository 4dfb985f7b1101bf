"""Insertion of documents together with counts of them, without a transaction over several documents.

Documents are inserted with the name of their batch, `_batch`, which says that they are not counted yet. The batch's
plan fixes what they add up to; then each counter takes its amount and notes, in `_applied`, up to which batch of each
writer it has counted. A writer's batches reach the counters in order, so a counter takes each of them once, whoever
carries the plan out. Last the documents lose the name of their batch. Who repeats the call of a process that was killed
on the way finds the name, and finishes the batch first.
"""

import asyncio
from collections.abc import Sequence
from itertools import count
from secrets import token_hex

from pymongo import InsertOne, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from core.bounded import BoundedDict
from core.storage import mongodb_documents
from core.storage.checks import added
from core.storage.documents import decode, encode
from core.storage.mongodb_changes import skip_known
from core.storage.mongodb_databases import Bson
from core.storage.mongodb_documents import APPLIED, BATCH, ID, VERSION, id_of, new
from core.storage.mongodb_errors import DUPLICATE_KEY
from core.storage.ports import Collection, Counting, Increment
from core.tenancy import Scope

_PLANS = "portico_batches"
_PENDING_INDEX = "pending batch"
_MOST_WRITERS = 10_000


class CountedInserts:
    """The counted inserts of one process. Those of different databases do not wait for each other."""

    def __init__(self) -> None:
        self._writers: BoundedDict[tuple[str, str], _Writer] = BoundedDict(_MOST_WRITERS)

    async def insert(
        self,
        database: AsyncDatabase[Bson],
        scope: Scope,
        collection: Collection,
        counters: Collection,
        rows: Sequence[Bson],
        counting: Counting,
    ) -> int:
        """Insert the rows that are new, and count them. Returns how many were. Raises InvalidInput where a sum would
        not fit into 64 bits, and changes nothing then."""
        name = (database.name, collection.name)
        writer = self._writers.get(name)
        if writer is None:
            writer = self._writers[name] = _Writer()
        return await writer.insert(_Work(database, scope, collection, counters, counting), rows)


class _Writer:
    """The batches of one process in one collection, which are numbered."""

    def __init__(self) -> None:
        self._name = token_hex(8)
        self._numbers = count(1)
        self._lock = asyncio.Lock()
        self._indexed = False

    async def insert(self, work: "_Work", rows: Sequence[Bson]) -> int:
        async with self._lock:
            try:
                return await self._insert(work, rows)
            except BaseException:
                # A batch may be left half-way, and a later one reach a counter first: it must be another writer's.
                self._name, self._indexed = token_hex(8), False
                raise

    async def _insert(self, work: "_Work", rows: Sequence[Bson]) -> int:
        if not self._indexed:
            await work.documents.create_index(BATCH, name=_PENDING_INDEX, sparse=True)
            self._indexed = True
        found = work.documents.find({ID: {"$in": [row[ID] for row in rows]}}, {BATCH: 1})
        known = {each[ID]: each async for each in found}
        for pending in sorted({each[BATCH] for each in known.values() if BATCH in each}):
            await work.finish(pending)
        fresh = [row for row in rows if row[ID] not in known]
        await work.check(fresh)
        inserted = 0
        while fresh:
            batch = f"{self._name}.{next(self._numbers)}"
            marked = [{**row, BATCH: batch} for row in fresh]
            try:
                await work.documents.insert_many(marked, ordered=False)
            except BulkWriteError as error:
                await skip_known(work.documents, marked, error)
            inserted += await work.finish(batch)
            left = {each[ID] async for each in work.documents.find({BATCH: batch}, {ID: 1})}
            fresh = [row for row in fresh if row[ID] in left]
            await work.documents.delete_many({BATCH: batch})  # another has finished the batch before these came
        return inserted


class _Work:
    """Batches of one scope."""

    def __init__(
        self,
        database: AsyncDatabase[Bson],
        scope: Scope,
        collection: Collection,
        counters: Collection,
        counting: Counting,
    ) -> None:
        self.documents: AsyncCollection[Bson] = database[collection.name]
        self._counts: AsyncCollection[Bson] = database[counters.name]
        self._plans: AsyncCollection[Bson] = database[_PLANS]
        self._scope = scope
        self._collection = collection
        self._counters = counters
        self._counting = counting

    async def check(self, rows: Sequence[Bson]) -> None:
        """Check that the counters can take the rows. Raises InvalidInput."""
        increments = self._increments(rows)
        ids = [id_of(self._scope, increment.id) for increment in increments]
        known = {each[ID]: each async for each in self._counts.find({ID: {"$in": ids}})}
        for id, increment in zip(ids, increments, strict=True):
            found = known.get(id)
            added(self._counters, None if found is None else mongodb_documents.read(self._counters, found), increment)

    async def finish(self, batch: str) -> int:
        """Count a batch, from wherever it was left, and return the number of its documents."""
        rows = [each async for each in self.documents.find({BATCH: batch})]
        increments = [[each.id, dict(each.amounts), dict(each.initial)] for each in self._increments(rows)]
        plan: Bson = {ID: batch, "documents": [row[ID] for row in rows], "increments": encode(increments)}
        try:
            await self._plans.insert_one(plan)
        except DuplicateKeyError:
            plan = await self._plans.find_one({ID: batch}) or {ID: batch, "documents": [], "increments": "[]"}
        text: str = plan["increments"]
        await self._count(batch, [Increment(id, amounts, initial) for id, amounts, initial in decode(text)])
        await self._plans.delete_one({ID: batch})  # a plan that is made again adds nothing to the counters
        await self.documents.update_many({ID: {"$in": plan["documents"]}, BATCH: batch}, {"$unset": {BATCH: ""}})
        return len(plan["documents"])

    async def _count(self, batch: str, increments: Sequence[Increment]) -> None:
        """Add increments to their counters, but for the counters that have this batch. Two commands for all of them;
        more only where another process makes the same counters at this moment."""
        writer, _, text = batch.partition(".")
        number, path = int(text), f"{APPLIED}.{writer}"
        left = {id_of(self._scope, increment.id): increment for increment in increments}
        while left:
            known = {each[ID] async for each in self._counts.find({ID: {"$in": list(left)}}, {ID: 1})}
            writes: list[InsertOne[Bson] | UpdateOne] = []
            for id, increment in left.items():
                if id in known:
                    command = {"$inc": {**increment.amounts, VERSION: 1}, "$set": {path: number}}
                    writes.append(UpdateOne({ID: id, path: {"$not": {"$gte": number}}}, command))
                else:
                    counter = {**increment.initial, **increment.amounts, "id": increment.id}
                    fresh = new(self._scope, self._counters, counter)
                    writes.append(InsertOne({**fresh, APPLIED: {writer: number}}))
            try:
                await self._counts.bulk_write(writes, ordered=False)
            except BulkWriteError as error:
                failures = (error.details or {}).get("writeErrors", [])
                if any(failure.get("code") != DUPLICATE_KEY for failure in failures):
                    raise
                left = {id: left[id] for id in left if id not in known}  # others have just made some of them
            else:
                return

    def _increments(self, rows: Sequence[Bson]) -> list[Increment]:
        return list(self._counting([mongodb_documents.read(self._collection, row) for row in rows]))
