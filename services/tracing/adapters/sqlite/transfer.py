"""Export and restore of all traces of a tenant's file. Blocking; each function runs in the writer's thread."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from services.tracing.adapters.records import event_of, event_record, packed, session_of, unpacked
from services.tracing.adapters.sqlite.schema import SESSION_COLUMNS, session_row
from services.tracing.adapters.sqlite.writing import delete_session
from services.tracing.ports import Exported, ExportedSession, StoredEvent

SESSIONS = "SELECT number, project, record FROM sessions WHERE number>? ORDER BY number LIMIT ?"
TRACES = "SELECT trace FROM traces WHERE session=? ORDER BY trace"
EVENTS = (
    "SELECT number, record, content FROM events LEFT JOIN contents ON event=number "
    "WHERE session=? AND number>? ORDER BY number LIMIT ?"
)
_INSERT_SESSION = (
    f"INSERT INTO sessions ({', '.join(SESSION_COLUMNS)}) VALUES ({', '.join('?' * len(SESSION_COLUMNS))})"
)


def exported_session(project: str, record: str, traces: Sequence[tuple[Any, ...]]) -> ExportedSession:
    return ExportedSession(project, session_of(record), tuple(trace for (trace,) in traces))


def exported_event(record: str, content: bytes | None) -> StoredEvent:
    return StoredEvent(event_of(record), unpacked(content) if content else b"")


class Restoring:
    """Writes exported records, batch after batch, each in a transaction of its own."""

    def __init__(self) -> None:
        self._session = 0
        """Row number of the last session."""

    def write(self, connection: sqlite3.Connection, records: Sequence[Exported]) -> int:
        """Write a batch, and return the number of its sessions."""
        count = 0
        for record in records:
            if isinstance(record, ExportedSession):
                self._session = _insert_session(connection, record)
                count += 1
            else:
                _insert_event(connection, self._session, record)
        return count


def _insert_session(connection: sqlite3.Connection, exported: ExportedSession) -> int:
    session = exported.session
    known = connection.execute(
        "SELECT number FROM sessions WHERE project=? AND id=?", (exported.project, session.id)
    ).fetchone()
    if known is not None:
        connection.execute("DELETE FROM traces WHERE session=?", known)
        delete_session(connection, known[0])
    number = connection.execute(_INSERT_SESSION, session_row(exported.project, session)).lastrowid
    assert number is not None
    connection.executemany(
        "INSERT OR REPLACE INTO traces (project, trace, session) VALUES (?,?,?)",
        [(exported.project, trace, number) for trace in exported.traces],
    )
    return number


def _insert_event(connection: sqlite3.Connection, session: int, stored: StoredEvent) -> None:
    event = stored.event
    number = connection.execute(
        "INSERT INTO events (session, id, type, at, record) VALUES (?,?,?,?,?)",
        (session, event.id, event.type, event.at, event_record(event)),
    ).lastrowid
    if stored.content:
        connection.execute("INSERT INTO contents (event, content) VALUES (?,?)", (number, packed(stored.content)))
