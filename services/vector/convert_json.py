"""Between PointRestService's JSON and the domain's values, read once and straight into what engines take. Pure.

Members that clients spell in two ways are taken in both; unknown ones are ignored.

Lists of numbers are found first and read afterwards, one by one: as Python objects a body takes up to sixteen times its
size, and the interpreter does nothing else while one call of msgspec reads it.
"""

from typing import Any, TypeVar

import msgspec
import orjson
from msgspec import Raw, Struct

from core import json_bodies
from core.errors import InvalidInput, PayloadTooLarge
from services.vector import convert
from services.vector.domain import filters
from services.vector.domain.filters import Filter
from services.vector.domain.points import MAX_DIMENSION, MAX_METADATA_BYTES, Match, Point, Vector, check_count, vector
from services.vector.ports import Query

_MIB = 1024 * 1024
_MAX_BODY = 8 * _MIB
"""Of all but upserts."""
_MAX_NUMBERS = MAX_DIMENSION * 64
_MAX_METADATA = MAX_METADATA_BYTES * 8
"""Bytes, with all the white space and escapes that a client may put in."""

T = TypeVar("T")
Json = dict[str, Any]


class _Vector(Struct):
    id: str
    values: Raw
    metadata: Raw = Raw(b"null")
    text: str | None = None


class _Upsert(Struct):
    vectors: list[_Vector]


class _Query(Struct):
    vector: Raw
    topK: int | None = None  # noqa: N815  # as it is spelled
    top_k: int | None = None
    filter: Json | None = None
    includeValues: bool | None = None  # noqa: N815
    include_values: bool | None = None
    text: str | None = None
    fusion: str | None = None
    denseWeight: float | None = None  # noqa: N815
    dense_weight: float | None = None


class _Queried(Struct):
    query: _Query


class _Ids(Struct):
    ids: list[str]


class _Deletion(Struct):
    ids: list[str] | None = None
    filter: Json | None = None


class _Count(Struct):
    filter: Json | None = None


_UPSERT = msgspec.json.Decoder(_Upsert)
_QUERY = msgspec.json.Decoder(_Queried)
_IDS = msgspec.json.Decoder(_Ids)
_DELETION = msgspec.json.Decoder(_Deletion)
_COUNT = msgspec.json.Decoder(_Count)
_NUMBERS = msgspec.json.Decoder(list[float])
_METADATA = msgspec.json.Decoder(Json | None)


def points(body: bytes) -> list[Point]:
    """Raises InvalidInput, as all of these."""
    vectors = json_bodies.read(_UPSERT, body).vectors
    check_count(vectors)
    return [_point_of(each, f"vectors[{at}]") for at, each in enumerate(vectors)]


def query(body: bytes) -> Query:
    asked = _read(_QUERY, body).query
    weight = asked.dense_weight if asked.denseWeight is None else asked.denseWeight
    return Query(
        vector=_numbers(asked.vector, "query.vector"),
        top_k=next((each for each in (asked.topK, asked.top_k) if each is not None), convert.DEFAULT_TOP_K),
        filter=filters.parse(asked.filter),
        include_values=bool(asked.includeValues or asked.include_values),
        words=convert.words(asked.text or "", asked.fusion or "", weight),
    )


def ids(body: bytes) -> list[str]:
    return _read(_IDS, body).ids


def deletion(body: bytes) -> tuple[list[str], Filter | None]:
    asked = _read(_DELETION, body)
    return asked.ids or [], filters.parse(asked.filter)


def count_filter(body: bytes) -> Filter | None:
    return filters.parse(_read(_COUNT, body or b"{}").filter)


def upserted(count: int) -> bytes:
    return orjson.dumps({"success": True, "upserted": count})


def matches(found: list[Match]) -> bytes:
    return orjson.dumps({"result": {"matches": [_match(each) for each in found]}})


def fetched(found: list[Point]) -> bytes:
    return orjson.dumps({"vectors": [_point(each) for each in found]})


def deleted(count: int) -> bytes:
    return orjson.dumps({"success": True, "deleted": count})


def counted(count: int) -> bytes:
    return orjson.dumps({"count": count})


def _read(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    if len(body) > _MAX_BODY:
        raise PayloadTooLarge(f"The body of this call is at most {_MAX_BODY // _MIB} MiB.", field="body")
    return json_bodies.read(decoder, body)


def _point_of(given: _Vector, field: str) -> Point:
    values = _numbers(given.values, f"{field}.values")
    noted = f"{field}.metadata"
    if len(given.metadata) > _MAX_METADATA:
        raise InvalidInput(f"{noted} is at most {MAX_METADATA_BYTES} bytes of JSON", field=noted)
    return Point(given.id, values, json_bodies.read(_METADATA, given.metadata, noted) or {}, given.text or "")


def _numbers(given: Raw, field: str) -> Vector:
    if len(given) > _MAX_NUMBERS:
        raise InvalidInput(f"{field} has more text than {MAX_DIMENSION} numbers need", field=field)
    numbers = json_bodies.read(_NUMBERS, given, field)
    return vector(numbers, field)


def _point(value: Point) -> Json:
    text = {"text": value.text} if value.text else {}
    return {"id": value.id, "values": value.values.tolist(), "metadata": value.metadata, **text}


def _match(value: Match) -> Json:
    values = {} if value.values is None else {"values": value.values.tolist()}
    return {"id": value.id, "score": value.score, **values, "metadata": value.metadata}
