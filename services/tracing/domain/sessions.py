"""The use cases of sessions and events."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.errors import InvalidInput, NotFound
from core.tenancy import Project
from services.tracing.domain import custom
from services.tracing.domain.otlp.events import patches
from services.tracing.domain.otlp.spans import Batch
from services.tracing.domain.records import Sender, Session
from services.tracing.ports import (
    EventPage,
    Group,
    Position,
    SessionFilter,
    SessionPage,
    StoredEvent,
    TraceStore,
    Written,
)

THREAD_SESSIONS = 200
MAX_AGENTS = 1000
MAX_SKIP = 10_000

Body = Mapping[str, Any]


class Sessions:
    def __init__(self, store: TraceStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    async def ingest(self, project: Project, body: Body, sender: Sender) -> Written:
        """Write a session with its events, or more of one that is there. Raises InvalidInput."""
        return await self._write(project, custom.ingested(body, sender))

    async def start(self, project: Project, session_id: str, body: Body, sender: Sender) -> Session:
        """Begin a session, or open it again. Raises InvalidInput."""
        return (await self._write(project, custom.started(session_id, body, sender, self._clock()))).session

    async def append(self, project: Project, session_id: str, body: Body) -> tuple[str, Session]:
        """Add an event; its id, and the session. Raises InvalidInput, and NotFound for the session."""
        patch = custom.appended(session_id, body)
        id = patch.events[0].event.id
        return id, (await self._write(project, patch)).session

    async def end(self, project: Project, session_id: str, body: Body) -> Session:
        """End a session. Raises InvalidInput, and NotFound for the session."""
        return (await self._write(project, custom.ended(session_id, body))).session

    async def _write(self, project: Project, patch: Any) -> Written:
        (written,) = await self._store.write(project, [patch])
        return written

    async def spans(self, project: Project, batch: Batch, sender: Sender) -> Sequence[Written]:
        """Write the spans of a request."""
        return await self._store.write(project, patches(batch.spans, sender)) if batch.spans else []

    async def list(self, project: Project, filter: SessionFilter, limit: int, after: Position | None) -> SessionPage:
        return await self._store.sessions(project, filter, limit, after)

    async def get(self, project: Project, session_id: str) -> Session:
        """Raises NotFound."""
        session = await self._store.session(project, session_id)
        if session is None:
            raise _no_session()
        return session

    async def events(
        self, project: Project, session_id: str, limit: int, after: Position | None, *, content: bool
    ) -> EventPage:
        """Raises NotFound."""
        page = await self._store.events(project, session_id, limit, after, content=content)
        if page is None:
            raise _no_session()
        return page

    async def event(self, project: Project, session_id: str, id: str, type: str) -> StoredEvent:
        """Raises NotFound."""
        found = await self._store.event(project, session_id, id, type)
        if found is None:
            raise NotFound("There is no such event in this session.", field="event_id")
        return found

    async def delete(self, project: Project, session_id: str) -> None:
        """Raises NotFound."""
        if not await self._store.delete(project, session_id):
            raise _no_session()

    async def threads(
        self, project: Project, filter: SessionFilter, limit: int, skip: int
    ) -> tuple[Sequence[Group], int]:
        """Raises InvalidInput."""
        if not 0 <= skip <= MAX_SKIP:
            raise InvalidInput(f"skip must be 0 to {MAX_SKIP}.", field="skip")
        return await self._store.threads(project, filter, limit, skip)

    async def thread(self, project: Project, thread_id: str) -> tuple[Group, Sequence[Session]]:
        """Raises NotFound."""
        filter = SessionFilter(thread_id=thread_id)
        found, _ = await self._store.threads(project, filter, 1, 0) if thread_id else ([], 0)
        if not found:
            raise NotFound("There is no such thread.", field="thread_id")
        return found[0], (await self._store.sessions(project, filter, THREAD_SESSIONS)).sessions

    async def agents(self, project: Project, filter: SessionFilter) -> Sequence[Group]:
        return await self._store.agents(project, filter, MAX_AGENTS)


def _no_session() -> NotFound:
    return NotFound("There is no such session.", field="session_id")
