"""How a point lies in Qdrant, embedded or as a server."""

import math
import uuid
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from core.errors import InvalidInput
from services.vector.domain.points import IndexSpec, Match, Metric, Point, Vector
from services.vector.domain.terms import derive

DENSE = "dense"
WORDS = "words"
TERMS = "terms"
NUMBERS = "numbers"

_NAMESPACE = uuid.UUID("5b0c7d0e-3f0e-5d0b-9d55-6c1d3c1f7a10")


def engine_id(id: str, place: str = "") -> str:
    """Qdrant's ids are UUIDs; the caller's own id stands in the payload."""
    return str(uuid.uuid5(_NAMESPACE, f"{place}\0{id}"))


def cursor(after: str) -> str | None:
    """Where a scroll goes on: the engine's id of the next point. Raises InvalidInput."""
    try:
        return str(uuid.UUID(after)) if after else None
    except ValueError:
        raise InvalidInput("this page token was not made here", field="pageToken") from None


def payload(point: Point, spec: IndexSpec) -> dict[str, Any]:
    """Metadata is kept as the text of its JSON, so it comes back as it came, whatever the engine does to numbers."""
    fields: dict[str, Any] = {"id": point.id}
    if point.metadata:
        derived = derive(point.metadata)
        fields |= {"metadata": orjson.dumps(point.metadata).decode(), TERMS: derived.terms}
        if derived.numbers:
            fields[NUMBERS] = derived.numbers
    if point.text:
        fields["text"] = point.text
    if spec.metric is Metric.COSINE:
        fields["norm"] = math.hypot(*point.values)  # the engine keeps unit vectors; this gives the caller's back
    return fields


def number_key(path: str) -> str:
    """Path of a field's numbers; names hold no quotation mark (`domain.filters`), so this cannot be left."""
    return f'{NUMBERS}."{path}"'


def metadata(fields: Mapping[str, Any]) -> dict[str, Any]:
    text = fields.get("metadata")
    return {} if text is None else orjson.loads(text)


def values(fields: Mapping[str, Any], stored: Sequence[float]) -> Vector:
    norm = fields.get("norm", 1.0)
    return array("f", stored) if norm == 1.0 else array("f", [value * norm for value in stored])


def to_point(fields: Mapping[str, Any], stored: Sequence[float]) -> Point:
    return Point(fields["id"], values(fields, stored), metadata(fields), fields.get("text", ""))


def to_match(fields: Mapping[str, Any], score: float, stored: Sequence[float] | None) -> Match:
    kept = None if stored is None else values(fields, stored)
    return Match(fields["id"], score, metadata(fields), fields.get("text", ""), kept)
