"""Merging patches into a tenant's file, within one transaction. Runs in the writer's thread."""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from core.errors import NotFound
from services.tracing.adapters.sqlite.schema import (
    SESSION_COLUMNS,
    event_of,
    event_record,
    packed,
    session_of,
    session_row,
    unpacked,
)
from services.tracing.domain import merging
from services.tracing.domain.records import OTLP, Event, NewEvent, Patch, Session
from services.tracing.ports import Written

_HALF_TRACE = 16
_INSERT_SESSION = (
    f"INSERT INTO sessions ({', '.join(SESSION_COLUMNS)}) VALUES ({', '.join('?' * len(SESSION_COLUMNS))})"
)
_UPDATE_SESSION = f"UPDATE sessions SET {', '.join(f'{name}=?' for name in SESSION_COLUMNS)} WHERE number=?"


@dataclass(slots=True)
class _Row:
    """A session of the transaction, with the number of its row. What becomes of it is written at the end."""

    number: int
    project: str
    session: Session
    gone: bool = False


class Writing:
    """One transaction. Sessions are read once and written once, however many patches are about them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._now = time.time()
        self._rows: dict[int, _Row] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    def write(self, project: str, patches: Sequence[Patch]) -> list[Written]:
        """Raises NotFound, before anything is written, where the session of a patch must exist and does not."""
        for patch in patches:
            if patch.must_exist and self._find(project, patch.session_id) is None:
                raise NotFound("There is no such session. Start it first.", field="session_id")
        return [self._apply(project, patch) for patch in patches]

    def finish(self) -> None:
        """Write the sessions."""
        for row in self._rows.values():
            if not row.gone:
                self._connection.execute(_UPDATE_SESSION, (*session_row(row.project, row.session), row.number))

    def _apply(self, project: str, patch: Patch) -> Written:
        row = self._of_trace(project, patch) if patch.trace_id and not patch.must_exist else None
        if row is None:
            row = self._find(project, patch.session_id) or self._insert(project, patch.session_id, patch)
        merging.apply(row.session, patch, self._now)
        self._merge_events(row, patch.events)
        last = patch.events[-1].event.id if patch.events else ""
        return Written(row.session, len(patch.events), last)

    def _find(self, project: str, id: str) -> _Row | None:
        number = self._numbers.get((project, id))
        if number is not None:
            return self._rows[number]
        found = self._connection.execute(
            "SELECT number, project, record FROM sessions WHERE project=? AND id=?", (project, id)
        ).fetchone()
        return None if found is None else self._keep(*found)

    def _numbered(self, number: int) -> _Row:
        row = self._rows.get(number)
        if row is not None:
            return row
        found = self._connection.execute("SELECT number, project, record FROM sessions WHERE number=?", (number,))
        return self._keep(*found.fetchone())

    def _keep(self, number: int, project: str, record: str) -> _Row:
        row = self._rows[number] = _Row(number, project, session_of(record))
        self._numbers[project, row.session.id] = number
        return row

    def _insert(self, project: str, id: str, patch: Patch) -> _Row:
        session = merging.new_session(id, patch, self._now)
        number = self._connection.execute(_INSERT_SESSION, session_row(project, session)).lastrowid
        assert number is not None
        row = self._rows[number] = _Row(number, project, session)
        self._numbers[project, id] = number
        return row

    def _of_trace(self, project: str, patch: Patch) -> _Row | None:
        """The session of a trace. It has the id that a span names, else the one that the resource names, unless that is
        another trace's, else one that is made from the trace's id until a span names one."""
        if patch.source != OTLP:
            return None
        trace = patch.trace_id
        found = self._connection.execute(
            "SELECT session FROM traces WHERE project=? AND trace=?", (project, trace)
        ).fetchone()
        row = None if found is None else self._numbered(found[0])
        if row is not None and not (patch.session_id and row.session.provisional):
            return row
        if patch.session_id:
            target = self._find(project, patch.session_id)
            if row is None:
                row = target or self._insert(project, patch.session_id, patch)
            elif target is None:
                self._rename(row, patch.session_id)
            else:
                self._move(row, target)
                row = target
        else:
            row = self._insert_made(project, patch)
        self._connection.execute(
            "INSERT OR REPLACE INTO traces (project, trace, session) VALUES (?,?,?)", (project, trace, row.number)
        )
        return row

    def _insert_made(self, project: str, patch: Patch) -> _Row:
        shared, trace = patch.shared_id, patch.trace_id
        half = trace[:_HALF_TRACE].strip("0") and trace[:_HALF_TRACE]
        named = (shared, f"{shared}_{half or trace}") if shared else ()
        for id in (*named, f"otlp_{half or trace}", f"otlp_{trace}"):
            if self._find(project, id) is None:
                row = self._insert(project, id, patch)
                row.session.provisional = True
                return row
        raise RuntimeError("the session of a trace has lost its trace")

    def _rename(self, row: _Row, id: str) -> None:
        del self._numbers[row.project, row.session.id]
        row.session.id, row.session.provisional = id, False
        self._numbers[row.project, id] = row.number

    def _move(self, row: _Row, target: _Row) -> None:
        """Make the provisional session a part of the target."""
        merging.apply(target.session, merging.as_patch(row.session), self._now)
        events = self._connection.execute(
            "SELECT record, content FROM events LEFT JOIN contents ON event=number WHERE session=?", (row.number,)
        ).fetchall()
        delete_session(self._connection, row.number)
        self._connection.execute("UPDATE traces SET session=? WHERE session=?", (target.number, row.number))
        self._merge_events(target, [NewEvent(event_of(record), unpacked(content or b"")) for record, content in events])
        del self._numbers[row.project, row.session.id]
        row.gone = True

    def _merge_events(self, row: _Row, events: Sequence[NewEvent]) -> None:
        if not events:
            return
        known = self._known(row.number, events)
        for new in events:
            event = new.event
            if new.content:
                event.content_bytes = len(new.content)
            found = known.get(event.key)
            if found is not None:
                self._replace(row, *found, new)
                known[event.key] = (found[0], new.event)
            else:
                event.at = event.at or self._now
                known[event.key] = (self._insert_event(row, new), event)
            merging.count(row.session, new.event, 1)
            merging.span_time(row.session, new.event)

    def _known(self, session: int, events: Sequence[NewEvent]) -> dict[str, tuple[int, Event]]:
        """Events of the session with these ids, by key, with the numbers of their rows."""
        ids = orjson.dumps([new.event.id for new in events]).decode()
        found = self._connection.execute(
            "SELECT number, record FROM events WHERE session=? AND id IN (SELECT value FROM json_each(?))",
            (session, ids),
        )
        known = ((number, event_of(record)) for number, record in found)
        return {event.key: (number, event) for number, event in known}

    def _insert_event(self, row: _Row, new: NewEvent) -> int:
        event = new.event
        number = self._connection.execute(
            "INSERT INTO events (session, id, type, at, record) VALUES (?,?,?,?,?)",
            (row.number, event.id, event.type, event.at, event_record(event)),
        ).lastrowid
        assert number is not None
        if new.content:
            self._write_content(number, new.content)
        return number

    def _replace(self, row: _Row, number: int, old: Event, new: NewEvent) -> None:
        """Merge an event into the known one. `new` is the merged one afterwards."""
        merging.count(row.session, old, -1)
        if new.content and old.content_bytes:
            (content,) = self._connection.execute("SELECT content FROM contents WHERE event=?", (number,)).fetchone()
            new.content = merging.merged_content(unpacked(content), new.content)
            new.event.content_bytes = len(new.content)
        new.event = merging.merged_event(old, new.event)
        self._connection.execute(
            "UPDATE events SET at=?, record=? WHERE number=?", (new.event.at, event_record(new.event), number)
        )
        if new.content:
            self._write_content(number, new.content)

    def _write_content(self, number: int, content: bytes) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO contents (event, content) VALUES (?,?)", (number, packed(content))
        )


def delete_session(connection: sqlite3.Connection, number: int) -> None:
    """Remove a session with its events, but for the traces that lead to it."""
    connection.execute("DELETE FROM contents WHERE event IN (SELECT number FROM events WHERE session=?)", (number,))
    connection.execute("DELETE FROM events WHERE session=?", (number,))
    connection.execute("DELETE FROM sessions WHERE number=?", (number,))
