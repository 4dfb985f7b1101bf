"""Between PointRestService's JSON and the domain's values, read once and straight into what engines take. Pure.

Members that clients spell in two ways are taken in both; unknown ones are ignored.
"""

from typing import Any

import msgspec
import orjson
from msgspec import Struct

from core import json_bodies
from services.vector import convert
from services.vector.domain import filters
from services.vector.domain.filters import Filter
from services.vector.domain.points import Match, Point, vector
from services.vector.ports import Query

Json = dict[str, Any]


class _Vector(Struct):
    id: str
    values: list[float]
    metadata: Json | None = None
    text: str | None = None


class _Upsert(Struct):
    vectors: list[_Vector]


class _Query(Struct):
    vector: list[float]
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


def points(body: bytes) -> list[Point]:
    """Raises InvalidInput, as all of these."""
    return [
        Point(each.id, vector(each.values, f"vectors[{at}].values"), each.metadata or {}, each.text or "")
        for at, each in enumerate(json_bodies.read(_UPSERT, body).vectors)
    ]


def query(body: bytes) -> Query:
    asked = json_bodies.read(_QUERY, body).query
    weight = asked.dense_weight if asked.denseWeight is None else asked.denseWeight
    return Query(
        vector=vector(asked.vector, "query.vector"),
        top_k=next((each for each in (asked.topK, asked.top_k) if each is not None), convert.DEFAULT_TOP_K),
        filter=filters.parse(asked.filter),
        include_values=bool(asked.includeValues or asked.include_values),
        words=convert.words(asked.text or "", asked.fusion or "", weight),
    )


def ids(body: bytes) -> list[str]:
    return json_bodies.read(_IDS, body).ids


def deletion(body: bytes) -> tuple[list[str], Filter | None]:
    asked = json_bodies.read(_DELETION, body)
    return asked.ids or [], filters.parse(asked.filter)


def count_filter(body: bytes) -> Filter | None:
    return filters.parse(json_bodies.read(_COUNT, body or b"{}").filter)


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


def _point(value: Point) -> Json:
    text = {"text": value.text} if value.text else {}
    return {"id": value.id, "values": value.values.tolist(), "metadata": value.metadata, **text}


def _match(value: Match) -> Json:
    values = {} if value.values is None else {"values": value.values.tolist()}
    return {"id": value.id, "score": value.score, **values, "metadata": value.metadata}
