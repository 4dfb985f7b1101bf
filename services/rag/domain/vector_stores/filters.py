"""Filters of searches as OpenAI writes them, in the language of the vector service. Pure.

{"type": "and", "filters": [{"type": "eq", "key": "lang", "value": "en"}, {"type": "gt", "key": "year", "value": 2020}]}
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import InvalidInput

COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
_COMPOUNDS = ("and", "or")
_LISTS = ("in", "nin")
_MAX_DEPTH = 7
"""One less than the vector service takes, which puts a filter of its own around."""


def translated(filters: Any, at: str = "filters", depth: int = 1) -> dict[str, Any]:
    """Translate a comparison or compound filter. Raises InvalidInput, naming the place."""
    if not isinstance(filters, Mapping):
        raise InvalidInput(f"{at} must be an object with a type.", field=at)
    if depth > _MAX_DEPTH:
        raise InvalidInput(f"{at}: filters nest at most {_MAX_DEPTH} deep.", field=at)
    kind = filters.get("type")
    if kind in _COMPOUNDS:
        parts = filters.get("filters")
        if not isinstance(parts, Sequence) or isinstance(parts, str) or not parts:
            raise InvalidInput(f"{at}.filters must be a list of one or more filters.", field=f"{at}.filters")
        return {f"${kind}": [translated(each, f"{at}.filters[{i}]", depth + 1) for i, each in enumerate(parts)]}
    if kind not in COMPARISONS:
        allowed = ", ".join((*COMPARISONS, *_COMPOUNDS))
        raise InvalidInput(f"{at}.type must be one of {allowed}.", field=f"{at}.type")
    return {_key(filters.get("key"), at): {f"${kind}": _value(kind, filters.get("value"), at)}}


def _key(key: Any, at: str) -> str:
    if not isinstance(key, str) or not key:
        raise InvalidInput(f"{at}.key must be the name of an attribute.", field=f"{at}.key")
    if "." in key or key.startswith("$"):
        raise InvalidInput(
            f"{at}.key: an attribute whose name holds a dot or begins with $ cannot be filtered by.", field=f"{at}.key"
        )
    return key


def _value(kind: str, value: Any, at: str) -> Any:
    if kind in _LISTS:
        if not isinstance(value, list) or not value:
            raise InvalidInput(f"{at}.value must be a list of one or more values.", field=f"{at}.value")
        return value
    if not isinstance(value, str | int | float | bool):
        raise InvalidInput(f"{at}.value must be text, a number, true or false.", field=f"{at}.value")
    return value
