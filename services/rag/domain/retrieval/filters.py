"""Filters of queries, in the language of the vector service, as the JSON objects that callers give. Pure.

The vector service checks the language itself; here filters are joined, and held against the fields of a module.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.errors import InvalidInput

MODULE, DOCUMENT, FILE_NAME, CHUNK = "_ragModule", "_documentId", "_fileName", "_chunkIndex"
"""Metadata that every chunk has, beside its document's."""
_OWN = frozenset({MODULE, DOCUMENT, FILE_NAME, CHUNK})
_LISTS = ("$and", "$or")
_MAX_DEPTH = 16
"""The vector service refuses filters far less deep."""

Filter = Mapping[str, Any]


def joined(*filters: Filter | None) -> dict[str, Any]:
    """A filter that holds where all do; empty: no condition. Conditions keep their places, which errors name, unless
    two filters have one for the same field."""
    given = [each for each in filters if each]
    merged: dict[str, Any] = {}
    for each in given:
        if merged.keys() & each.keys():
            return {"$and": [dict(each) for each in given]}
        merged |= each
    return merged


def check_fields(filter: Any, allowed: Sequence[str], at: str = "filter") -> None:
    """Check that a filter names no other fields than these, where there are any; `a.b` is a part of the field `a`.
    Raises InvalidInput."""
    if not allowed:
        return
    for field, place in _fields(filter, at, 1):
        if field not in _OWN and not any(field == each or field.startswith(f"{each}.") for each in allowed):
            raise InvalidInput(
                f"{place}: this module cannot be filtered by {field!r}. It can be by {', '.join(allowed)}.",
                reason="FIELD_NOT_FILTERABLE",
                field=place,
            )


def _fields(filter: Any, at: str, depth: int) -> Iterator[tuple[str, str]]:
    """The fields of a filter with their places. What is no filter is left to the vector service to refuse."""
    if not isinstance(filter, Mapping) or depth > _MAX_DEPTH:
        return
    for key, value in filter.items():
        place = f"{at}.{key}"
        if key in _LISTS:
            for index, part in enumerate(value if isinstance(value, list) else ()):
                yield from _fields(part, f"{place}[{index}]", depth + 1)
        elif key == "$not":
            yield from _fields(value, place, depth + 1)
        elif not key.startswith("$"):
            yield key, place
