"""Insertion of documents together with counts of them in MongoDB, without transactions.

What is to be done is written down first, as an intent: the documents and the increments. It is then carried out in
steps that may be repeated: a document that is there is skipped, and a counter remembers the intents that it has taken
in until they are removed. A call that finds an intent for one of its documents carries it out before it goes on.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from core.errors import Unavailable
from core.storage import mongodb_documents as bson_documents
from core.storage.checks import added
from core.storage.mongodb_changes import skip_known
from core.storage.mongodb_databases import Bson
from core.storage.mongodb_documents import ID, INTENTS, UNIQUE, VERSION, id_of
from core.storage.mongodb_errors import DUPLICATE_KEY
from core.storage.ports import Collection, Counting, Document, Increment
from core.tenancy import Scope

_ATTEMPTS = 50
_SUFFIX = "_intents"
"""Ends the name of the collection of a counters' intents."""


@dataclass(frozen=True, slots=True)
class CountedInsert:
    """New documents of one scope, and the collections that they and their counts go to."""

    scope: Scope
    collection: Collection
    counters: Collection
    documents: AsyncCollection[Bson]

    @property
    def _counts(self) -> AsyncCollection[Bson]:
        return self.documents.database[self.counters.name]

    @property
    def _intents(self) -> AsyncCollection[Bson]:
        return self.documents.database[f"{self.counters.name}{_SUFFIX}"]

    async def run(self, documents: Mapping[str, Document], rows: Sequence[Bson], counting: Counting) -> int:
        """Insert what is new of the documents, by id, which `rows` has as they are kept; and count it. Return the
        number of new documents."""
        ids = [row[ID] for row in rows]
        async for intent in self._intents.find({"ids": {"$in": ids}}):
            await self._carry_out(intent)
        known = {each[ID] async for each in self.documents.find({ID: {"$in": ids}}, {ID: 1})}
        new = {row[ID]: row for row in rows if row[ID] not in known}
        if not new:
            return 0
        increments = list(counting([documents[row["id"]] for row in new.values()]))
        await self._check(increments)
        intent = {
            ID: secrets.token_hex(8),
            "ids": list(new),
            "rows": list(new.values()),
            "increments": [self._increment(each) for each in increments],
        }
        await self._intents.insert_one(intent)
        await self._carry_out(intent)
        return len(new)

    async def _check(self, increments: Sequence[Increment]) -> None:
        """Raise InvalidInput where a sum would not fit into 64 bits."""
        ids = [id_of(self.scope, each.id) for each in increments]
        old = {each[ID]: each async for each in self._counts.find({ID: {"$in": ids}})}
        for each, id in zip(increments, ids, strict=True):
            added(self.counters, old.get(id), each)

    def _increment(self, increment: Increment) -> Bson:
        new = bson_documents.new(self.scope, self.counters, {**increment.initial, "id": increment.id})
        del new[VERSION]
        return {"amounts": dict(increment.amounts), "new": new}

    async def _carry_out(self, intent: Bson) -> None:
        try:
            await self.documents.insert_many(intent["rows"], ordered=False)
        except BulkWriteError as error:
            await skip_known(self.documents, intent["rows"], error)
        left = {each["new"][ID]: each for each in intent["increments"]}
        for _ in range(_ATTEMPTS):
            if not left:
                break
            left = await self._add(intent[ID], left)
        else:
            raise Unavailable("The counters are being changed by others. Try again.", retry_after=1.0)
        await self._intents.delete_one({ID: intent[ID]})
        counted = [each["new"][ID] for each in intent["increments"]]
        await self._counts.update_many({ID: {"$in": counted}}, {"$pull": {INTENTS: intent[ID]}})

    async def _add(self, intent: str, increments: Mapping[str, Bson]) -> dict[str, Bson]:
        """Add what has not been added yet. Return what another call was in the way of."""
        try:
            await self._counts.bulk_write([_command(intent, each) for each in increments.values()], ordered=False)
        except BulkWriteError as error:
            if error.details.get("writeConcernErrors") or any(
                each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]
            ):
                raise
            found = self._counts.find({ID: {"$in": list(increments)}, INTENTS: intent}, {ID: 1})
            done = {each[ID] async for each in found}
            return {id: each for id, each in increments.items() if id not in done}
        return {}


def _command(intent: str, increment: Mapping[str, Any]) -> UpdateOne:
    """Add the amounts to a counter that has not taken the intent in: one that has is not found, and cannot be inserted
    a second time."""
    new = {name: value for name, value in increment["new"].items() if name not in {ID, UNIQUE}}
    return UpdateOne(
        {ID: increment["new"][ID], INTENTS: {"$ne": intent}},
        {
            "$inc": {**increment["amounts"], VERSION: 1},
            "$push": {INTENTS: intent},
            "$setOnInsert": {**new, UNIQUE: increment["new"][UNIQUE]},
        },
        upsert=True,
    )
