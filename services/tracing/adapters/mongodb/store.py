"""The trace store on MongoDB, in the database of the tenant's documents: any number of replicas write at once.

A call of `write` is all or nothing for each session. Where it fails between two of them, it is sent again: what is
there already is merged without an effect.
"""

import copy
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from core.errors import FailedPrecondition, Unavailable
from core.storage.mongodb_databases import Databases
from core.storage.mongodb_errors import translated
from core.tenancy import Project, Tenant
from services.tracing.adapters.mongodb import reading
from services.tracing.adapters.mongodb.rows import Changed, MongoRows, finish
from services.tracing.adapters.mongodb.schema import (
    EVENTS,
    ID,
    PARTS,
    PENDING,
    SESSIONS,
    TRACES,
    VERSION,
    Bson,
    define,
    event_document,
    new_event,
    next_number,
    session_document,
    trace_key,
)
from services.tracing.adapters.records import session_of, unpacked
from services.tracing.adapters.write_queues import Outcome, Request, WriteQueues, merged
from services.tracing.domain.records import NewEvent, Patch, Session
from services.tracing.ports import (
    EventPage,
    Exported,
    ExportedSession,
    Group,
    Position,
    SessionFilter,
    SessionPage,
    StoredEvent,
    Written,
)

_MIB = 1024 * 1024
_ATTEMPTS = 50
_CLEARED = 200
"""Sessions removed at a time."""
_WITHOUT_CONTENT = {"content": 0}


class MongoTraceStore:
    """`waiting_mb` bounds what waits to be written for a tenant. The store closes the databases' client."""

    def __init__(self, databases: Databases, *, waiting_mb: int) -> None:
        self._databases = databases
        self._queues = WriteQueues(waiting_mb * _MIB, self._write_batch)

    async def write(self, project: Project, patches: Sequence[Patch]) -> list[Written]:
        return await self._queues.write(project, patches)

    async def _write_batch(self, tenant: Tenant, batch: Sequence[Request]) -> list[Outcome]:
        for _ in range(_ATTEMPTS):
            async with self._use(tenant) as database:
                rows = MongoRows(database)
                asked = [_copied(request) for request in batch]
                await rows.load((request.project, patch) for request in asked for patch in request.patches)
                outcomes = merged(rows, asked)
                try:
                    await rows.commit()
                except Changed:
                    continue
                return outcomes
        raise Unavailable("Others write to the same sessions: try again shortly.", retry_after=1.0)

    async def session(self, project: Project, id: str) -> Session | None:
        async with self._use(project.tenant) as database:
            found = await database[SESSIONS].find_one({"project": project.id, "id": id})
        return None if found is None else session_of(found["record"])

    async def sessions(
        self, project: Project, filter: SessionFilter, limit: int, after: Position | None = None
    ) -> SessionPage:
        asked = reading.sessions(project.id, filter, after)
        async with self._use(project.tenant) as database:
            cursor = database[SESSIONS].find(asked, sort=reading.LATEST_FIRST, limit=limit + 1)
            return reading.session_page([each async for each in cursor], limit)

    async def events(
        self, project: Project, session_id: str, limit: int, after: Position | None = None, *, content: bool
    ) -> EventPage | None:
        async with self._use(project.tenant) as database:
            number = await _number(database, project, session_id)
            if number is None:
                return None
            cursor = database[EVENTS].find(
                reading.events(number, after), _WITHOUT_CONTENT, sort=reading.FIRST_FIRST, limit=limit + 1
            )
            page, ids = reading.event_page([each async for each in cursor], limit, content=content)
            if not content:
                return page
            found = database[EVENTS].find({ID: {"$in": ids}}, {"content": 1})
            contents = {each[ID]: unpacked(each["content"]) async for each in found}
        stored = [StoredEvent(each.event, contents[id]) for each, id in zip(page.events, ids, strict=True)]
        return EventPage(stored, page.after)

    async def event(self, project: Project, session_id: str, id: str, type: str = "") -> StoredEvent | None:
        async with self._use(project.tenant) as database:
            number = await _number(database, project, session_id)
            asked = {"session": number, "id": {"$eq": id}, **({"type": {"$eq": type}} if type else {})}
            found = None if number is None else await database[EVENTS].find_one(asked, sort=reading.FIRST_FIRST)
        return None if found is None else _stored(new_event(found))

    async def delete(self, project: Project, session_id: str) -> bool:
        return await self._delete(project.tenant, {"project": project.id, "id": {"$eq": session_id}}, 1) > 0

    async def threads(self, project: Project, filter: SessionFilter, limit: int, skip: int) -> tuple[list[Group], int]:
        async with self._use(project.tenant) as database:
            counted = await database[SESSIONS].aggregate(reading.count_groups(project.id, filter, "thread"))
            count = sum([each["count"] async for each in counted])
        return await self._groups(project, filter, "thread", limit, skip), count

    async def agents(self, project: Project, filter: SessionFilter, limit: int, skip: int) -> list[Group]:
        return await self._groups(project, filter, "agent", limit, skip)

    async def _groups(self, project: Project, filter: SessionFilter, by: str, limit: int, skip: int) -> list[Group]:
        asked = reading.groups(project.id, filter, by, limit, skip)
        async with self._use(project.tenant) as database:
            cursor = await database[SESSIONS].aggregate(asked, allowDiskUse=True)
            return [reading.group(each, whole=by == "thread") async for each in cursor]

    async def expire(self, tenant: Tenant, before: float, limit: int) -> int:
        try:
            return await self._delete(tenant, {"updated": {"$lt": before}}, limit)
        except FailedPrecondition:
            return 0

    async def clear(self, project: Project) -> None:
        while await self._delete(project.tenant, {"project": project.id}, _CLEARED):
            pass

    async def _delete(self, tenant: Tenant, which: Bson, limit: int) -> int:
        """Remove so many of these sessions. A session goes before its events, so that nobody adds to it."""
        async with self._use(tenant) as database:
            found = database[SESSIONS].find(which, {ID: 1}, limit=limit)
            numbers = [each[ID] async for each in found]
            if numbers:
                await database[SESSIONS].delete_many({ID: {"$in": numbers}})
                for name in (EVENTS, PARTS):
                    await database[name].delete_many({"session": {"$in": numbers}})
            return len(numbers)

    async def export(self, tenant: Tenant) -> AsyncGenerator[Exported, None]:
        async with self._use(tenant) as database:
            async for found in database[SESSIONS].find({}, sort=[(ID, 1)]):
                if found.get(PENDING):
                    await finish(database, found)
                traces = tuple(key.partition("\n")[2] for key in found.get(TRACES, ()))
                yield ExportedSession(found["project"], session_of(found["record"]), traces)
                async for event in database[EVENTS].find({"session": found[ID]}, sort=[("number", 1)]):
                    yield _stored(new_event(event))

    async def restore(self, tenant: Tenant, records: AsyncIterator[Exported]) -> int:
        count, number = 0, 0
        async for record in records:
            async with self._use(tenant) as database:
                if isinstance(record, ExportedSession):
                    number = await self._restore(tenant, database, record)
                    count += 1
                else:
                    document = event_document(number, next_number(), NewEvent(record.event, record.content))
                    await database[EVENTS].insert_one({**document, VERSION: 1})
        return count

    async def _restore(self, tenant: Tenant, database: AsyncDatabase[Bson], record: ExportedSession) -> int:
        """Insert a session in place of the one with its id, and return its number."""
        project, session = record.project, record.session
        document: Bson = {ID: next_number(), **session_document(project, session), VERSION: 1}
        if record.traces:
            document[TRACES] = [trace_key(project, trace) for trace in record.traces]
            await database[SESSIONS].update_many(
                {TRACES: {"$in": document[TRACES]}}, {"$unset": {TRACES: ""}, "$inc": {VERSION: 1}}
            )
        await self._delete(tenant, {"project": project, "id": {"$eq": session.id}}, 1)
        try:
            await database[SESSIONS].insert_one(document)
        except DuplicateKeyError:
            raise Unavailable("The session is being written: try again shortly.", retry_after=1.0) from None
        return int(document[ID])

    async def drop(self, tenant: Tenant) -> None:
        with suppress(FailedPrecondition):  # the database has gone, with all that was in it
            async with self._use(tenant) as database:
                for name in (SESSIONS, EVENTS, PARTS):
                    await database[name].delete_many({})

    async def check(self) -> None:
        with translated("traces"):
            await self._databases.ping()

    async def close(self) -> None:
        await self._queues.drained()
        await self._databases.close()

    @asynccontextmanager
    async def _use(self, tenant: Tenant) -> AsyncIterator[AsyncDatabase[Bson]]:
        with translated(tenant.slug):
            handle = await self._databases.use(tenant)
            if not handle.applied:
                async with handle.applying:
                    if not handle.applied:
                        await define(handle.database)
                        handle.applied = True
            yield handle.database


async def _number(database: AsyncDatabase[Bson], project: Project, session_id: str) -> int | None:
    found = await database[SESSIONS].find_one({"project": project.id, "id": {"$eq": session_id}})
    if found is None:
        return None
    if found.get(PENDING):
        await finish(database, found)
    return int(found[ID])


def _copied(request: Request) -> Request:
    """The request with events of its own: merging changes them, and may have to begin again."""
    patches = [
        replace(patch, events=[NewEvent(copy.copy(new.event), new.content) for new in patch.events])
        for patch in request.patches
    ]
    return replace(request, patches=patches)


def _stored(new: NewEvent) -> StoredEvent:
    return StoredEvent(new.event, new.content)
