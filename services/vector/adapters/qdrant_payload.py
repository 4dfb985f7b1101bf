"""The representation of a point in Qdrant, embedded or as a server."""

import uuid
from array import array
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import orjson

from core.errors import InvalidInput
from services.vector.domain.points import IndexSpec, Match, Metric, Point, Vector, with_length
from services.vector.domain.terms import derive

DENSE = "dense"
KEYWORDS = "words"
"""Names of the two vectors."""

POINT = "point"
TERMS = "terms"
NUMBER = "#"
"""Fields of the payload. `point` is JSON text of all that is given back, so it comes back as it came, whatever the
engine does to numbers and booleans: id, length, metadata, text and, where the engine was given another vector than the
caller's, the caller's in base64. The others are for filters: `terms`, and `#path` for a field's numbers. The form is
the one that the embedded engine's binding converts fastest: few texts, few lists, whole numbers as such."""

_EXACT = 2**53


def engine_id(id: str, location: str = "") -> str:
    """Qdrant's ids are UUIDs; the caller's own id stands in the payload."""
    return blake2b(f"{location}\0{id}".encode(), digest_size=16).hexdigest()


def cursor(after: str) -> str | None:
    """Return where a scroll goes on: the engine's id of the next point. Raises InvalidInput."""
    try:
        return str(uuid.UUID(after)) if after else None
    except ValueError:
        raise InvalidInput("pageToken must be the nextPageToken of a page of this list.", field="pageToken") from None


def entry(point: Point, spec: IndexSpec) -> tuple[list[float], dict[str, Any]]:
    """The dense vector and the payload."""
    # The engine keeps unit vectors for cosine; with the length the caller's come back.
    given, length = with_length(point.values) if spec.metric is Metric.COSINE else (point.values, 1.0)
    kept: tuple[Any, ...] = (point.id, length, point.metadata, point.text)
    if given is not point.values:
        kept = (*kept, b64encode(point.values.tobytes()).decode())
    fields: dict[str, Any] = {POINT: orjson.dumps(kept).decode()}
    if point.metadata:
        derived = derive(point.metadata)
        fields[TERMS] = derived.terms
        for path, found in derived.numbers.items():
            fields[NUMBER + path] = _shortest(found[0]) if len(found) == 1 else list(map(_shortest, found))
    return given.tolist(), fields


def _shortest(number: float) -> float | int:
    """Whole numbers compare alike."""
    return int(number) if number.is_integer() and -_EXACT <= number <= _EXACT else number


def number_key(path: str) -> str:
    """Path of a field's numbers; names hold no quotation mark (`domain.filters`), so this cannot be left."""
    return f'"{NUMBER}{path}"'


def length(fields: Mapping[str, Any]) -> int:
    """The length of the JSON of all that is returned."""
    return len(fields[POINT])


def to_id(fields: Mapping[str, Any]) -> str:
    id: str = orjson.loads(fields[POINT])[0]
    return id


def to_point(fields: Mapping[str, Any], stored: Sequence[float]) -> Point:
    id, length, metadata, text, *exact = orjson.loads(fields[POINT])
    return Point(id, _values(length, stored, exact), metadata, text)


def to_match(fields: Mapping[str, Any], score: float, stored: Sequence[float] | None) -> Match:
    id, length, metadata, text, *exact = orjson.loads(fields[POINT])
    return Match(id, score, metadata, text, None if stored is None else _values(length, stored, exact))


def _values(length: float, stored: Sequence[float], exact: Sequence[str]) -> Vector:
    if exact:
        return array("f", b64decode(exact[0]))
    return array("f", stored) if length == 1.0 else array("f", [value * length for value in stored])
