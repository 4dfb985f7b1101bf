"""Mapping of MongoDB's errors to the error tree."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo.errors import (
    DocumentTooLarge,
    DuplicateKeyError,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
)

from core import logs
from core.errors import Conflict, InsufficientStorage, PayloadTooLarge, PorticoError, Unavailable
from core.storage.documents import MAX_DOCUMENT_BYTES

_log = logs.get(__name__)
DUPLICATE_KEY = 11000
_TOO_LARGE = frozenset({10334, 17419, 17420})
_DISK_FULL = frozenset({14031})
_INDEX = re.compile(r"index: unique (?P<fields>\S+)")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """`where` names the database in the log."""
    try:
        yield
    except PyMongoError as error:
        raise _meaning(error, where) from error


def _meaning(error: PyMongoError, where: str) -> PorticoError:
    """The error for a state of the server. What MongoDB says may hold a document's values, so it goes nowhere: the log
    has its class and code."""
    code = error.code if isinstance(error, OperationFailure) else None
    if isinstance(error, DuplicateKeyError):
        return conflict(error.details)
    if isinstance(error, DocumentTooLarge) or code in _TOO_LARGE:
        return PayloadTooLarge(f"A document may have at most {MAX_DOCUMENT_BYTES} bytes, as JSON and as BSON.")
    if isinstance(error, InvalidOperation):
        return Unavailable("The store is shutting down.")
    _log.error("store broken", database=where, error=type(error).__name__, code=code)
    if code in _DISK_FULL:
        return InsufficientStorage("The disk of the database is full.")
    return Unavailable("The store cannot be read or written.", retry_after=1.0)


def conflict(details: Any) -> Conflict:
    """The error for a broken unique group, or an id that is taken, by what the server says of it."""
    named = _INDEX.search(str((details or {}).get("errmsg", "")))
    field = named["fields"].replace(",", ", ") if named else "id"
    return Conflict(f"There is one with this {field} already.", field=field)
