"""Mapping of SQLite's errors to the error tree."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from core import logs
from core.errors import Conflict, InsufficientStorage, PayloadTooLarge, PorticoError, Unavailable
from core.storage.sqlite_schema import fields_of_index

_log = logs.get(__name__)
_PRIMARY = 0xFF
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_BROKEN = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """`where` names the database in the log."""
    try:
        yield
    except sqlite3.Error as error:
        if meaning := _meaning(error, where):
            raise meaning from error
        raise
    except OSError as error:  # of making or opening the file
        _log.error("store broken", database=where, error=str(error))
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (_disk_full() if full else Unavailable("The store cannot be read or written.")) from error


def _meaning(error: sqlite3.Error, where: str) -> PorticoError | None:
    """The error for a state of the store; None for a bug of our own."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if code == sqlite3.SQLITE_CONSTRAINT:
        field = fields_of_index(str(error))
        return Conflict(f"There is one with this {field} already.", field=field)
    if code == sqlite3.SQLITE_FULL:
        _log.error("store full", database=where)
        return _disk_full()
    if code in _BUSY:
        return Unavailable("The store is busy: try again shortly.", retry_after=1.0)
    if code in _BROKEN:
        _log.error("store broken", database=where, code=getattr(error, "sqlite_errorname", ""), error=str(error))
        return Unavailable("The store cannot be read or written.")
    if code == sqlite3.SQLITE_TOOBIG:
        return PayloadTooLarge("This is more than a document can hold.")
    return None


def _disk_full() -> InsufficientStorage:
    return InsufficientStorage("The disk is full: free some space and try again.")
