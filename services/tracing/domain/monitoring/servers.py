"""The inference servers of a project and the history of their polls. API keys never come out, but for the poller."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec

from core import fields
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound
from core.http.origin import Origin
from core.providers.providers import HostGuard
from core.sealing import Sealer
from core.storage.closed_projects import check_project_open
from core.storage.keys import insert_with_key
from core.storage.ports import Cond, DocumentStore, Op, Order
from core.storage.references import referring
from core.storage.table import Table
from core.tenancy import Project
from services.tracing.domain.monitoring.engines import ENGINES
from services.tracing.domain.monitoring.records import ACTIVE, DISABLED, METRICS, SERVERS, InferenceServer, MetricRow

MAX_SERVERS = 100
MAX_INTERVAL_SECONDS = 3600
_DEFAULT_INTERVAL_SECONDS = 60
_MAX_API_KEY = 4096
_LATEST = Order("at")

StartPolling = Callable[[Project, InferenceServer], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class NewServer:
    """An empty key is made from the name; 0: an interval of 60 seconds."""

    name: str
    type: str
    base_url: str
    key: str = ""
    api_key: str = field(default="", repr=False)
    poll_interval_seconds: int = 0
    status: str = ""


@dataclass(frozen=True, slots=True)
class ServerChanges:
    """None: unchanged. An empty API key removes it. Another base URL needs the API key again."""

    name: str | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    poll_interval_seconds: int | None = None
    status: str | None = None


class InferenceServers:
    """Use cases of servers. `start_polling` makes sure that a server is polled."""

    def __init__(
        self,
        store: DocumentStore,
        sealer: Sealer,
        guard: HostGuard,
        start_polling: StartPolling,
        *,
        min_interval_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self.table = Table(store, SERVERS, InferenceServer)
        self.metrics = Table(store, METRICS, MetricRow)
        self._sealer = sealer
        self._guard = guard
        self._start_polling = start_polling
        self._min_interval_seconds = min_interval_seconds
        self._clock = clock

    async def create(self, project: Project, new: NewServer) -> InferenceServer:
        """Create a server, which is polled from now on. Raises Conflict (the key), FailedPrecondition (too many),
        InvalidInput."""
        name = fields.text("name", new.name, at_least=1, at_most=200)
        id, now = uuid4().hex, self._clock()
        server = InferenceServer(
            id=id,
            key="",
            name=name,
            type=fields.one_of("type", new.type, tuple(ENGINES)),
            base_url=await self._checked_url(new.base_url),
            poll_interval_seconds=self._checked_interval(new.poll_interval_seconds),
            created_at=now,
            updated_at=now,
            status=fields.one_of("status", new.status or ACTIVE, (ACTIVE, DISABLED)),
            sealed=self._seal(project, id, new.api_key),
        )
        if await self.table.count(project) >= MAX_SERVERS:
            raise FailedPrecondition(
                f"The project has {MAX_SERVERS} servers, which is the most there may be. Delete some first.",
                reason="TOO_MANY_SERVERS",
            )
        key, stem = fields.key("key", new.key) if new.key else "", fields.slug(name, "server")
        made = await referring(
            lambda: insert_with_key(
                self.table, project, lambda key: msgspec.structs.replace(server, key=key), key, stem
            ),
            check=lambda _: check_project_open(self._store, project),
            undo=lambda made: self.table.delete(project, made.id),
        )
        await self._start_polling(project, made)
        return made

    async def get(self, project: Project, key: str) -> InferenceServer:
        """Return a server by key or record id. Raises NotFound."""
        server = await self.table.find_one(project, {"key": key}) or await self.table.get(project, key)
        if server is None:
            raise NotFound("There is no such inference server.", reason="SERVER_NOT_FOUND", field="key")
        return server

    async def page(self, project: Project, page_size: int, page_token: str) -> tuple[list[InferenceServer], str]:
        return await self.table.page(project, page_size=fields.page_size(page_size), page_token=page_token)

    async def all(self, project: Project) -> list[InferenceServer]:
        return [server async for server in self.table.scan(project)]

    async def update(self, project: Project, key: str, changes: ServerChanges) -> InferenceServer:
        """Change a server. Raises NotFound, InvalidInput."""
        server = await self.get(project, key)
        wanted: dict[str, Any] = {"updated_at": self._clock()}
        if changes.name is not None:
            wanted["name"] = fields.text("name", changes.name, at_least=1, at_most=200)
        if changes.base_url is not None and changes.base_url != server.base_url:
            if server.sealed and changes.api_key is None:
                raise InvalidInput(
                    "The server moves elsewhere: give its apiKey again, or an empty one.", field="apiKey"
                )
            wanted |= {"base_url": await self._checked_url(changes.base_url), "counters": None}
        if changes.api_key is not None:
            wanted["sealed"] = self._seal(project, server.id, changes.api_key)
        if changes.poll_interval_seconds is not None:
            wanted["poll_interval_seconds"] = self._checked_interval(changes.poll_interval_seconds)
        if changes.status is not None:
            wanted["status"] = fields.one_of("status", changes.status, (ACTIVE, DISABLED))
        # Another change at the same time might send the new API key to the old URL, or the old one to the new.
        same = {"updatedAt": server.updated_at}
        updated = await self.table.update(project, server.id, where=same, **wanted)
        if updated is None:
            raise Conflict("The server was changed at the same time. Try again.", reason="CHANGED_MEANWHILE")
        return updated

    async def delete(self, project: Project, key: str) -> None:
        """Delete a server with its history. Its polling ends by itself. Raises NotFound."""
        server = await self.get(project, key)
        await self.table.delete(project, server.id)
        await self.metrics.delete_where(project, {"serverId": server.id})

    async def history(
        self, project: Project, key: str, span: tuple[float | None, float | None], page_size: int, page_token: str
    ) -> tuple[list[MetricRow], str]:
        """Polls of a server, newest first; `span`: from, inclusive, to, exclusive. Raises NotFound."""
        server = await self.get(project, key)
        return await self.metrics.page(
            project,
            {"serverId": server.id, **_within(span)},
            order=_LATEST,
            page_size=fields.page_size(page_size),
            page_token=page_token,
        )

    async def latest(self, project: Project, servers: Sequence[InferenceServer]) -> Mapping[str, MetricRow]:
        """The last poll of each of these servers, by record id."""
        found = {}
        for server in servers:
            rows, _ = await self.metrics.page(project, {"serverId": server.id}, order=_LATEST, page_size=1)
            if rows:
                found[server.id] = rows[0]
        return found

    async def window(self, project: Project, server_id: str, start: float, end: float) -> list[MetricRow]:
        """Polls of a server in a time, newest first, at most a thousand."""
        where = {"serverId": server_id, **_within((start, end))}
        return (await self.metrics.page(project, where, order=_LATEST, page_size=fields.MAX_PAGE))[0]

    def api_key(self, project: Project, server: InferenceServer) -> str:
        """The API key in the clear; empty: there is none. Raises SealBroken."""
        return self._sealer.open(project, server.id, server.sealed).decode() if server.sealed else ""

    async def remove_all(self, project: Project) -> None:
        """Remove what there is of a deleted project."""
        await self.table.delete_where(project, {})
        await self.metrics.delete_where(project, {})

    async def _checked_url(self, url: str) -> str:
        url = fields.text("baseUrl", url, at_least=1, at_most=2000)
        origin = Origin.parse(url)
        await self._guard.validate_host(origin.host, origin.port, field="baseUrl")
        return url

    def _checked_interval(self, seconds: int) -> int:
        default = max(_DEFAULT_INTERVAL_SECONDS, self._min_interval_seconds)
        return fields.between(
            "pollIntervalSeconds", seconds, self._min_interval_seconds, MAX_INTERVAL_SECONDS, default=default
        )

    def _seal(self, project: Project, id: str, api_key: str) -> str:
        api_key = fields.text("apiKey", api_key, at_most=_MAX_API_KEY)
        if not api_key.isascii() or not api_key.isprintable():
            raise InvalidInput("apiKey must be printable ASCII, as it goes into a header.", field="apiKey")
        return self._sealer.seal(project, id, api_key.encode()) if api_key else ""


def _within(span: tuple[float | None, float | None]) -> dict[str, tuple[Cond, ...]]:
    start, end = span
    conds = [Cond(Op.GTE, start)] if start is not None else []
    conds += [Cond(Op.LT, end)] if end is not None else []
    return {"at": tuple(conds)} if conds else {}
