"""A tenant's vectors, for backup, restore and erasure. The records of its indexes are in the document store."""

import base64
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict

import orjson

from core.errors import InvalidInput, NotFound
from core.storage.ports import DocumentStore
from core.storage.scan import scan
from core.storage.table import from_document
from core.tenancy import AllProjects, Project, Tenant
from core.tenant_data import Chunk, chunks, lines_of
from services.vector.domain.engines import Engines
from services.vector.domain.indexes import ACTIVE, Index
from services.vector.domain.points import IndexSpec, Metric, Point
from services.vector.domain.providers import VectorProviders
from services.vector.domain.tables import INDEXES
from services.vector.ports import IndexLocation, LocalVectorEngine, VectorEngine

Use = Callable[[], Awaitable[AbstractContextManager[VectorEngine]]]

_PAGE = 256
_WRITE = 500
"""Points that are written at a time."""


class StoredVectors:
    """A `core.tenant_data.TenantData`. An entry is an index, named `<project>/<index id>`: its spec and its points, a
    JSON object on each line. Those at a tenant's own provider are among them."""

    kind = "vectors"

    def __init__(
        self, store: DocumentStore, providers: VectorProviders, engines: Engines, embedded: LocalVectorEngine
    ) -> None:
        self._store = store
        self._providers = providers
        self._engines = engines
        self._embedded = embedded

    async def export(self, tenant: Tenant) -> AsyncGenerator[Chunk, None]:
        async for document in scan(self._store, AllProjects(tenant), INDEXES):
            index, project = from_document(Index, document), Project(tenant, document["project"])
            if index.status != ACTIVE:
                continue
            name, location = f"{project.id}/{index.id}", index.location(project)
            provider = await self._providers.get(project, index.provider_key)
            with await self._engines.use(project, provider, even_disabled=True) as engine:
                try:
                    spec = await engine.spec(location)
                except NotFound:  # dropped while it is backed up
                    continue
                for chunk in chunks(name, orjson.dumps(asdict(spec)) + b"\n"):
                    yield chunk
                async for points in _scrolled(engine, location):
                    for chunk in chunks(name, b"".join(orjson.dumps(_line(point)) + b"\n" for point in points)):
                        yield chunk

    async def restore(self, tenant: Tenant, chunks: AsyncIterator[Chunk]) -> int:
        current, count = _Restored(), 0
        async for name, line in lines_of(chunks):
            if name != current.name:
                await current.finish()
                current, count = await self._begin(tenant, name, line), count + 1
            else:
                await current.add(_point(name, line))
        await current.finish()
        return count

    async def erase(self, tenant: Tenant) -> None:
        await self._embedded.clear_tenant(tenant)

    async def _begin(self, tenant: Tenant, name: str, line: bytes) -> "_Restored":
        """Create the index of an entry, empty."""
        try:
            project_id, index_id = name.split("/")
            location = IndexLocation(Project(tenant, project_id), index_id)
            given = orjson.loads(line)
            spec = IndexSpec(int(given["dimension"]), Metric(given["metric"]), bool(given["hybrid"]))
        except (ValueError, KeyError, TypeError):
            raise _damaged(name) from None
        document = await self._store.get(location.scope, INDEXES, index_id)
        if document is None:
            raise _damaged(name)
        index = from_document(Index, document)
        provider = await self._providers.get(location.scope, index.provider_key)
        with await self._engines.use(location.scope, provider, even_disabled=True) as engine:
            await engine.create(location, spec)  # nothing is dropped: at a provider it may be another installation's
        return _Restored(name, location, lambda: self._engines.use(location.scope, provider, even_disabled=True))


class _Restored:
    """An index whose points are being written."""

    def __init__(self, name: str = "", location: IndexLocation | None = None, use: Use | None = None) -> None:
        self.name = name
        self._location = location
        self._use = use
        self._points: list[Point] = []

    async def add(self, point: Point) -> None:
        self._points.append(point)
        if len(self._points) == _WRITE:
            await self.finish()

    async def finish(self) -> None:
        """Write the points that wait."""
        if self._points and self._location is not None and self._use is not None:
            with await self._use() as engine:
                await engine.upsert(self._location, self._points)
            self._points = []


async def _scrolled(engine: VectorEngine, location: IndexLocation) -> AsyncGenerator[Sequence[Point], None]:
    after = ""
    while True:
        page = await engine.scroll(location, after, _PAGE)
        yield page.points
        after = page.after
        if not after:
            return


def _line(point: Point) -> dict[str, object]:
    values = base64.b64encode(point.values.tobytes()).decode()
    return {"id": point.id, "values": values, "metadata": point.metadata, "text": point.text}


def _point(name: str, line: bytes) -> Point:
    try:
        given = orjson.loads(line)
        values = array("f", base64.b64decode(given["values"], validate=True))
        return Point(given["id"], values, given["metadata"], given["text"])
    except (ValueError, KeyError, TypeError):
        raise _damaged(name) from None


def _damaged(name: str) -> InvalidInput:
    return InvalidInput(f"The entry {name!r} of vectors is damaged.", reason="ARCHIVE_DAMAGED", field="entry")
