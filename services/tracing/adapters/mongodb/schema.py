"""The collections of a tenant's traces, and how records become documents.

A document holds its record as JSON and, beside it, what lists filter, order and sum. A session's document also has the
traces that lead to it, a version that counts its changes, and, for as long as they are on their way to their own
collection, the events of the last change.
"""

import time
from collections.abc import Sequence
from itertools import count
from typing import Any

import bson
from bson.binary import Binary
from pymongo.asynchronous.database import AsyncDatabase

from core.errors import PayloadTooLarge
from services.tracing.adapters.records import event_of, event_record, packed, searched, session_record, unpacked
from services.tracing.domain.records import Event, NewEvent, Session

Bson = dict[str, Any]
SESSIONS, EVENTS, PARTS = "trace_sessions", "trace_events", "trace_parts"
ID, VERSION, PENDING, TRACES = "_id", "version_count", "pending", "traces"
SUMS = ("events", "errors", "input", "output", "cached", "reasoning", "bytes_in", "bytes_out", "truncated")
MAX_INLINE_BYTES = 8 * 1024 * 1024
"""Events of a change that are kept within the session's document; of more, the parts are documents of their own."""
_MAX_CONTENT_BYTES = 15 * 1024 * 1024

_numbers = count(time.time_ns())


def next_number() -> int:
    """A number of 63 bits that is larger than all before it; of several processes, about in the order of time."""
    return max(next(_numbers), time.time_ns())


async def define(database: AsyncDatabase[Bson]) -> None:
    """Make the indexes. Does nothing where they are there."""
    sessions, events = database[SESSIONS], database[EVENTS]
    await sessions.create_index([("project", 1), ("id", 1)], unique=True)
    await sessions.create_index(TRACES, unique=True, sparse=True)
    for name in ("", "agent", "thread", "status"):
        fields = [("project", 1), *([(name, 1)] if name else []), ("started", -1), (ID, -1)]
        await sessions.create_index(fields)
    await sessions.create_index("updated")
    await events.create_index([("session", 1), ("id", 1)])
    await events.create_index([("session", 1), ("at", 1), ("number", 1)])
    await database[PARTS].create_index("session")


def trace_key(project: str, trace: str) -> str:
    return f"{project}\n{trace}"


def session_document(project: str, session: Session) -> Bson:
    """The fields that follow from the record."""
    totals = session.shown_totals()
    sums = (
        totals.events, totals.errors, totals.input_tokens, totals.output_tokens, totals.cached_input_tokens,
        totals.reasoning_tokens, totals.bytes_in, totals.bytes_out, totals.truncated,
    )  # fmt: skip
    return {
        "project": project,
        "id": session.id,
        "started": session.started_at or session.updated_at,
        "updated": session.updated_at,
        "agent": session.agent_name,
        "thread": session.thread_id,
        "status": session.status,
        "source": session.source,
        "version": session.agent_version,
        "duration": session.duration_ms if session.end is not None else None,
        **dict(zip(SUMS, sums, strict=True)),
        "search": searched(session),
        "models": list(session.models),
        "record": Binary(session_record(session).encode()),
    }


def event_id(session: int, event: Event) -> str:
    return f"{session}\n{event.key}"


def event_document(session: int, number: int, new: NewEvent) -> Bson:
    """Raises PayloadTooLarge."""
    event = new.event
    content = packed(new.content)
    if len(content) > _MAX_CONTENT_BYTES:
        raise PayloadTooLarge("The content of an event is too large to be stored. Send less of it.", field="events")
    return {
        ID: event_id(session, event),
        "session": session,
        "number": number,
        "id": event.id,
        "type": event.type,
        "at": event.at,
        "record": Binary(event_record(event).encode()),
        "content": Binary(content),
    }


def new_event(document: Bson) -> NewEvent:
    return NewEvent(event_of(document["record"]), unpacked(document.get("content", b"")))


def parts_of(events: Sequence[Bson]) -> list[Binary]:
    """Documents of events, together in as few texts as are not too large for one document each."""
    parts: list[Binary] = []
    chosen: list[Bson] = []
    size = 0
    for each in events:
        length = len(each["content"]) + len(each["record"])
        if chosen and size + length > MAX_INLINE_BYTES:
            parts.append(Binary(packed(bson.encode({"events": chosen}))))
            chosen, size = [], 0
        chosen.append(each)
        size += length
    if chosen:
        parts.append(Binary(packed(bson.encode({"events": chosen}))))
    return parts


def events_of(part: bytes) -> list[Bson]:
    """The inverse of `parts_of`, for one part."""
    events: list[Bson] = bson.decode(unpacked(part))["events"]
    return events
