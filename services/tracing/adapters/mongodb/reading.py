"""Questions to a tenant's traces in MongoDB. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from services.tracing.adapters.mongodb.schema import ID, SUMS, Bson
from services.tracing.adapters.records import MAX_GROUP_AGENTS, MAX_PAGE_BYTES, event_of, session_of
from services.tracing.domain.records import Totals
from services.tracing.ports import EventPage, Group, Position, SessionFilter, SessionPage, StoredEvent

LATEST_FIRST = [("started", -1), (ID, -1)]
FIRST_FIRST = [("at", 1), ("number", 1)]


def sessions(project: str, filter: SessionFilter, after: Position | None = None) -> Bson:
    tests: list[Bson] = [{"project": project}]
    equal = {"agent": filter.agent, "status": filter.status, "source": filter.source, "thread": filter.thread_id}
    tests += [{name: {"$eq": value}} for name, value in equal.items() if value]
    if filter.model:
        tests.append({"models": {"$eq": filter.model}})
    if filter.search:
        tests.append({"search": {"$regex": re.escape(filter.search)}})
    if filter.since is not None:
        tests.append({"started": {"$gte": filter.since}})
    if filter.until is not None:
        tests.append({"started": {"$lt": filter.until}})
    if after is not None:
        tests.append(_beyond("started", ID, "$lt", after))
    return {"$and": tests}


def session_page(found: Sequence[Bson], limit: int) -> SessionPage:
    kept = found[:limit]
    after = Position(kept[-1]["started"], kept[-1][ID]) if len(found) > limit else None
    return SessionPage([session_of(each["record"]) for each in kept], after)


def events(session: int, after: Position | None) -> Bson:
    tests = [{"session": session}, *([_beyond("at", "number", "$gt", after)] if after is not None else [])]
    return {"$and": tests}


def event_page(found: Sequence[Bson], limit: int, *, content: bool) -> tuple[EventPage, list[str]]:
    """A page without its contents, and the ids of the documents that have them."""
    kept, held = 0, 0
    read = [event_of(each["record"]) for each in found[:limit]]
    for event in read:
        held += event.content_bytes if content else 0
        if kept and held > MAX_PAGE_BYTES:
            break
        kept += 1
    after = Position(found[kept - 1]["at"], found[kept - 1]["number"]) if kept < len(found) else None
    return EventPage([StoredEvent(event) for event in read[:kept]], after), [each[ID] for each in found[:kept]]


def groups(project: str, filter: SessionFilter, by: str, limit: int, skip: int) -> list[Bson]:
    """A pipeline that adds up sessions by thread or agent, the latest first."""
    found = sessions(project, filter)
    return [
        {"$match": {"$and": [*found["$and"], {by: {"$ne": ""}}]}},
        {"$sort": dict(LATEST_FIRST)},
        {
            "$group": {
                ID: f"${by}",
                "sessions": {"$sum": 1},
                "failed": {"$sum": {"$cond": [{"$eq": ["$status", "error"]}, 1, 0]}},
                "latest": {"$max": "$started"},
                "first": {"$min": "$started"},
                "status": {"$first": "$status"},
                "version": {"$first": "$version"},
                "duration": {"$avg": "$duration"},
                "agents": {"$addToSet": "$agent"},
                **{name: {"$sum": f"${name}"} for name in SUMS},
            }
        },
        {"$sort": {"latest": -1, ID: 1}},
        {"$skip": skip},
        {"$limit": limit},
    ]


def count_groups(project: str, filter: SessionFilter, by: str) -> list[Bson]:
    found = sessions(project, filter)
    return [{"$match": {"$and": [*found["$and"], {by: {"$ne": ""}}]}}, {"$group": {ID: f"${by}"}}, {"$count": "count"}]


def group(row: Mapping[str, Any], *, whole: bool) -> Group:
    """A group; with its beginning and its agents if `whole`."""
    agents = sorted(agent for agent in row["agents"] if agent)[:MAX_GROUP_AGENTS] if whole else []
    sums = Totals(*(int(row[name]) for name in SUMS))
    began, mean = (row["first"] if whole else 0.0), row["duration"] or 0.0
    return Group(
        row[ID], row["sessions"], row["failed"], began, row["latest"], row["status"], row["version"], mean, sums, agents
    )


def _beyond(first: str, then: str, how: str, after: Position) -> Bson:
    return {"$or": [{first: {how: after.at}}, {first: after.at, then: {how: after.number}}]}
