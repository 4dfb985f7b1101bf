"""This machine's disk: files without names for what is too large to hold, and what its errors mean to a caller."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from core import logs
from core.errors import InsufficientStorage, Unavailable

_FULL = (errno.ENOSPC, errno.EDQUOT)

log = logs.get(__name__)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raises InsufficientStorage and Unavailable for an OSError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            log.error("disk full")
            raise InsufficientStorage("There is no room for this file.", reason="STORAGE_FULL") from error
        log.error("file system error", error=error.strerror)
        raise Unavailable("The files cannot be reached just now. Try again in a moment.") from error


def scratch_file(folder: Path) -> IO[bytes]:
    """An unbuffered file that is gone when it is closed, and whatever happens to the process. Makes the folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder, buffering=0)


def write_all(file: IO[bytes], content: bytes | bytearray) -> None:
    """An unbuffered file may take less than it is given."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]
