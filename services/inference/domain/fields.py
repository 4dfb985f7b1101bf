"""Checks that providers and models share."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import orjson

from core.errors import InvalidInput

MAX_PAGE = 1000
MAX_NOTES_BYTES = 16 * 1024


def text(field: str, value: str, *, at_most: int, at_least: int = 0) -> str:
    """`value` without space around it. Raises InvalidInput."""
    value = value.strip()
    if not at_least <= len(value) <= at_most:
        raise InvalidInput(f"{field} must have {at_least} to {at_most} characters.", field=field)
    return value


def notes(field: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """A small JSON object. Raises InvalidInput."""
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        raise InvalidInput(f"{field} is nested too deeply.", field=field) from None
    if size > MAX_NOTES_BYTES:
        raise InvalidInput(f"{field} must be at most {MAX_NOTES_BYTES} bytes of JSON.", field=field)
    return dict(value)


def one_of(field: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise InvalidInput(f"{field} must be one of {', '.join(allowed)}.", field=field)
    return value


def page_size(value: int, default: int) -> int:
    """Raises InvalidInput."""
    if not 0 <= value <= MAX_PAGE:
        raise InvalidInput(f"pageSize must be 1 to {MAX_PAGE}.", field="pageSize")
    return value or default


def slug(name: str, fallback: str, at_most: int) -> str:
    """A key made from a name: a-z, digits and inner hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:at_most].strip("-") or fallback
