"""The embedded engine behind the port: asks an index's worker, and cuts long work into batches."""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from core.tenancy import Project, Tenant
from services.vector.adapters.embedded import codec
from services.vector.adapters.embedded.rebuild import Rebuilds
from services.vector.adapters.embedded.worker_pool import EngineWorkerPool
from services.vector.adapters.embedded.worker_process import EngineWorkerProcess
from services.vector.domain.filters import OPERATORS, Filter
from services.vector.domain.points import IndexSpec, Match, Metric, Point, value_count
from services.vector.ports import EngineCapabilities, IndexLocation, PointPage, Query

CAPABILITIES = EngineCapabilities(tuple(Metric), OPERATORS, hybrid=True)

_BATCH_BYTES = 512 * 1024
"""Size of vectors written at a time: some ten milliseconds for which a query may have to wait."""

_LARGEST_BATCH = 500

_BATCH_VALUES = 20_000
"""Values of metadata written at a time, each of which is hashed; those of one point, if it has more."""

_KNOWN = 4_096
"""Places whose folder is remembered: to work it out anew costs a tenth of a query."""

_STALE_BYTES = 20 * 1024 * 1024
"""Size of vectors outside the HNSW index at which an index is rebuilt; comparing with each of them takes about 2 ms."""


class EmbeddedEngine:
    """Indexes under `root`, one folder each: <root>/<tenant>/<project>/<index>.

    `workers`: processes that small indexes share, of which `open_indexes` are open at once; `large_indexes`: how many
    of those with an HNSW index have a process of their own at once. Others are opened on demand. `keep_free`:
    bytes of disk below which writes are refused. Nothing is started before the first call.
    """

    capabilities = CAPABILITIES

    def __init__(
        self,
        root: Path,
        *,
        open_indexes: int = 32,
        workers: int = 2,
        large_indexes: int = 8,
        keep_free: int = 128 * 1024 * 1024,
        stale_bytes: int = _STALE_BYTES,
        quiet_seconds: float = 1.0,
    ) -> None:
        self._root = root
        self._folder = lru_cache(_KNOWN)(self._folder_of)
        self._writers: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()
        self.rebuilds = Rebuilds(stale_bytes, quiet_seconds)
        self.pool = EngineWorkerPool(
            lambda most: EngineWorkerProcess(most, keep_free, self._on_stale),
            shared=workers,
            open_small=open_indexes,
            large=large_indexes,
            busy=self.rebuilds.going_on,
        )

    async def create(self, location: IndexLocation, spec: IndexSpec) -> None:
        await self._call(location, "create", spec)

    async def drop(self, location: IndexLocation) -> None:
        folder = self._folder(location)
        await self.rebuilds.forget(folder)
        async with self._writer(folder):
            await self._call(location, "drop")
            self.pool.release(folder)

    async def clear(self, project: Project) -> None:
        """Remove all that there is of the project, also of indexes that nobody knows of because their making or
        dropping was cut off. Safe to repeat."""
        folder = self._root / project.tenant.slug / project.id
        for name in await asyncio.to_thread(_names_in, folder):
            await self.drop(IndexLocation(project, name))
        await asyncio.to_thread(_remove_empty, folder)

    async def clear_tenant(self, tenant: Tenant) -> None:
        """Remove the tenant's indexes. Safe to repeat."""
        folder = self._root / tenant.slug
        for name in await asyncio.to_thread(_names_in, folder):
            await self.clear(Project(tenant, name))
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def spec(self, location: IndexLocation) -> IndexSpec:
        spec: IndexSpec = await self._call(location, "spec")
        return spec

    async def upsert(self, location: IndexLocation, points: Sequence[Point]) -> None:
        folder = self._folder(location)
        async with self._writer(folder):
            for batch in _batches(points):
                await self._write(folder, "upsert", codec.encode_points(batch))

    async def delete_ids(self, location: IndexLocation, ids: Sequence[str]) -> int:
        folder = self._folder(location)
        gone = 0
        async with self._writer(folder):
            for start in range(0, len(ids), _LARGEST_BATCH):
                gone += await self._write(folder, "delete", ids[start : start + _LARGEST_BATCH])
        return gone

    async def delete_filter(self, location: IndexLocation, filter: Filter) -> int:
        folder = self._folder(location)
        gone = 0
        async with self._writer(folder):
            while ids := await self._call(location, "ids", filter, _LARGEST_BATCH):
                gone += await self._write(folder, "delete", ids)
        return gone

    async def query(self, location: IndexLocation, query: Query) -> list[Match]:
        return codec.decode_matches(await self._call(location, "query", codec.encode_query(query)))

    async def fetch(self, location: IndexLocation, ids: Sequence[str]) -> list[Point]:
        return codec.decode_points(await self._call(location, "fetch", ids))

    async def count(self, location: IndexLocation, filter: Filter | None = None) -> int:
        count: int = await self._call(location, "count", filter)
        return count

    async def scroll(self, location: IndexLocation, after: str = "", limit: int = 256) -> PointPage:
        return codec.decode_page(await self._call(location, "scroll", after, limit))

    async def check(self) -> None:
        await asyncio.gather(*(worker.call("check", self._root) for worker in self.pool.shared))

    async def close(self) -> None:
        await self.rebuilds.close()
        await self.pool.close()

    def _folder_of(self, location: IndexLocation) -> Path:
        """All three names are checked when a Place is made: letters, digits, `-` and `_`."""
        return self._root / location.scope.tenant.slug / location.scope.id / location.index_id

    def _writer(self, folder: Path) -> asyncio.Lock:
        """The lock of an index's writes, which run one after the other."""
        return self._writers.setdefault(folder, asyncio.Lock())

    async def _call(self, location: IndexLocation, method: str, *args: Any) -> Any:
        folder = self._folder(location)
        return await (await self.pool.of(folder)).call(method, folder, *args)

    async def _write(self, folder: Path, method: str, *args: Any) -> Any:
        worker = await self.pool.of(folder)
        async with worker.writing:
            return await worker.call(method, folder, *args)

    def _on_stale(self, folder: Path, stale: int) -> None:
        self.rebuilds.consider(self.pool, folder, stale, self._writer)


def _names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()] if folder.is_dir() else []


def _remove_empty(folder: Path) -> None:
    """The folder, and that of its tenant."""
    with suppress(OSError):  # not empty, or not there
        folder.rmdir()
        folder.parent.rmdir()


def _batches(points: Sequence[Point]) -> Iterator[Sequence[Point]]:
    """Split the points into batches to write, each of at least one point."""
    start = size = values = 0
    for at, point in enumerate(points):
        bytes_, found = 4 * len(point.values), value_count(point.metadata)
        full = at - start == _LARGEST_BATCH or size + bytes_ > _BATCH_BYTES or values + found > _BATCH_VALUES
        if full and at > start:
            yield points[start:at]
            start, size, values = at, 0, 0
        size, values = size + bytes_, values + found
    if start < len(points):
        yield points[start:]
