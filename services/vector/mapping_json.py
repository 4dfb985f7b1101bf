"""Conversion between PointRestService's JSON and the domain's values, read once and straight into what engines take.
Pure.

Members that clients spell in two ways are taken in both; unknown ones are ignored.

Lists of numbers are found first and read afterwards, one by one: as Python objects a body takes up to sixteen times its
size, and the interpreter does nothing else while one call of msgspec reads it. So are filters and metadata. What holds
too many values for its size is refused before it is read.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
import orjson
from msgspec import Raw, Struct

from core import free_json, json_bodies, json_shape
from core.errors import InvalidInput, PayloadTooLarge
from core.fields import too_long
from core.json_shape import Bounds
from core.limits import MAX_ANSWER_BYTES
from services.vector import mapping
from services.vector.domain import filters
from services.vector.domain.filters import MAX_FILTER_BYTES, Filter
from services.vector.domain.points import (
    MAX_DIMENSION,
    MAX_METADATA_BYTES,
    MAX_POINTS,
    Match,
    Point,
    Vector,
    answer_too_large,
    check_count,
    vector,
)
from services.vector.ports import Query

_MIB = 1024 * 1024
MAX_BODY_BYTES = 8 * _MIB
"""Most bytes of all bodies but upserts."""
LARGE_BODY_BYTES = 256 * 1024
"""Least size of a body, other than an upsert's, that is read in the worker thread, and only if it is within bounds: to
read a smaller one takes a few milliseconds at worst."""
_ID_BOUNDS = Bounds(nodes=10_000, entries=100_000)
_QUERY_BOUNDS = Bounds(nodes=10_000, entries=MAX_BODY_BYTES)
_UPSERT_BOUNDS = Bounds(nodes=1_000_000, entries=32 * _MIB)
"""A hundred members of each of the most points. Numbers are counted one vector after the other."""
_MAX_NUMBERS = MAX_DIMENSION * 64
_MOST_TEXT = MAX_DIMENSION * 2
"""Bytes that cannot hold more numbers than that."""
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
    topK: int | None = None
    top_k: int | None = None
    filter: Raw = Raw(b"null")
    includeValues: bool | None = None
    include_values: bool | None = None
    text: str | None = None
    fusion: str | None = None
    denseWeight: float | None = None
    dense_weight: float | None = None


class _Queried(Struct):
    query: _Query


class _Ids(Struct):
    ids: list[str]


class _Deletion(Struct):
    ids: list[str] | None = None
    filter: Raw = Raw(b"null")


class _Count(Struct):
    filter: Raw = Raw(b"null")


_UPSERT = msgspec.json.Decoder(_Upsert)
_QUERY = msgspec.json.Decoder(_Queried)
_IDS = msgspec.json.Decoder(_Ids)
_DELETION = msgspec.json.Decoder(_Deletion)
_COUNT = msgspec.json.Decoder(_Count)
_NUMBERS = msgspec.json.Decoder(list[float])
_OBJECT = msgspec.json.Decoder(Json | None)


def points(body: bytes) -> list[Point]:
    """Raises InvalidInput, as all of these."""
    if body.count(b"{") > 2 * MAX_POINTS:  # as many as the most points and their metadata begin with
        json_shape.check(body, _UPSERT_BOUNDS)
    vectors = json_bodies.read(_UPSERT, body).vectors
    check_count(vectors)
    return [_point_of(each, f"vectors[{at}]") for at, each in enumerate(vectors)]


def query(body: bytes) -> Query:
    asked = _read(_QUERY, body, _QUERY_BOUNDS).query
    weight = asked.dense_weight if asked.denseWeight is None else asked.denseWeight
    return Query(
        vector=_numbers(asked.vector, "query.vector"),
        top_k=next((each for each in (asked.topK, asked.top_k) if each is not None), mapping.DEFAULT_TOP_K),
        filter=_filter(asked.filter, "query.filter"),
        include_values=bool(asked.includeValues or asked.include_values),
        keywords=mapping.keywords(asked.text or "", asked.fusion or "", weight),
    )


def ids(body: bytes) -> list[str]:
    return _read(_IDS, body).ids


def deletion(body: bytes) -> tuple[list[str], Filter | None]:
    asked = _read(_DELETION, body)
    return asked.ids or [], _filter(asked.filter, "filter")


def count_filter(body: bytes) -> Filter | None:
    return _filter(_read(_COUNT, body or b"{}").filter, "filter")


def upserted(count: int) -> bytes:
    return orjson.dumps({"success": True, "upserted": count})


def matches(found: list[Match]) -> bytes:
    """Raises InvalidInput for too large an answer, as `fetched`."""
    return b'{"result":{"matches":%b}}' % _list(map(_match, found), "topK")


def fetched(found: list[Point]) -> bytes:
    return b'{"vectors":%b}' % _list(map(_point, found), "ids")


def deleted(count: int) -> bytes:
    return orjson.dumps({"success": True, "deleted": count})


def counted(count: int) -> bytes:
    return orjson.dumps({"count": count})


def _read(decoder: "msgspec.json.Decoder[T]", body: bytes, bounds: Bounds = _ID_BOUNDS) -> T:
    if len(body) > MAX_BODY_BYTES:
        raise PayloadTooLarge(f"The body of this call is at most {MAX_BODY_BYTES // _MIB} MiB.", field="body")
    if len(body) > LARGE_BODY_BYTES:
        json_shape.check(body, bounds)
    return json_bodies.read(decoder, body)


def _point_of(given: _Vector, field: str) -> Point:
    values = _numbers(given.values, f"{field}.values")
    path = f"{field}.metadata"
    if len(given.metadata) > _MAX_METADATA:
        raise InvalidInput(f"{path} is at most {MAX_METADATA_BYTES} bytes of JSON", field=path)
    return Point(given.id, values, free_json.read(path, given.metadata), given.text or "")


def _filter(given: Raw, field: str) -> Filter | None:
    if len(given) > MAX_FILTER_BYTES:
        raise too_long(field, MAX_FILTER_BYTES)
    return filters.parse(json_bodies.read(_OBJECT, given, field))


def _list(items: Iterable[Json], field: str) -> bytes:
    """One item after the other, so that a thread that does it gives way to others."""
    texts, size = [], 0
    for item in items:
        texts.append(orjson.dumps(item))
        size += len(texts[-1])
        if size > MAX_ANSWER_BYTES:
            raise answer_too_large(field, MAX_ANSWER_BYTES, "of JSON")
    return b"[" + b",".join(texts) + b"]"


def _numbers(given: Raw, field: str) -> Vector:
    if len(given) > _MAX_NUMBERS or (len(given) > _MOST_TEXT and bytes(given).count(b",") >= MAX_DIMENSION):
        raise InvalidInput(f"{field} has more text than {MAX_DIMENSION} numbers need", field=field)
    numbers = json_bodies.read(_NUMBERS, given, field)
    return vector(numbers, field)


def _point(value: Point) -> Json:
    text = {"text": value.text} if value.text else {}
    return {"id": value.id, "values": value.values.tolist(), "metadata": value.metadata, **text}


def _match(value: Match) -> Json:
    values = {} if value.values is None else {"values": value.values.tolist()}
    return {"id": value.id, "score": value.score, **values, "metadata": value.metadata}
