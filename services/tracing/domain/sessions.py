"""The use cases of sessions and events."""

from collections.abc import Sequence

from core.errors import InvalidInput, NotFound
from core.tenancy import Project
from services.tracing.domain.quotas import TraceQuotas
from services.tracing.domain.records import Patch, Session
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
MAX_SKIP = 10_000


class Sessions:
    def __init__(self, store: TraceStore, quotas: TraceQuotas) -> None:
        self._store = store
        self._quotas = quotas

    async def write(self, project: Project, patches: Sequence[Patch]) -> Sequence[Written]:
        """Write what has come for some sessions, all or nothing. Raises NotFound for a session that must be there and
        is not, InvalidInput and RateLimited where it is more than a limit allows."""
        if not patches:
            return []
        await self._quotas.use(patches)
        return await self._store.write(project, patches)

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

    async def agents(self, project: Project, filter: SessionFilter, limit: int, skip: int) -> Sequence[Group]:
        return await self._store.agents(project, filter, limit, skip)


def _no_session() -> NotFound:
    return NotFound("There is no such session.", field="session_id")
