"""Questions to a tenant's file, and records from its rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from core.storage.where_sql import Clause, joined
from services.tracing.adapters.records import MAX_GROUP_AGENTS, MAX_PAGE_BYTES, event_of, session_of, unpacked
from services.tracing.domain.records import Totals
from services.tracing.ports import EventPage, Group, Position, SessionFilter, SessionPage, StoredEvent

_SUMS = ("events", "errors", "input", "output", "cached", "reasoning", "bytes_in", "bytes_out", "truncated")
_GROUPED = ("thread", "agent")

__all__ = ["session_of"]


def number(project: str, id: str) -> Clause:
    return Clause("SELECT number FROM sessions WHERE project=? AND id=?", (project, id))


def session(project: str, id: str) -> Clause:
    return Clause("SELECT record FROM sessions WHERE project=? AND id=?", (project, id))


def sessions(project: str, filter: SessionFilter, limit: int, after: Position | None) -> Clause:
    where = _where(project, filter)
    if after is not None:
        where = joined([where, Clause("(started, number) < (?, ?)", (after.at, after.number))])
    order = "ORDER BY started DESC, number DESC LIMIT ?"
    return Clause(f"SELECT record, started, number FROM sessions WHERE {where.sql} {order}", (*where.values, limit))


def session_page(rows: Sequence[tuple[Any, ...]], limit: int) -> SessionPage:
    kept = rows[:limit]
    after = Position(kept[-1][1], kept[-1][2]) if len(rows) > limit else None
    return SessionPage([session_of(row[0]) for row in kept], after)


def events(session: int, limit: int, after: Position | None) -> Clause:
    further = "" if after is None else "AND (at, number) > (?, ?) "
    values = () if after is None else (after.at, after.number)
    return Clause(
        f"SELECT record, at, number FROM events WHERE session=? {further}ORDER BY at, number LIMIT ?",
        (session, *values, limit),
    )


def event_page(rows: Sequence[tuple[Any, ...]], limit: int, *, content: bool) -> EventPage:
    kept, held = 0, 0
    found = [event_of(row[0]) for row in rows[:limit]]
    for event in found:
        held += event.content_bytes if content else 0
        if kept and held > MAX_PAGE_BYTES:
            break
        kept += 1
    after = Position(rows[kept - 1][1], rows[kept - 1][2]) if kept < len(rows) else None
    return EventPage([StoredEvent(event) for event in found[:kept]], after)


def contents(numbers: Sequence[int]) -> Clause:
    asked = orjson.dumps(list(numbers)).decode()
    return Clause("SELECT event, content FROM contents WHERE event IN (SELECT value FROM json_each(?))", (asked,))


def with_contents(page: EventPage, numbers: Sequence[int], contents: Mapping[int, bytes]) -> EventPage:
    stored = [
        StoredEvent(each.event, unpacked(contents.get(number, b"")))
        for each, number in zip(page.events, numbers, strict=True)
    ]
    return EventPage(stored, page.after)


def event(session: int, id: str, type: str) -> Clause:
    typed = Clause("type=?", (type,)) if type else Clause("1")
    return Clause(
        "SELECT record, content FROM events LEFT JOIN contents ON event=number "
        f"WHERE session=? AND id=? AND {typed.sql} ORDER BY at, number LIMIT 1",
        (session, id, *typed.values),
    )


def stored_event(record: str, content: bytes | None) -> StoredEvent:
    return StoredEvent(event_of(record), unpacked(content or b""))


def groups(project: str, filter: SessionFilter, by: str, limit: int, skip: int) -> Clause:
    """Sessions by thread or agent. SQLite takes the bare columns, status and version, from the row of the latest,
    as long as there is no other MIN or MAX beside that."""
    assert by in _GROUPED
    where = joined([_where(project, filter), Clause(f"{by}<>''")])
    sums = ", ".join(f"SUM({name})" for name in _SUMS)
    return Clause(
        f"SELECT {by}, COUNT(*), SUM(status='error'), MAX(started), status, version, AVG(duration), "
        f"{sums} FROM sessions WHERE {where.sql} GROUP BY {by} ORDER BY MAX(started) DESC, {by} LIMIT ? OFFSET ?",
        (*where.values, limit, skip),
    )


def count_groups(project: str, filter: SessionFilter, by: str) -> Clause:
    where = joined([_where(project, filter), Clause(f"{by}<>''")])
    return Clause(f"SELECT COUNT(DISTINCT {by}) FROM sessions WHERE {where.sql}", where.values)


def beginnings(project: str, filter: SessionFilter, threads: Sequence[str]) -> Clause:
    """The beginning and the agents of each of the threads."""
    asked = orjson.dumps(list(threads)).decode()
    where = joined([_where(project, filter), Clause("thread IN (SELECT value FROM json_each(?))", (asked,))])
    return Clause(
        "SELECT thread, MIN(started), json_group_array(DISTINCT agent) "
        f"FROM sessions WHERE {where.sql} GROUP BY thread",
        where.values,
    )


def group(row: Sequence[Any], started: float = 0.0, agents: str = "[]") -> Group:
    name, count, failed, latest, status, version, mean, *sums = row
    names = sorted(agent for agent in orjson.loads(agents) if agent)[:MAX_GROUP_AGENTS]
    return Group(name, count, failed, started, latest, status, version, mean or 0.0, Totals(*sums), names)


def _where(project: str, filter: SessionFilter) -> Clause:
    equal = {"agent": filter.agent, "status": filter.status, "source": filter.source, "thread": filter.thread_id}
    clauses = [
        Clause("project=?", (project,)),
        *(Clause(f"{name}=?", (value,)) for name, value in equal.items() if value),
    ]
    if filter.model:
        clauses.append(Clause("EXISTS (SELECT 1 FROM json_each(models) WHERE value=?)", (filter.model,)))
    if filter.search:
        clauses.append(Clause("instr(search, ?)>0", (filter.search,)))
    if filter.since is not None:
        clauses.append(Clause("started>=?", (filter.since,)))
    if filter.until is not None:
        clauses.append(Clause("started<?", (filter.until,)))
    return joined(clauses)
