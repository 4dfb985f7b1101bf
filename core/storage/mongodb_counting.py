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

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from core.storage import mongodb_documents
from core.storage.checks import added
from core.storage.documents import decode, encode
from core.storage.mongodb_changes import skip_known
from core.storage.mongodb_databases import Bson
from core.storage.mongodb_documents import APPLIED, BATCH, ID, VERSION, id_of, new
from core.storage.ports import Collection, Counting, Increment
from core.tenancy import Scope

_PLANS = "portico_batches"
_PENDING_INDEX = "pending batch"


class CountedInserts:
    """The counted inserts of one writer, in one collection."""

    def __init__(self) -> None:
        self._writer = token_hex(8)
        self._numbers = count(1)
        self._lock = asyncio.Lock()

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
        work = _Work(database, scope, collection, counters, counting)
        async with self._lock:
            try:
                return await self._insert(work, rows)
            except BaseException:
                # A batch may be left half-way, and a later one reach a counter first: it must be another writer's.
                self._writer = token_hex(8)
                raise

    async def _insert(self, work: "_Work", rows: Sequence[Bson]) -> int:
        await work.documents.create_index(BATCH, name=_PENDING_INDEX, sparse=True)
        found = work.documents.find({ID: {"$in": [row[ID] for row in rows]}}, {BATCH: 1})
        known = {each[ID]: each async for each in found}
        for pending in sorted({each[BATCH] for each in known.values() if BATCH in each}):
            await work.finish(pending)
        fresh = [row for row in rows if row[ID] not in known]
        await work.check(fresh)
        inserted = 0
        while fresh:
            batch = f"{self._writer}.{next(self._numbers)}"
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
        for increment in self._increments(rows):
            found = await self._counts.find_one({ID: id_of(self._scope, increment.id)})
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
        for id, amounts, initial in decode(text):
            await self._count(batch, Increment(id, amounts, initial))
        await self._plans.delete_one({ID: batch})  # a plan that is made again adds nothing to the counters
        await self.documents.update_many({ID: {"$in": plan["documents"]}, BATCH: batch}, {"$unset": {BATCH: ""}})
        return len(plan["documents"])

    async def _count(self, batch: str, increment: Increment) -> None:
        """Add an increment to its counter, unless the counter has this batch."""
        writer, _, text = batch.partition(".")
        number, id = int(text), id_of(self._scope, increment.id)
        fresh = new(self._scope, self._counters, {**increment.initial, **increment.amounts, "id": increment.id})
        while True:
            found = await self._counts.find_one({ID: id}, {APPLIED: 1})
            if found is None:
                try:
                    await self._counts.insert_one({**fresh, APPLIED: {writer: number}})
                except DuplicateKeyError:
                    continue
                return
            if found.get(APPLIED, {}).get(writer, 0) >= number:
                return
            path = f"{APPLIED}.{writer}"
            command = {"$inc": {**increment.amounts, VERSION: 1}, "$set": {path: number}}
            await self._counts.update_one({ID: id, path: {"$not": {"$gte": number}}}, command)
            return

    def _increments(self, rows: Sequence[Bson]) -> list[Increment]:
        return list(self._counting([mongodb_documents.read(self._collection, row) for row in rows]))
