"""The pool of engine workers, and which of them keeps which index.

Small indexes share a few processes: a thousand of them cost no more than those that are open. One with an HNSW index is
large, and gets a process of its own, for whatever is done to it takes long: to open it, to close it, to put another in
its place. So what a tenant with millions of vectors does, another one does not wait for, and each large index has a
core to itself.
"""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from core.bounded import BoundedDict
from services.vector.adapters.embedded import layout
from services.vector.adapters.embedded.worker_process import EngineWorkerProcess

_REMEMBERED = 4_096
"""Folders of small indexes whose process is remembered: to work it out anew costs a tenth of a query."""


class EngineWorkerPool:
    """`start` makes the process for so many open indexes. At most `large` indexes have processes of their own at once;
    the one that was not asked for longest is closed, unless `busy` says that it is worked on."""

    def __init__(
        self,
        start: Callable[[int], EngineWorkerProcess],
        *,
        shared: int,
        open_small: int,
        large: int,
        busy: Callable[[Path], bool],
    ) -> None:
        self._start = start
        self._shared = [start(max(1, open_small // shared)) for _ in range(shared)]
        self._small: BoundedDict[Path, EngineWorkerProcess] = BoundedDict(_REMEMBERED)
        self._own: BoundedDict[Path, EngineWorkerProcess] = BoundedDict(
            large, evicted=self._leave, busy=lambda folder, _: busy(folder)
        )
        self._leaving: dict[Path, asyncio.Task[None]] = {}

    @property
    def shared(self) -> list[EngineWorkerProcess]:
        return list(self._shared)

    @property
    def processes(self) -> list[EngineWorkerProcess]:
        return [*self._shared, *self._own.values()]

    async def of(self, folder: Path) -> EngineWorkerProcess:
        """The worker of an index. Call it at once: after an `await` the index may be kept elsewhere."""
        if (worker := self._small.get(folder)) is not None:
            return worker
        while (worker := self._own.get(folder)) is None:
            if folder in self._leaving:  # two processes must not have it open
                await asyncio.wait({self._leaving[folder]})
            elif layout.is_large(folder):
                self.give_own(folder, self.spare())
            else:
                return self._remember(folder)
        self._own.move_to_end(folder)
        return worker

    def spare(self) -> EngineWorkerProcess:
        """A process for one index, which nobody is led to yet."""
        return self._start(1)

    def give_own(self, folder: Path, worker: EngineWorkerProcess) -> EngineWorkerProcess | None:
        """Let the process keep the index from now on. The one of its own that it had before, if any, is the caller's to
        close."""
        self._small.pop(folder, None)
        before = self._own.pop(folder, None)
        self._own[folder] = worker
        return before

    def release(self, folder: Path) -> None:
        """Release an index that is dropped, or is to be kept where its files say."""
        self._small.pop(folder, None)
        if (worker := self._own.pop(folder, None)) is not None:
            self._leave(folder, worker)

    async def close(self) -> None:
        while self._own:
            self._own.evict()
        await asyncio.gather(*(worker.close() for worker in self._shared), *self._leaving.values())

    def _leave(self, folder: Path, worker: EngineWorkerProcess) -> None:
        task = asyncio.create_task(worker.close(), name=f"close {folder.name}")
        self._leaving[folder] = task
        task.add_done_callback(lambda _: self._leaving.pop(folder))

    def _remember(self, folder: Path) -> EngineWorkerProcess:
        digest = hashlib.blake2b("/".join(folder.parts[-3:]).encode(), digest_size=4).digest()
        worker = self._shared[int.from_bytes(digest, "big") % len(self._shared)]
        self._small[folder] = worker
        return worker
