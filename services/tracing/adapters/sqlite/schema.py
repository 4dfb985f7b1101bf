"""The tables of a tenant's traces, and how records become rows.

A row holds its record as JSON and, in columns, what lists filter, order and sum. Contents lie in a table of their own,
which no list reads.
"""

import sqlite3
from typing import Any

import orjson

from services.tracing.adapters.records import searched, session_record
from services.tracing.domain.records import Session

_VERSION = 1
_TABLES = """
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY, project TEXT NOT NULL, id TEXT NOT NULL, started REAL NOT NULL, updated REAL NOT NULL,
    agent TEXT NOT NULL, thread TEXT NOT NULL, status TEXT NOT NULL, source TEXT NOT NULL, version TEXT NOT NULL,
    duration REAL, events INTEGER NOT NULL, errors INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
    cached INTEGER NOT NULL, reasoning INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
    truncated INTEGER NOT NULL, search TEXT NOT NULL, models TEXT NOT NULL, record TEXT NOT NULL,
    UNIQUE (project, id));
CREATE INDEX sessions_started ON sessions (project, started);
CREATE INDEX sessions_agent ON sessions (project, agent, started);
CREATE INDEX sessions_thread ON sessions (project, thread, started) WHERE thread <> '';
CREATE INDEX sessions_status ON sessions (project, status, started);
CREATE INDEX sessions_updated ON sessions (updated);
CREATE TABLE traces (
    project TEXT NOT NULL, trace TEXT NOT NULL, session INTEGER NOT NULL, PRIMARY KEY (project, trace)) WITHOUT ROWID;
CREATE INDEX traces_session ON traces (session);
CREATE TABLE events (
    number INTEGER PRIMARY KEY, session INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, at REAL NOT NULL,
    record TEXT NOT NULL, UNIQUE (session, id, type));
CREATE INDEX events_at ON events (session, at);
CREATE TABLE contents (event INTEGER PRIMARY KEY, content BLOB NOT NULL);
"""
SESSION_COLUMNS = (
    "project", "id", "started", "updated", "agent", "thread", "status", "source", "version", "duration", "events",
    "errors", "input", "output", "cached", "reasoning", "bytes_in", "bytes_out", "truncated", "search", "models",
    "record",
)  # fmt: skip


def define(connection: sqlite3.Connection) -> None:
    """Make the tables in a new file. To be called within a transaction."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def session_row(project: str, session: Session) -> tuple[Any, ...]:
    """The values of SESSION_COLUMNS."""
    totals = session.shown_totals()
    duration = session.duration_ms if session.end is not None else None
    return (
        project, session.id, session.started_at or session.updated_at, session.updated_at, session.agent_name,
        session.thread_id, session.status, session.source, session.agent_version, duration, totals.events,
        totals.errors, totals.input_tokens, totals.output_tokens, totals.cached_input_tokens, totals.reasoning_tokens,
        totals.bytes_in, totals.bytes_out, totals.truncated, searched(session),
        orjson.dumps(list(session.models)).decode(), session_record(session),
    )  # fmt: skip
