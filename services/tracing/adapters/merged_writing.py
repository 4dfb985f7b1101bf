"""Merge patches into stored sessions and events, on the rows of whichever store."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import NotFound
from services.tracing.domain import merging
from services.tracing.domain.records import OTLP, Event, NewEvent, Patch, Session
from services.tracing.ports import Written

_HALF_TRACE = 16


@dataclass(slots=True)
class Row:
    """A session with the number of its row. What becomes of it is written at the end."""

    number: int
    project: str
    session: Session
    gone: bool = False


class Rows(Protocol):
    """The rows of one tenant within one transaction. An event's row has a number of its own."""

    def find(self, project: str, id: str) -> Row | None: ...

    def of_trace(self, project: str, trace: str) -> int | None:
        """The number of the session that a trace leads to."""

    def numbered(self, number: int) -> Row: ...

    def insert(self, project: str, session: Session) -> int:
        """Insert a session, and return its number."""

    def save(self, row: Row) -> None: ...

    def delete(self, row: Row) -> None:
        """Delete a session with its events, but for the traces that lead to it."""

    def lead(self, project: str, trace: str, row: Row) -> None:
        """Let a trace lead to this session."""

    def lead_on(self, row: Row, target: Row) -> None:
        """Let all traces that lead to a session lead to the target."""

    def known_events(self, row: Row, ids: Sequence[str]) -> Mapping[str, tuple[int, Event]]:
        """Events of a session with these ids, and the numbers of their rows, by key."""

    def all_events(self, row: Row) -> list[NewEvent]: ...

    def content(self, event: int) -> bytes: ...

    def insert_event(self, row: Row, new: NewEvent) -> int: ...

    def replace_event(self, row: Row, event: int, new: NewEvent) -> None:
        """Replace an event, and its content if the new one has any."""


class Writing:
    """One transaction. Sessions are read once and written once, however many patches are about them."""

    def __init__(self, rows: Rows) -> None:
        self._store = rows
        self._now = time.time()
        self._rows: dict[int, Row] = {}
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
                self._store.save(row)

    def _apply(self, project: str, patch: Patch) -> Written:
        row = self._of_trace(project, patch) if patch.trace_id and not patch.must_exist else None
        if row is None:
            row = self._find(project, patch.session_id) or self._insert(project, patch.session_id, patch)
        merging.apply(row.session, patch, self._now)
        self._merge_events(row, patch.events)
        last = patch.events[-1].event.id if patch.events else ""
        return Written(row.session, len(patch.events), last)

    def _find(self, project: str, id: str) -> Row | None:
        number = self._numbers.get((project, id))
        if number is not None:
            return self._rows[number]
        found = self._store.find(project, id)
        return None if found is None else self._keep(found)

    def _numbered(self, number: int) -> Row:
        return self._rows.get(number) or self._keep(self._store.numbered(number))

    def _keep(self, row: Row) -> Row:
        self._rows[row.number] = row
        self._numbers[row.project, row.session.id] = row.number
        return row

    def _insert(self, project: str, id: str, patch: Patch) -> Row:
        session = merging.new_session(id, patch, self._now)
        return self._keep(Row(self._store.insert(project, session), project, session))

    def _of_trace(self, project: str, patch: Patch) -> Row | None:
        """The session of a trace. It has the id that a span names, else the one that the resource names, unless that is
        another trace's, else one that is made from the trace's id until a span names one."""
        if patch.source != OTLP:
            return None
        trace = patch.trace_id
        number = self._store.of_trace(project, trace)
        row = None if number is None else self._numbered(number)
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
        self._store.lead(project, trace, row)
        return row

    def _insert_made(self, project: str, patch: Patch) -> Row:
        for id in _made_ids(patch):
            if self._find(project, id) is None:
                row = self._insert(project, id, patch)
                row.session.provisional = True
                return row
        raise RuntimeError("the session of a trace has lost its trace")

    def _rename(self, row: Row, id: str) -> None:
        del self._numbers[row.project, row.session.id]
        row.session.id, row.session.provisional = id, False
        self._numbers[row.project, id] = row.number

    def _move(self, row: Row, target: Row) -> None:
        """Make the provisional session a part of the target."""
        merging.apply(target.session, merging.as_patch(row.session), self._now)
        events = self._store.all_events(row)
        self._store.delete(row)
        self._store.lead_on(row, target)
        self._merge_events(target, events)
        del self._numbers[row.project, row.session.id]
        row.gone = True

    def _merge_events(self, row: Row, events: Sequence[NewEvent]) -> None:
        if not events:
            return
        known = dict(self._store.known_events(row, [new.event.id for new in events]))
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
                known[event.key] = (self._store.insert_event(row, new), event)
            merging.count(row.session, new.event, 1)
            merging.span_time(row.session, new.event)

    def _replace(self, row: Row, number: int, old: Event, new: NewEvent) -> None:
        """Merge an event into the known one. `new` is the merged one afterwards."""
        merging.count(row.session, old, -1)
        if new.content and old.content_bytes:
            new.content = merging.merged_content(self._store.content(number), new.content)
            new.event.content_bytes = len(new.content)
        new.event = merging.merged_event(old, new.event)
        self._store.replace_event(row, number, new)


def named_ids(patch: Patch) -> Iterator[str]:
    """Every id that the session of a patch may have."""
    if patch.session_id:
        yield patch.session_id
    if patch.trace_id:
        yield from _made_ids(patch)


def _made_ids(patch: Patch) -> Iterator[str]:
    """Ids for the session of a trace that names none, the best first."""
    shared, trace = patch.shared_id, patch.trace_id
    half = trace[:_HALF_TRACE].strip("0") and trace[:_HALF_TRACE]
    if shared:
        yield from (shared, f"{shared}_{half or trace}")
    yield from (f"otlp_{half or trace}", f"otlp_{trace}")
