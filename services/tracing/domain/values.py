"""Values of senders as they are kept: bounded, whatever type they have. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from core.errors import InvalidInput

MAX_ID = 256
MAX_NAME = 512
"""Characters of names, labels and models; longer ones are cut."""
MAX_ERROR = 16 * 1024
"""Characters of an error's message, and of its stack; longer ones are cut."""
MAX_OBJECT_BYTES = 16 * 1024
"""JSON of an agent or a configuration; a longer one is not kept."""
_MAX_NUMBER = 2**53
_MAX_POSITION = 2**31
_MAX_DURATION = 1e12
MAX_TIME = 253_402_300_000.0
"""Unix seconds: the end of the year 9999, which is the last that a protobuf Timestamp holds."""
_MILLISECONDS_FROM = 1e11
"""A number this large is a time in milliseconds, not in seconds."""
_NAMES_OF_METADATA = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
MAX_METADATA, _MAX_METADATA_NAME, _MAX_METADATA_TEXT = 10, 40, 200


def text(value: Any, at_most: int = MAX_NAME) -> str:
    """A text without NUL, cut to `at_most` characters; of a number its digits, of anything else nothing."""
    if isinstance(value, str):
        return value[:at_most] if "\0" not in value else value.replace("\0", "")[:at_most]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)[:at_most]
    return ""


def required_id(field: str, value: Any) -> str:
    """Raises InvalidInput."""
    if not isinstance(value, str) or not value or len(value) > MAX_ID or "\0" in value:
        raise InvalidInput(f"{field} must be a text of 1 to {MAX_ID} characters without NUL.", field=field)
    return value


def number(value: Any) -> int | None:
    """A count that is not negative; None for anything else."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 17 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_NUMBER:
        return None
    return int(value)


def position(value: Any) -> int | None:
    """A count of 31 bits; None for anything else."""
    count = number(value)
    return count if count is not None and count < _MAX_POSITION else None


def duration(value: Any) -> float | None:
    """Milliseconds that are not negative; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_DURATION:
        return None
    return float(value)


def moment(field: str, value: Any) -> float | None:
    """Unix seconds, from 1970 on, of an ISO 8601 text, or of a number of seconds or milliseconds; None where there is
    none. Raises InvalidInput."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
            value = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise _no_moment(field) from None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        value = value / 1000 if value > _MILLISECONDS_FROM else float(value)
    if not isinstance(value, float) or not 0 <= value < MAX_TIME:
        raise _no_moment(field)
    return value


def _no_moment(field: str) -> InvalidInput:
    return InvalidInput(f"{field} must be a time in ISO 8601, such as 2026-01-31T12:00:00Z.", field=field)


def obj(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def first(values: Iterable[Any]) -> Any:
    """The first that is neither None nor an empty text."""
    return next((value for value in values if value is not None and value != ""), None)


def at_path(value: Any, path: str) -> Any:
    """The member of nested objects at a dotted path; None where there is none."""
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def metadata(given: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a session's metadata that is kept: short names, and short texts, numbers or booleans as values."""
    kept: dict[str, Any] = {}
    for name, value in given.items():
        fits = isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _MAX_METADATA_TEXT)
        if fits and 0 < len(name) <= _MAX_METADATA_NAME and _NAMES_OF_METADATA.issuperset(name):
            kept[name] = value
        if len(kept) == MAX_METADATA:
            break
    return kept


def dumped(value: Any, field: str, *, sort: bool = False) -> bytes:
    """The JSON of a value that came as JSON. Raises InvalidInput, naming the field."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort else None)
    except TypeError:
        raise InvalidInput(
            f"{field} is nested too deeply, or holds an integer beyond 64 bits. Send that as a text.", field=field
        ) from None


def small(value: Any, field: str) -> dict[str, Any]:
    """An object that is kept in a record; one that is too large for that is not kept. Raises InvalidInput."""
    given = obj(value)
    size = len(dumped(given, field))
    return given if size <= MAX_OBJECT_BYTES else {"truncated": True, "bytes": size}


def error(value: Any) -> dict[str, Any] | None:
    """An error as an object with a message; None where there is none."""
    if isinstance(value, str) and value:
        return {"message": text(value, MAX_ERROR)}
    if isinstance(value, dict) and value:
        kept = {name: text(value[name], MAX_ERROR) for name in ("message", "type", "stack", "code") if value.get(name)}
        return {"message": "", **kept} if kept else {"message": text(dumped(value, "error").decode(), MAX_ERROR)}
    return None


def finish_reason(value: Any) -> str:
    """In lower case; of several the first, be they a list, the JSON of one, or joined by commas."""
    if isinstance(value, list):
        value = next(iter(value), "")
    return text(value, 64).strip("[]\"' ").partition(",")[0].strip("\"' ").lower()
