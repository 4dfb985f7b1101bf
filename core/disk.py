"""This machine's disk: work on it in threads, files without names for what is too large to hold, and what its errors
mean to a caller."""

import asyncio
import errno
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from core import logs
from core.errors import InsufficientStorage, Unavailable

_FULL = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")

log = logs.get(__name__)


async def on_disk(work: Callable[[], T], threads: Executor | None = None) -> T:
    """Run disk work in a thread and return its result. A call that is cancelled ends when its thread has: nothing is
    closed or removed under a thread's hands. Raises InsufficientStorage and Unavailable for an OSError."""
    running = asyncio.get_running_loop().run_in_executor(threads, work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        running.exception()  # seen: nobody wants it any more
        raise cancelled
    with _errors():
        return running.result()


def scratch_file(folder: Path) -> IO[bytes]:
    """An unbuffered file without a name, which is gone when it is closed or the process ends. Makes the folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder, buffering=0)


def write_all(file: IO[bytes], content: bytes | bytearray) -> None:
    """Write all of the data, as an unbuffered file may take less than it is given."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            log.error("disk full")
            raise InsufficientStorage("There is no room for this file.", reason="STORAGE_FULL") from error
        log.error("file system error", error=error.strerror)
        raise Unavailable("The files cannot be reached just now. Try again in a moment.") from error
