"""The rows that a batch of patches is about, read into memory, changed there, and written back.

Nobody is kept from changing them meanwhile. A session's document is replaced only in the version that was read; where
another replica was faster, `Changed` is raised and the batch is merged anew, which changes nothing that is there
already. The document takes the events of the change along, so that one command commits both; then they are written to
their own collection, by whoever finds them there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bson.binary import Binary
from pymongo import ReplaceOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from core.storage.mongodb_errors import DUPLICATE_KEY
from services.tracing.adapters.merged_writing import Row, named_ids
from services.tracing.adapters.mongodb.schema import (
    EVENTS,
    ID,
    MAX_INLINE_BYTES,
    PARTS,
    PENDING,
    SESSIONS,
    TRACES,
    VERSION,
    Bson,
    event_document,
    event_id,
    events_of,
    new_event,
    next_number,
    parts_of,
    session_document,
    trace_key,
)
from services.tracing.adapters.records import session_of
from services.tracing.domain.records import Event, NewEvent, Patch, Session

_BATCH = 1000


class Changed(Exception):
    """Another process has changed a session since it was read."""


@dataclass(slots=True)
class _Held:
    """A session in memory; version 0: it is new."""

    row: Row
    version: int
    traces: dict[str, None]
    events: dict[str, Bson] = field(default_factory=dict)
    """Known events by their ids in the collection."""
    written: dict[str, Bson] = field(default_factory=dict)


class MongoRows:
    """The Rows of `merged_writing`, in memory between `load` and `commit`."""

    def __init__(self, database: AsyncDatabase[Bson]) -> None:
        self._database = database
        self._held: dict[int, _Held] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._leads: dict[str, int] = {}
        self._event_places: dict[int, tuple[int, str]] = {}
        """Session and id of each event by its number."""
        self._saved: dict[int, _Held] = {}
        self._deleted: list[_Held] = []
        self._late: set[int] = set()
        """Sessions that traces of a deleted session lead to."""

    async def load(self, patches: Iterable[tuple[str, Patch]]) -> None:
        """Read all that merging these patches of projects may look at."""
        ids: dict[str, set[str]] = {}
        traces, moving, events = set[str](), set[str](), set[str]()
        for project, patch in patches:
            ids.setdefault(project, set()).update(named_ids(patch))
            events.update(new.event.id for new in patch.events)
            if patch.trace_id:
                traces.add(trace_key(project, patch.trace_id))
                if patch.session_id:
                    moving.add(trace_key(project, patch.trace_id))
        tests: list[Bson] = [{"project": project, "id": {"$in": sorted(some)}} for project, some in ids.items()]
        if traces:
            tests.append({TRACES: {"$in": sorted(traces)}})
        documents = [each async for each in self._database[SESSIONS].find({"$or": tests})]
        if pending := [each for each in documents if each.get(PENDING)]:
            for each in pending:
                await finish(self._database, each)
            documents = [each async for each in self._database[SESSIONS].find({"$or": tests})]
        for each in documents:
            self._hold(each)
        known = [{"session": {"$in": list(self._held)}, "id": {"$in": sorted(events)}}] if self._held else []
        whole = [
            number
            for number, held in self._held.items()
            if held.row.session.provisional and not moving.isdisjoint(held.traces)
        ]
        if whole:
            known.append({"session": {"$in": whole}})
        if known:
            async for found in self._database[EVENTS].find({"$or": known}):
                self._held[found["session"]].events[found[ID]] = found

    def _hold(self, document: Bson) -> None:
        number, project = document[ID], document["project"]
        row = Row(number, project, session_of(document["record"]))
        held = _Held(row, document[VERSION], dict.fromkeys(document.get(TRACES, ())))
        self._held[number] = held
        self._ids[project, row.session.id] = number
        for trace in held.traces:
            self._leads[trace] = number

    def find(self, project: str, id: str) -> Row | None:
        number = self._ids.get((project, id))
        return None if number is None else self._held[number].row

    def of_trace(self, project: str, trace: str) -> int | None:
        return self._leads.get(trace_key(project, trace))

    def numbered(self, number: int) -> Row:
        return self._held[number].row

    def insert(self, project: str, session: Session) -> int:
        number = next_number()
        self._held[number] = _Held(Row(number, project, session), 0, {})
        return number

    def save(self, row: Row) -> None:
        held = self._held[row.number]
        held.row = row
        self._saved[row.number] = held

    def delete(self, row: Row) -> None:
        self._deleted.append(self._held[row.number])

    def lead(self, project: str, trace: str, row: Row) -> None:
        key = trace_key(project, trace)
        before = self._leads.get(key)
        if before is not None and before != row.number:
            self._held[before].traces.pop(key, None)
        self._leads[key] = row.number
        self._held[row.number].traces[key] = None

    def lead_on(self, row: Row, target: Row) -> None:
        moved = self._held[row.number].traces
        self._held[row.number].traces = {}
        self._held[target.number].traces.update(moved)
        self._leads.update(dict.fromkeys(moved, target.number))
        self._late.add(target.number)

    def known_events(self, row: Row, ids: Sequence[str]) -> Mapping[str, tuple[int, Event]]:
        held, wanted = self._held[row.number], set(ids)
        known: dict[str, tuple[int, Event]] = {}
        for id, document in held.events.items():
            if document["id"] in wanted:
                event = new_event(document).event
                self._event_places[document["number"]] = (row.number, id)
                known[event.key] = (document["number"], event)
        return known

    def all_events(self, row: Row) -> list[NewEvent]:
        found = sorted(self._held[row.number].events.values(), key=lambda each: each["number"])
        return [new_event(each) for each in found]

    def content(self, event: int) -> bytes:
        session, id = self._event_places[event]
        return new_event(self._held[session].events[id]).content

    def insert_event(self, row: Row, new: NewEvent) -> int:
        number = next_number()
        self._event_places[number] = (row.number, event_id(row.number, new.event))
        self._write(row.number, event_document(row.number, number, new))
        return number

    def replace_event(self, row: Row, event: int, new: NewEvent) -> None:
        document = event_document(row.number, event, new)
        if not new.content:
            document["content"] = self._held[row.number].events[document[ID]].get("content", b"")
        self._write(row.number, document)

    def _write(self, session: int, document: Bson) -> None:
        held = self._held[session]
        held.events[document[ID]] = held.written[document[ID]] = document

    async def commit(self) -> None:
        """Write what was changed, session after session. Raises Changed; what was written until then is merged again
        without an effect."""
        for number, held in self._saved.items():
            traces = [] if number in self._late else list(held.traces)
            await self._replace(held, traces)
        sessions = self._database[SESSIONS]
        for held in self._deleted:
            number = held.row.number
            if held.version and not (await sessions.delete_one({ID: number, VERSION: held.version})).deleted_count:
                raise Changed
            await self._database[EVENTS].delete_many({"session": number})
        for number in self._late:
            held = self._saved[number]
            change = {"$set": {TRACES: list(held.traces)}, "$inc": {VERSION: 1}}
            if not (await sessions.update_one({ID: number, VERSION: held.version}, change)).matched_count:
                raise Changed

    async def _replace(self, held: _Held, traces: Sequence[str]) -> None:
        number, sessions = held.row.number, self._database[SESSIONS]
        version = held.version + 1
        document = {ID: number, **session_document(held.row.project, held.row.session), VERSION: version}
        if traces:
            document[TRACES] = list(traces)
        if held.written:
            document[PENDING] = await self._pending(number, version, list(held.written.values()))
        try:
            if not held.version:
                await sessions.insert_one(document)
            elif not (await sessions.replace_one({ID: number, VERSION: held.version}, document)).matched_count:
                raise Changed
        except DuplicateKeyError:
            raise Changed from None
        held.version = version
        if held.written:
            await finish(self._database, document)

    async def _pending(self, number: int, version: int, events: Sequence[Bson]) -> Bson:
        """The events as the session's document takes them along: within it, or the ids of documents beside it."""
        parts = parts_of(events)
        if len(parts) == 1 and len(parts[0]) <= MAX_INLINE_BYTES:
            return {"within": parts[0]}
        ids = [next_number() for _ in parts]
        beside = self._database[PARTS]
        for id, part in zip(ids, parts, strict=True):
            await beside.insert_one({ID: id, "session": number, VERSION: version, "part": part})
        return {"beside": ids}


async def finish(database: AsyncDatabase[Bson], session: Bson) -> None:
    """Write the events that a session's document has taken along. Any process may do so, and several at once: an event
    is not replaced by that of an earlier version."""
    number, version, pending = session[ID], session[VERSION], session[PENDING]
    if "within" in pending:
        parts = [pending["within"]]
    else:
        parts = [each["part"] async for each in database[PARTS].find({ID: {"$in": pending["beside"]}})]
    for part in parts:
        await _write_events(database, version, events_of(part))
    change = {"$unset": {PENDING: ""}}
    finished = await database[SESSIONS].update_one({ID: number, VERSION: version}, change)
    if "beside" in pending:
        await database[PARTS].delete_many({"session": number, VERSION: {"$lte": version}})
    if not finished.matched_count and await database[SESSIONS].find_one({ID: number}, {ID: 1}) is None:
        await database[EVENTS].delete_many({"session": number})  # it was deleted meanwhile


async def _write_events(database: AsyncDatabase[Bson], version: int, events: Sequence[Bson]) -> None:
    for at in range(0, len(events), _BATCH):
        replacements = [
            ReplaceOne(
                {ID: each[ID], VERSION: {"$lt": version}},
                {**each, "content": Binary(each["content"]), VERSION: version},
                upsert=True,
            )
            for each in events[at : at + _BATCH]
        ]
        try:
            await database[EVENTS].bulk_write(replacements, ordered=False)
        except BulkWriteError as error:
            failures = (error.details or {}).get("writeErrors", [])
            if any(failure.get("code") != DUPLICATE_KEY for failure in failures):
                raise
