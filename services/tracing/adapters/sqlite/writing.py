"""The rows of a tenant's file, within one transaction. Runs in the writer's thread."""

import sqlite3
from collections.abc import Mapping, Sequence

import orjson

from services.tracing.adapters.merged_writing import Row
from services.tracing.adapters.records import event_of, event_record, packed, session_of, unpacked
from services.tracing.adapters.sqlite.schema import SESSION_COLUMNS, session_row
from services.tracing.domain.records import Event, NewEvent, Session

_INSERT_SESSION = (
    f"INSERT INTO sessions ({', '.join(SESSION_COLUMNS)}) VALUES ({', '.join('?' * len(SESSION_COLUMNS))})"
)
_UPDATE_SESSION = f"UPDATE sessions SET {', '.join(f'{name}=?' for name in SESSION_COLUMNS)} WHERE number=?"


class SqliteRows:
    """The Rows of `merged_writing`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, project: str, id: str) -> Row | None:
        found = self._connection.execute(
            "SELECT number, record FROM sessions WHERE project=? AND id=?", (project, id)
        ).fetchone()
        return None if found is None else Row(found[0], project, session_of(found[1]))

    def of_trace(self, project: str, trace: str) -> int | None:
        found = self._connection.execute(
            "SELECT session FROM traces WHERE project=? AND trace=?", (project, trace)
        ).fetchone()
        return None if found is None else found[0]

    def numbered(self, number: int) -> Row:
        found = self._connection.execute("SELECT project, record FROM sessions WHERE number=?", (number,))
        project, record = found.fetchone()
        return Row(number, project, session_of(record))

    def insert(self, project: str, session: Session) -> int:
        number = self._connection.execute(_INSERT_SESSION, session_row(project, session)).lastrowid
        assert number is not None
        return number

    def save(self, row: Row) -> None:
        self._connection.execute(_UPDATE_SESSION, (*session_row(row.project, row.session), row.number))

    def delete(self, row: Row) -> None:
        delete_session(self._connection, row.number)

    def lead(self, project: str, trace: str, row: Row) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO traces (project, trace, session) VALUES (?,?,?)", (project, trace, row.number)
        )

    def lead_on(self, row: Row, target: Row) -> None:
        self._connection.execute("UPDATE traces SET session=? WHERE session=?", (target.number, row.number))

    def known_events(self, row: Row, ids: Sequence[str]) -> Mapping[str, tuple[int, Event]]:
        found = self._connection.execute(
            "SELECT number, record FROM events WHERE session=? AND id IN (SELECT value FROM json_each(?))",
            (row.number, orjson.dumps(list(ids)).decode()),
        )
        known = ((number, event_of(record)) for number, record in found)
        return {event.key: (number, event) for number, event in known}

    def all_events(self, row: Row) -> list[NewEvent]:
        found = self._connection.execute(
            "SELECT record, content FROM events LEFT JOIN contents ON event=number WHERE session=?", (row.number,)
        ).fetchall()
        return [NewEvent(event_of(record), unpacked(content or b"")) for record, content in found]

    def content(self, event: int) -> bytes:
        (content,) = self._connection.execute("SELECT content FROM contents WHERE event=?", (event,)).fetchone()
        return unpacked(content)

    def insert_event(self, row: Row, new: NewEvent) -> int:
        event = new.event
        number = self._connection.execute(
            "INSERT INTO events (session, id, type, at, record) VALUES (?,?,?,?,?)",
            (row.number, event.id, event.type, event.at, event_record(event)),
        ).lastrowid
        assert number is not None
        self._write_content(number, new.content)
        return number

    def replace_event(self, row: Row, event: int, new: NewEvent) -> None:
        self._connection.execute(
            "UPDATE events SET at=?, record=? WHERE number=?", (new.event.at, event_record(new.event), event)
        )
        self._write_content(event, new.content)

    def _write_content(self, number: int, content: bytes) -> None:
        if content:
            self._connection.execute(
                "INSERT OR REPLACE INTO contents (event, content) VALUES (?,?)", (number, packed(content))
            )


def delete_session(connection: sqlite3.Connection, number: int) -> None:
    """Remove a session with its events, but for the traces that lead to it."""
    connection.execute("DELETE FROM contents WHERE event IN (SELECT number FROM events WHERE session=?)", (number,))
    connection.execute("DELETE FROM events WHERE session=?", (number,))
    connection.execute("DELETE FROM sessions WHERE number=?", (number,))
