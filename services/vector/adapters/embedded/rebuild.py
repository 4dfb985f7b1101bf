"""Rebuilds: the HNSW index of a grown index is built beside it, without blocking its calls.

The engine would hold its process for as long as it optimises. So an optimising process copies the index (its writers,
and nobody else, wait for the copy) and builds the HNSW index in the copy, while the worker notes which points are
written. A new engine worker opens the copy, is given those points in batches, and then keeps the index in the old one's
place.
One index at a time: the HNSW index is built with all cores, at low priority.
"""

import asyncio
import shutil
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from uuid import uuid4

from core import children, logs
from core.children import Child
from core.errors import PorticoError
from services.vector.adapters.embedded.worker_pool import EngineWorkerPool
from services.vector.adapters.embedded.worker_process import EngineWorkerProcess

_OPTIMISER = "services.vector.adapters.embedded.optimise"
_STARTS = 3
"""Most optimising processes that are started for one rebuild: one may end before it has made its copy."""
_BATCH = 200
"""Points that a query may have to wait for."""

_NEARLY = 400
"""Noted points that are few enough to let the index's writers wait for them."""

log = logs.get(__name__)


class Rebuilds:
    """`stale_bytes`: how much may lie outside the HNSW index before a rebuild. `quiet_seconds`: a rebuild waits
    until writes pause for so long, or until eight times as much waits."""

    def __init__(self, stale_bytes: int, quiet_seconds: float) -> None:
        self._stale_bytes = stale_bytes
        self._quiet = quiet_seconds
        self._one = asyncio.Semaphore(1)
        self._tasks: dict[Path, asyncio.Task[None]] = {}
        self._stale: dict[Path, int] = {}
        self._given_up: dict[Path, int] = {}
        self._changed: dict[Path, float] = {}

    def consider(
        self, pool: EngineWorkerPool, folder: Path, stale: int, writer: Callable[[Path], asyncio.Lock]
    ) -> None:
        """Consider a rebuild, given how much of the index is not in the HNSW index; `writer` gives the lock of its
        writers."""
        if stale < self._stale_bytes:
            return
        if self._stale.get(folder) != stale:
            self._stale[folder] = stale
            self._changed[folder] = asyncio.get_running_loop().time()
        if folder not in self._tasks and stale >= self._given_up.get(folder, 0):
            task = asyncio.create_task(self._run(pool, folder, writer(folder)), name=f"rebuild {folder.name}")
            self._tasks[folder] = task
            task.add_done_callback(lambda _: self._tasks.pop(folder, None))

    def going_on(self, folder: Path) -> bool:
        return folder in self._tasks

    async def finished(self) -> None:
        """Wait for the rebuilds that are due."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def forget(self, folder: Path) -> None:
        """Forget an index that is about to be dropped."""
        task = self._tasks.get(folder)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        for known in (self._stale, self._given_up, self._changed):
            known.pop(folder, None)

    async def close(self) -> None:
        for folder in list(self._tasks):
            await self.forget(folder)

    async def _run(self, pool: EngineWorkerPool, folder: Path, writing: asyncio.Lock) -> None:
        await self._pause(folder)
        async with self._one:
            try:
                await _rebuild(pool, folder, writing)
                self._given_up.pop(folder, None)
            except (PorticoError, OSError) as error:  # the index serves on as it is
                log.error("rebuild of a vector index failed", index=folder.name, error=repr(error))
                self._given_up[folder] = 2 * self._stale[folder]

    async def _pause(self, folder: Path) -> None:
        clock = asyncio.get_running_loop()
        while self._stale[folder] < 8 * self._stale_bytes:
            left = self._changed[folder] + self._quiet - clock.time()
            if left <= 0:
                return
            await asyncio.sleep(left)


async def _rebuild(pool: EngineWorkerPool, folder: Path, writing: asyncio.Lock) -> None:
    """Rebuild an index. Wherever it ends, also by being cancelled, the index is whole: the old one or the new."""
    target, worker, following = folder / uuid4().hex, await pool.of(folder), pool.spare()
    try:
        async with AsyncExitStack() as optimising:
            async with writing:
                source = await worker.call("begin_rebuild", folder)
                process = await _copied(optimising, source, target)
            if await process.wait() != 0:
                raise OSError(f"the optimising process ended with {process.returncode}")
        await following.call("open_next", folder, target.name)
        while await _catch_up(worker, following, folder) > _NEARLY:
            pass
        await following.call("flush_next", folder)
        async with writing:
            while await _catch_up(worker, following, folder):
                pass
            await following.call("adopt", folder)
            before = pool.give_own(folder, following)
    except BaseException:
        await following.close()
        await worker.call("abandon", folder, target.name)
        raise
    with suppress(PorticoError):  # then it has died, which is as good
        await (worker.call("forget", folder) if before is None else before.close())
    await asyncio.to_thread(shutil.rmtree, source, ignore_errors=True)


async def _copied(stack: AsyncExitStack, source: Path, target: Path) -> Child:
    """An optimising process that has made its copy; it lives as long as the stack. Raises OSError."""
    program = (sys.executable, "-m", _OPTIMISER, str(source), str(target))
    for _ in range(_STARTS):
        process, output = await stack.enter_async_context(children.running(program))
        if await output.readline():
            return process
        log.warning("optimising process ended before it was ready", code=await process.wait())
        await asyncio.to_thread(shutil.rmtree, target, ignore_errors=True)
    raise OSError(f"the optimising process ended with {process.returncode}")


async def _catch_up(worker: EngineWorkerProcess, following: EngineWorkerProcess, folder: Path) -> int:
    """Repeat recorded writes. Returns how many are left."""
    ids, points, left = await worker.call("noted", folder, _BATCH)
    if ids:
        await following.call("catch_up", folder, ids, points)
    return int(left)
