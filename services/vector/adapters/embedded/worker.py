"""An engine worker: answers calls on its indexes one after the other, until its parent is gone.

python -m services.vector.adapters.embedded.worker <socket's descriptor> <indexes open at once> <bytes to keep free>
"""

import ctypes
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from core import secret_files
from core.bounded import BoundedDict
from core.errors import Conflict, FailedPrecondition, InsufficientStorage, PorticoError, Unavailable
from services.vector.adapters.embedded import codec, layout
from services.vector.adapters.embedded import shard as shards
from services.vector.adapters.embedded.codec import Answer, Messages, Row
from services.vector.adapters.embedded.shard import Shard
from services.vector.domain.filters import Filter
from services.vector.domain.points import IndexSpec

_READ = 256 * 1024

_path = lru_cache(4_096)(Path)
"""Cache of paths: to make and to hash one takes as long as to read a call."""

_GROWTH = 4
"""Times its own size that a write may take on disk before it is merged: log, vectors, payload, index."""


class EngineWorker:
    """The worker's side: the parent can call its public methods, all but `answer` and `close`."""

    def __init__(self, max_open: int, keep_free: int) -> None:
        self._keep_free = keep_free
        # Calls come one at a time, so all but the newest are idle; those being rebuilt must stay.
        self._open: BoundedDict[Path, Shard] = BoundedDict(
            max_open, evicted=lambda _, shard: shard.close(), busy=lambda _, shard: shard.touched is not None
        )

    def answer(self, method: str, where: str, args: Sequence[Any]) -> Answer:
        folder = _path(where)
        try:
            result = getattr(self, method)(folder, *args)
        except PorticoError as error:
            return Answer(error=error)
        except OSError as error:
            return Answer(error=_failed(error), detail=repr(error))
        except Exception as error:  # the engine raises plain Exceptions: what they say goes to the log
            self.forget(folder)
            return Answer(error=_failed(error), detail=repr(error))
        shard = self._open.get(folder)
        return Answer(result, stale=0 if shard is None else shard.stale_bytes)

    def close(self) -> None:
        for shard in self._open.values():
            shard.close()

    # Indexes

    def create(self, folder: Path, spec: IndexSpec) -> None:
        known = layout.read_index(folder)
        if known is not None:
            if known.spec != spec:
                raise Conflict("The index exists with another dimension, metric or hybrid setting.")
            return
        self._check_space(folder, 0)
        shards.create(folder, spec)

    def drop(self, folder: Path) -> None:
        self.forget(folder)
        shards.drop(folder)

    def spec(self, folder: Path) -> IndexSpec:
        return self._shard(folder).spec

    def check(self, root: Path) -> None:
        """Answer, which shows that this process works."""

    # Points

    def upsert(self, folder: Path, points: Sequence[Row]) -> None:
        shard = self._shard(folder)
        self._check_space(folder, len(points) * shard.spec.dimension * 4)
        shard.upsert(codec.decode_points(points))

    def delete(self, folder: Path, ids: Sequence[str]) -> int:
        return self._shard(folder).delete(ids)

    def ids(self, folder: Path, filter: Filter, limit: int) -> list[str]:
        return self._shard(folder).ids(filter, limit)

    def query(self, folder: Path, query: Row) -> list[Row]:
        return codec.encode_matches(self._shard(folder).query(codec.decode_query(query)))

    def fetch(self, folder: Path, ids: Sequence[str]) -> list[Row]:
        return codec.encode_points(self._shard(folder).fetch(ids))

    def count(self, folder: Path, filter: Filter | None) -> int:
        return self._shard(folder).count(filter)

    def scroll(self, folder: Path, after: str, limit: int) -> Row:
        return codec.encode_page(self._shard(folder).scroll(after, limit))

    # Rebuilding (see `rebuild`): what is asked of the process that keeps the index

    def begin_rebuild(self, folder: Path) -> Path:
        """Record writes from now on. Returns the path of the index, flushed to disk."""
        shard = self._shard(folder)
        shard.flush()
        shard.touched = {}
        return folder / shard.index.generation

    def noted(self, folder: Path, limit: int) -> tuple[list[str], list[Row], int]:
        """Ids of some recorded writes, the points that there are of them, and how many ids are left."""
        shard = self._open.get(folder)
        if shard is None or shard.touched is None:
            raise FailedPrecondition("no rebuild goes on")  # this process is not the one that began it
        ids = list(shard.touched)[:limit]
        for id in ids:
            del shard.touched[id]
        return ids, codec.encode_points(shard.points(ids)), len(shard.touched)

    def abandon(self, folder: Path, generation: str) -> None:
        """The rebuild has ended early; unless the next index was adopted, and whoever asked has not heard of it."""
        shard, index = self._open.get(folder), layout.read_index(folder)
        if index is not None and index.generation == generation:
            self.forget(folder)
            return
        if shard is not None:
            shard.touched = None
        shutil.rmtree(folder / generation, ignore_errors=True)

    def forget(self, folder: Path) -> None:
        """Close the index."""
        shard = self._open.pop(folder, None)
        if shard is not None:
            shard.close()

    # and of the one that will keep the next

    def open_next(self, folder: Path, generation: str) -> None:
        self._open[folder] = Shard(folder, generation)

    def catch_up(self, folder: Path, ids: Sequence[str], points: Sequence[Row]) -> None:
        """Repeat writes that were recorded during the rebuild."""
        shard, there = self._open[folder], codec.decode_points(points)
        shard.delete(list(set(ids) - {point.id for point in there}))
        if there:
            shard.upsert(there)

    def flush_next(self, folder: Path) -> None:
        """Flush the repeated writes to disk."""
        self._open[folder].flush()

    def adopt(self, folder: Path) -> None:
        """Replace the old index by the rebuilt one."""
        layout.write_index(folder, self._open[folder].index)

    # Open indexes

    def _shard(self, folder: Path) -> Shard:
        shard = self._open.get(folder)
        if shard is None:
            shard = self._open[folder] = Shard(folder)
        else:
            self._open.move_to_end(folder)
        return shard

    def _check_space(self, folder: Path, size: int) -> None:
        """The engine writes through mapped files, where a full disk is not an error but the end of the process."""
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if shutil.disk_usage(there).free < self._keep_free + _GROWTH * size:
            raise InsufficientStorage("The disk that keeps the vectors is full. Ask the operator.")


def _failed(error: Exception) -> PorticoError:
    text = str(error).lower()
    if "no space left" in text or "os error 28" in text:
        return InsufficientStorage("The disk that keeps the vectors is full. Ask the operator.")
    return Unavailable("The vector index cannot be read or written now. Try again later.")


def main(descriptor: int, max_open: int, keep_free: int) -> None:
    secret_files.set_umask()
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the parent, which then closes us
    connection = socket.socket(fileno=descriptor)
    worker = EngineWorker(max_open, keep_free)
    messages = Messages()
    connection.sendall(codec.encode_answer(Answer()))  # ready
    while data := connection.recv(_READ):
        for message in messages.of(data):
            connection.sendall(codec.encode_answer(worker.answer(*codec.decode_call(message))))
    worker.close()


def end_with_parent() -> None:
    """Ask the system for a SIGKILL when the parent dies, so no orphan holds the index against the next start."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
