"""Changes of single documents in MongoDB, each atomic.

What a command would do is computed from the document as it was before, which the server gives back: nobody else's
change is in what the caller gets.
"""

from collections.abc import Mapping
from typing import Any

from pymongo import ReturnDocument
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, DuplicateKeyError

from core.errors import InvalidInput, PayloadTooLarge, Unavailable
from core.storage.documents import INT64, MAX_DOCUMENT_BYTES
from core.storage.mongodb_databases import Bson
from core.storage.mongodb_documents import ID, UNIQUE, VERSION, is_too_large, name_of, project_of, touched, unique_key
from core.storage.mongodb_errors import DUPLICATE_KEY, conflict
from core.storage.mongodb_filters import Filter, all_of
from core.storage.ports import Collection, Document
from core.tenancy import Scope

_BATCH = 1000
_LARGE_CHANGE = 64 * 1024
"""Characters of a change before which the document's size is looked at: MongoDB refuses what many small ones make."""
_ATTEMPTS = 50


async def update(
    documents: AsyncCollection[Bson], scope: Scope, collection: Collection, rows: Filter, values: Document, length: int
) -> Bson | None:
    """Set the fields of the document among `rows`, None removing one, and return it; None where there is no such
    document. `length` is that of the values as JSON.

    Where a unique group changes in a part, its key follows from the rest, and where a change is large, so does whether
    the document may have it: then it is read first, and must not change meanwhile.
    """
    groups = touched(collection, values)
    if length <= _LARGE_CHANGE and all(name in values for group in groups for name in group):
        return await _change(documents, rows, _command(scope, collection, values, values))
    for _ in range(_ATTEMPTS):
        before = await documents.find_one(rows)
        if before is None:
            return None
        command = _command(scope, collection, values, {**before, **values})
        if length > _LARGE_CHANGE and is_too_large(_applied(before, command)):
            raise PayloadTooLarge(f"A document may have at most {MAX_DOCUMENT_BYTES} bytes, as JSON and as BSON.")
        unchanged = all_of([rows, {VERSION: before[VERSION]}])
        if (after := await _change(documents, unchanged, command)) is not None:
            return after
    raise _contended()


async def increment(
    documents: AsyncCollection[Bson], scope: Scope, collection: Collection, new: Bson, amounts: Mapping[str, int]
) -> Bson:
    """Add the amounts to the document, or insert it as `new`, which holds them; and return it."""
    for _ in range(_ATTEMPTS):
        if (after := await _added(documents, scope, collection, new, amounts)) is not None:
            return after
        try:
            await documents.insert_one(dict(new))
        except DuplicateKeyError:
            if await documents.find_one({ID: new[ID]}, {ID: 1}) is None:
                raise  # it is a unique group that is taken
        else:
            return new
    raise _contended()


async def skip_known(documents: AsyncCollection[Bson], rows: list[Bson], error: BulkWriteError) -> int:
    """Count what a batch has inserted. Raises Conflict where a document was refused and is not one that is known."""
    failures = error.details["writeErrors"]
    if error.details.get("writeConcernErrors") or any(each["code"] != DUPLICATE_KEY for each in failures):
        raise error
    refused = [rows[each["index"]][ID] for each in failures]
    known = set()
    for start in range(0, len(refused), _BATCH):
        found = documents.find({ID: {"$in": refused[start : start + _BATCH]}}, {ID: 1})
        known |= {each[ID] async for each in found}
    for id, failure in zip(refused, failures, strict=True):
        if id not in known:
            raise conflict(failure)
    return len(rows) - len(failures)


async def _added(
    documents: AsyncCollection[Bson], scope: Scope, collection: Collection, new: Bson, amounts: Mapping[str, int]
) -> Bson | None:
    """The document with the amounts added; None where there is none."""
    if not touched(collection, amounts):
        room = [_room(name, amount) for name, amount in amounts.items()]
        command = {"$inc": {**amounts, VERSION: 1}}
        if (after := await _change(documents, all_of([{ID: new[ID]}, *room]), command)) is not None:
            return after
    for _ in range(_ATTEMPTS):
        before = await documents.find_one({ID: new[ID]})
        if before is None:
            return None
        sums = {name: (before.get(name) or 0) + amount for name, amount in amounts.items()}
        if any(value not in INT64 for value in sums.values()):
            raise InvalidInput("A sum must fit into 64 bits.", field=next(iter(amounts)))
        command = _command(scope, collection, sums, {**before, **sums})
        if (after := await _change(documents, {ID: new[ID], VERSION: before[VERSION]}, command)) is not None:
            return after
    raise _contended()


def _room(name: str, amount: int) -> Filter:
    """The documents whose field can take the amount. One that holds None cannot be added to."""
    bound = {"$lte": INT64.stop - 1 - amount} if amount > 0 else {"$gte": INT64.start - amount}
    return {"$or": [{name: {"$exists": False}}, {name: bound}]}


def _command(scope: Scope, collection: Collection, values: Mapping[str, Any], fields: Mapping[str, Any]) -> Bson:
    """The command that sets the values, and the keys of the groups they are in, of which `fields` has all."""
    groups = touched(collection, values)
    keys = {f"{UNIQUE}.{name_of(group)}": unique_key(project_of(scope), group, fields) for group in groups}
    both = {**values, **keys}
    parts = {
        "$set": {name: value for name, value in both.items() if value is not None},
        "$unset": {name: "" for name, value in both.items() if value is None},
        "$inc": {VERSION: 1},
    }
    return {name: part for name, part in parts.items() if part}


async def _change(documents: AsyncCollection[Bson], rows: Filter, command: Bson) -> Bson | None:
    """Change a document, and return it as it is then; None where there is none."""
    before = await documents.find_one_and_update(rows, command, return_document=ReturnDocument.BEFORE)
    return None if before is None else _applied(before, command)


def _applied(document: Bson, command: Bson) -> Bson:
    """The document after the command, as MongoDB makes it."""
    after = {**document, UNIQUE: dict(document[UNIQUE])}
    for name, value in command.get("$set", {}).items():
        parent, _, key = name.rpartition(".")
        (after[parent] if parent else after)[key] = value
    for name in command.get("$unset", {}):
        parent, _, key = name.rpartition(".")
        (after[parent] if parent else after).pop(key, None)
    for name, amount in command.get("$inc", {}).items():
        after[name] = after.get(name, 0) + amount
    return after


def _contended() -> Unavailable:
    return Unavailable("The record is being changed by others. Try again.", retry_after=1.0)
