"""The ports of tracing: the store of sessions and events, and the reading of metrics."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.tenancy import Project, Tenant
from services.tracing.domain.records import Event, Patch, Session, Totals


@dataclass(frozen=True, slots=True)
class Written:
    """A patch as it was written: the session as it is now, and how many events came with the patch."""

    session: Session
    events: int
    event_id: str = ""
    """Id of the last of them."""


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Empty members filter nothing. Times are Unix seconds, `since` inclusive, `until` exclusive; `search` is in lower
    case."""

    agent: str = ""
    status: str = ""
    thread_id: str = ""
    source: str = ""
    model: str = ""
    search: str = ""
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """The place where a page begins: after the record with this time and number."""

    at: float
    number: int


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Sessions, those that began last first. `after` is None: there are no more."""

    sessions: Sequence[Session]
    after: Position | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event; `content` is its JSON where that was asked for and there is any, else empty."""

    event: Event
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, those that began first first. `after` is None: there are no more."""

    events: Sequence[StoredEvent]
    after: Position | None


@dataclass(frozen=True, slots=True)
class Group:
    """Sessions of one thread, or of one agent, together."""

    name: str
    sessions: int
    failed: int
    """Sessions with the status error."""
    started_at: float
    """The time of the first session of a thread; 0 for agents."""
    latest_at: float
    latest_status: str
    latest_version: str
    mean_duration_ms: float
    """Over those that have ended."""
    totals: Totals
    agents: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class ExportedSession:
    """A session with the ids of the traces that lead to it. `project` is the project's id."""

    project: str
    session: Session
    traces: Sequence[str] = ()


Exported = ExportedSession | StoredEvent
"""A session, or an event of the session before it."""


class TraceStore(Protocol):
    """Sessions and events of each project. What lies in another project is not there.

    Any method raises FailedPrecondition for a tenant that was dropped, and Unavailable where the store cannot be
    reached; `write` also InsufficientStorage where its disk is full.
    """

    async def write(self, project: Project, patches: Sequence[Patch]) -> list[Written]:
        """Merge the patches into their sessions, in order and all or none. Durable on return. Raises NotFound where a
        patch's session must exist and does not, RateLimited where too much of the tenant waits to be written."""

    async def session(self, project: Project, id: str) -> Session | None: ...

    async def sessions(
        self, project: Project, filter: SessionFilter, limit: int, after: Position | None = None
    ) -> SessionPage: ...

    async def events(
        self, project: Project, session_id: str, limit: int, after: Position | None = None, *, content: bool
    ) -> EventPage | None:
        """One page of a timeline; None: there is no such session. With contents, a page ends early where they get
        long."""

    async def event(self, project: Project, session_id: str, id: str, type: str = "") -> StoredEvent | None:
        """An event with its content; where no type is named, the first one with this id."""

    async def delete(self, project: Project, session_id: str) -> bool:
        """Remove a session with its events. False: there is none."""

    async def threads(self, project: Project, filter: SessionFilter, limit: int, skip: int) -> tuple[list[Group], int]:
        """Threads of the sessions that meet the filter, the latest first, and the number of all of them."""

    async def agents(self, project: Project, filter: SessionFilter, limit: int, skip: int) -> list[Group]:
        """Agents likewise."""

    async def expire(self, tenant: Tenant, before: float, limit: int) -> int:
        """Remove at most so many sessions of the tenant that were last written before this time; how many."""

    async def clear(self, project: Project) -> None:
        """Remove all of the project."""

    def export(self, tenant: Tenant) -> AsyncGenerator[Exported, None]:
        """All of the tenant, oldest first: each session, and after it its events."""

    async def restore(self, tenant: Tenant, records: AsyncIterator[Exported]) -> int:
        """Write what `export` gave, in place of sessions of the same ids. Returns the number of sessions."""

    async def drop(self, tenant: Tenant) -> None:
        """Remove all of the tenant for good. Its documents may have been removed before."""

    async def check(self) -> None:
        """Check that the store can serve. Raises Unavailable."""

    async def close(self) -> None:
        """Write what waits, and release the files."""


class FetchMetrics(Protocol):
    """Read the metrics page of an inference server, whose base URL and API key (empty: none) a tenant has given."""

    async def __call__(self, project: Project, base_url: str, api_key: str) -> bytes:
        """The body. Raises Unavailable, DeadlineExceeded or UpstreamFailed where there is none; the message names no
        address."""


class MetricSource(Protocol):
    """The values of one module's metrics, as alert rules look at them."""

    async def measure(
        self, project: Project, metric: str, scope: Mapping[str, str], start: float, end: float
    ) -> float | None:
        """The metric over a time (Unix seconds), in the unit that it has in rules; None: there was no data. Raises
        PorticoError where it cannot be had now."""


class Administrators(Protocol):
    """The people whom alerts without recipients go to."""

    async def __call__(self, project: Project) -> Sequence[str]:
        """Addresses of the active owners and admins of the tenant. Raises PorticoError where they cannot be had now."""


class PostWebhook(Protocol):
    """Post to a URL that a tenant has given."""

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Return once the server has answered with success. Raises Unavailable, DeadlineExceeded or UpstreamFailed
        where another attempt may succeed, and another PorticoError where none will."""
