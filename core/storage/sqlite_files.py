"""Creation, opening and removal of database files, never seen half made or half removed by any process.

A database may have companions, files of services' own for what does not fit into documents: `tenant_acme.traces.sqlite`
beside `tenant_acme.sqlite`. They are made only where the database is, and removed with it.

A database is its file and, while open, its `-wal` and `-shm` beside it. A `-wal` left behind must never meet a new
database of the same name: SQLite would replay it. So making and removing hold one advisory lock of the folder,
opening holds it shared, and removing begins by renaming the file away. All functions here block.
"""

import fcntl
import glob
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

BUSY_SECONDS = 10.0
_LONGEST = 17 * 1024 * 1024
"""Bytes of a row, a document that grows by changes included."""
_LOCK = ".lock"
_REMOVED = ".removed"
_PRAGMAS = """
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON;
    PRAGMA journal_size_limit = 16777216;
    PRAGMA query_only = {query_only};
"""


def inode(path: Path) -> int | None:
    """Return the inode of the file at this path now; None if there is none. Numbers are not reused while a file is
    open."""
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None


def create(path: Path) -> None:
    """Make an empty database, readable for its owner alone, unless there is one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(path.parent, fcntl.LOCK_EX):
        _create(path)


def create_companion(path: Path, name: str) -> None:
    """Make an empty companion of the database at `path`, unless there is one. Raises FileNotFoundError where there is
    no such database."""
    if not path.parent.exists():
        raise FileNotFoundError(path)
    with _locked(path.parent, fcntl.LOCK_EX):
        os.stat(path)
        _create(companion(path, name))


def companion(path: Path, name: str) -> Path:
    """The path of a database's companion."""
    return path.with_name(f"{path.stem}.{name}{path.suffix}")


def _create(path: Path) -> None:
    if path.exists():
        return
    _sweep(path)
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        new.rename(path)
        _sync_folder(path.parent)
    finally:
        new.unlink(missing_ok=True)


def connect(path: Path, *, query_only: bool) -> tuple[sqlite3.Connection, int]:
    """The connection, and the inode of what it opened. Raises FileNotFoundError rather than make a file."""
    with _locked(path.parent, fcntl.LOCK_SH):
        number = os.stat(path).st_ino
        uri = f"{path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
            connection.executescript(_PRAGMAS.format(query_only=int(query_only)))
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # opens the WAL while the lock is held
        except BaseException:
            connection.close()
            raise
        return connection, number


def remove(path: Path) -> None:
    """Remove the database with its companions, if there is one. Processes that have it open keep what they opened until
    they close."""
    if not path.parent.exists():
        return
    with _locked(path.parent, fcntl.LOCK_EX):
        for each in (*path.parent.glob(f"{glob.escape(path.stem)}.*{path.suffix}"), path):
            with suppress(FileNotFoundError):
                each.rename(each.with_name(each.name + _REMOVED))
            _sweep(each)
        _sync_folder(path.parent)


def _sweep(path: Path) -> None:
    """Remove what a database that is no more may have left."""
    for suffix in ("-wal", "-shm", _REMOVED):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    descriptor = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
