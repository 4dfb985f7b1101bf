"""The JSON of the REST calls."""

import tracemalloc
from typing import Any

import orjson
import pytest

from core.errors import InvalidInput
from services.vector import mapping_json
from services.vector.domain.filters import AnyOf
from services.vector.domain.points import FusionMethod, Match, Point, vector


def query(**members: Any) -> bytes:
    return orjson.dumps({"query": {"vector": [1, 0.5], **members}})


def test_points_are_read() -> None:
    body = b'{"vectors":[{"id":"a","values":[1,0.5],"metadata":{"n":1},"text":"t","x":0},{"id":"b","values":[]}]}'
    assert mapping_json.points(body) == [Point("a", vector([1, 0.5]), {"n": 1}, "t"), Point("b", vector([]))]


def test_a_query_has_defaults_and_two_spellings() -> None:
    plain = mapping_json.query(query())
    assert (plain.top_k, plain.filter, plain.include_values, plain.keywords) == (5, None, False, None)
    for members in ({"topK": 7, "includeValues": True}, {"top_k": 7, "include_values": True}):
        asked = mapping_json.query(query(**members))
        assert (asked.top_k, asked.include_values) == (7, True)
    for weight in ({"denseWeight": 0.2}, {"dense_weight": 0.2}):
        keywords = mapping_json.query(query(text="w", fusion="weighted", **weight)).keywords
        assert keywords is not None
        assert (keywords.text, keywords.method, keywords.dense_weight) == ("w", FusionMethod.WEIGHTED, 0.2)
    assert mapping_json.query(query(filter={"a": 1}, topK=None)).filter == AnyOf(("a",), (1.0,))


def test_nothing_asked_for_is_not_five() -> None:
    assert mapping_json.query(query(topK=0)).top_k == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b'{"vectors":[{"id":"a","values":[NaN]}]}', "body"),
        (b"{}", "vectors"),
        (b'{"vectors":{}}', "vectors"),
        (b'{"vectors":[{"values":[1]}]}', "vectors[0].id"),
        (b'{"vectors":[{"id":1,"values":[1]}]}', "vectors[0].id"),
        (b'{"vectors":[{"id":"a","values":"abc"}]}', "vectors[0].values"),
        (b'{"vectors":[{"id":"a","values":[1,null]}]}', "vectors[0].values[1]"),
        (b'{"vectors":[{"id":"a","values":[1,true]}]}', "vectors[0].values[1]"),
        (b'{"vectors":[{"id":"a","values":[1,1e999]}]}', "vectors[0].values[1]"),
        (b'{"vectors":[{"id":"a","values":[1]},{"id":"b","values":[1e300]}]}', "vectors[1].values"),
        (b'{"vectors":[{"id":"a","values":[1],"metadata":[]}]}', "vectors[0].metadata"),
        (b'{"vectors":[{"id":"a","values":[1],"metadata":{"x":"\xff"}}]}', "vectors[0].metadata"),
    ],
)
def test_bad_points_say_where(body: bytes, field: str | None) -> None:
    with pytest.raises(InvalidInput) as caught:
        mapping_json.points(body)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"vector":[1]}', "query"),
        (query(topK="many"), "query.topK"),
        (query(topK=1.5), "query.topK"),
        (query(filter=[]), "query.filter"),
        (query(filter={"a": {"$near": 1}}), "filter.a.$near"),
        (query(text="x", fusion="best"), "fusion"),
        (query(text="x", denseWeight=2), "denseWeight"),
    ],
)
def test_bad_queries_say_where(body: bytes, field: str | None) -> None:
    with pytest.raises(InvalidInput) as caught:
        mapping_json.query(body)
    assert caught.value.field == field


NUMBERS = b"[" + b"0," * 2_500_000 + b"0]"
"""As text 5 MiB, as Python's objects sixteen times as much."""


@pytest.mark.parametrize(
    ("read", "body", "field"),
    [
        (mapping_json.points, b'{"vectors":[{"id":"a","values":%s}]}', "vectors[0].values"),
        (mapping_json.points, b'{"vectors":[{"id":"a","values":[],"metadata":{"a":%s}}]}', "vectors[0].metadata"),
        (mapping_json.query, b'{"query":{"vector":%s}}', "query.vector"),
        (mapping_json.query, b'{"query":{"vector":[1],"filter":{"a":{"$in":[%s,%s]}}}}', "body"),
        (mapping_json.query, b'{"query":{"vector":[1],"filter":{"a":{"$in":%s}}}}', "query.filter"),
        (mapping_json.query, b'{"query":{"vector":[1],"x":[%s]}}'.replace(b"%s", b"{}," * 99_999 + b"{}"), "body"),
        (mapping_json.points, b'{"vectors":[%s]}'.replace(b"%s", b'{"id":"","values":0},' * 399_999 + b"{}"), "body"),
        (mapping_json.deletion, b'{"ids":%s}', "body"),
        (mapping_json.count_filter, b'{"filter":{"a":{"$in":[%s,%s]}}}', "body"),
        (mapping_json.deletion, b'{"ids":[%s,%s]}', "body"),
        (mapping_json.ids, b'{"ids":[%s,%s]}', "body"),
    ],
)
def test_what_is_far_too_long_is_refused_before_it_is_read(read: Any, body: bytes, field: str) -> None:
    """32 MiB of zeros became half a GiB of numbers, and every other call waited for them."""
    whole = body.replace(b"%s", NUMBERS)
    tracemalloc.start()
    with pytest.raises(InvalidInput) as caught:
        read(whole)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.field == field
    assert peak < 2 * 1024 * 1024


def test_ids_deletions_and_counts_are_read() -> None:
    assert mapping_json.ids(b'{"ids":["a"]}') == ["a"]
    assert mapping_json.deletion(b'{"ids":["a"]}') == (["a"], None)
    assert mapping_json.deletion(b'{"filter":{"a":1}}') == ([], AnyOf(("a",), (1.0,)))
    assert mapping_json.count_filter(b"") is None
    assert mapping_json.count_filter(b"{}") is None
    for body in (b'{"ids":"a"}', b'{"ids":[1]}'):
        with pytest.raises(InvalidInput):
            mapping_json.ids(body)


def test_answers_are_as_clients_read_them() -> None:
    assert orjson.loads(mapping_json.upserted(3)) == {"success": True, "upserted": 3}
    assert orjson.loads(mapping_json.deleted(2)) == {"success": True, "deleted": 2}
    assert orjson.loads(mapping_json.counted(9)) == {"count": 9}
    found = [Match("a", 0.5, {"n": 1}), Match("b", 0.25, {}, values=vector([1, 0.5]))]
    assert orjson.loads(mapping_json.matches(found)) == {
        "result": {
            "matches": [
                {"id": "a", "score": 0.5, "metadata": {"n": 1}},
                {"id": "b", "score": 0.25, "values": [1, 0.5], "metadata": {}},
            ]
        }
    }
    points = [Point("a", vector([1, 2]), {"n": 1}, "t"), Point("b", vector([3, 4]))]
    assert orjson.loads(mapping_json.fetched(points)) == {
        "vectors": [
            {"id": "a", "values": [1, 2], "metadata": {"n": 1}, "text": "t"},
            {"id": "b", "values": [3, 4], "metadata": {}},
        ]
    }
