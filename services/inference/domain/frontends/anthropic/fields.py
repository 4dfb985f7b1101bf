"""Checks of a request's fields, whose names are those of the Messages API: `messages.0.content`."""

from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput


def wrong(field: str, what: str) -> InvalidInput:
    return InvalidInput(f"{field} {what}.", field=field)


def word(holder: Mapping[str, Any], name: str) -> str:
    """A text that is one of some words; empty where it is none."""
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def text(holder: Mapping[str, Any], name: str, field: str) -> str:
    """A text that must be there. Raises InvalidInput."""
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        raise wrong(f"{field}.{name}", "must be a string")
    return value


def listed(holder: Mapping[str, Any], name: str) -> list[Any]:
    """A list that may be missing. Raises InvalidInput."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(name, "must be a list")
    return value


def optional(holder: Mapping[str, Any], name: str, kind: type, what: str) -> None:
    """Check a field that may be missing. Raises InvalidInput."""
    if not isinstance(holder.get(name), kind | None):
        raise wrong(name, f"must be {what}")
