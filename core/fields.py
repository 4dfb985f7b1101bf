"""Checks of what callers write into records, the same for every service. All raise InvalidInput, naming the field."""

import re
import unicodedata
from collections.abc import Mapping, Sequence, Sized
from typing import Any

from core import free_json
from core.errors import InvalidInput

MAX_PAGE = 1000
MAX_SMALL_JSON_BYTES = 16 * 1024
_KEY = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


def text(field: str, value: str, *, at_most: int, at_least: int = 0) -> str:
    """`value` without space around it."""
    value = value.strip()
    if not at_least <= len(value) <= at_most:
        raise InvalidInput(f"{field} must have {at_least} to {at_most} characters.", field=field)
    if "\0" in value:
        raise InvalidInput(f"{field} holds a NUL character.", field=field)
    return value


def small_json(field: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """A small JSON object, within the limits of `core.free_json`."""
    free_json.check(field, value, at_most=MAX_SMALL_JSON_BYTES)
    return dict(value)


def too_long(field: str, at_most: int) -> InvalidInput:
    """The error for a JSON value of more than so many bytes."""
    return InvalidInput(f"{field} must be at most {at_most} bytes of JSON.", field=field)


def count(field: str, given: Sized, at_most: int) -> None:
    """Check the length of a list, best before anything is made of its entries."""
    if len(given) > at_most:
        raise InvalidInput(f"{field} must hold at most {at_most} entries.", reason="TOO_MANY_VALUES", field=field)


def one_of(field: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise InvalidInput(f"{field} must be one of {', '.join(allowed)}.", field=field)
    return value


def between(field: str, value: int, low: int, high: int, *, default: int) -> int:
    """0 means the default."""
    if value and not low <= value <= high:
        raise InvalidInput(f"{field} must be {low} to {high}.", field=field)
    return value or default


def page_size(value: int, default: int = 50, field: str = "pageSize") -> int:
    """The default is MAX_PAGE for lists that clients take for complete, as their calls have no parameter for a page."""
    return between(field, value, 1, MAX_PAGE, default=default)


def key(field: str, value: str) -> str:
    if not _KEY.fullmatch(value):
        raise InvalidInput(f"{field} must be 1 to 64 letters a-z, digits and inner hyphens.", field=field)
    return value


def slug(name: str, fallback: str, at_most: int = 60) -> str:
    """A key made from a name: a-z, digits and inner hyphens; what has no such letters becomes `fallback`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:at_most].strip("-") or fallback
