"""The filter language: what it says, and what it refuses with the place of the mistake."""

from typing import Any

import pytest

from core.errors import InvalidInput
from services.vector.domain.filters import (
    MAX_CLAUSES,
    MAX_DEPTH,
    MAX_LARGE_BOUNDS,
    MAX_VALUES,
    OPERATORS,
    All,
    AnyOf,
    Compare,
    Comparison,
    Exists,
    Filter,
    Not,
    Some,
    parse,
)
from services.vector.domain.terms import NO_TERM, derive, exists_term, rounded_alike, value_term
from tests.support.exact_engine import matches

A = ("a",)


@pytest.mark.parametrize(
    ("raw", "meaning"),
    [
        (None, None),
        ({}, None),
        ({"a": 1}, AnyOf(A, (1.0,))),
        ({"a": "x"}, AnyOf(A, ("x",))),
        ({"a": None}, AnyOf(A, (None,))),
        ({"a": True}, AnyOf(A, (True,))),
        ({"a": {"$eq": 1}}, AnyOf(A, (1.0,))),
        ({"a": {"$ne": 1}}, Not(AnyOf(A, (1.0,)))),
        ({"a": {"$in": [1, "x", None]}}, AnyOf(A, (1.0, "x", None))),
        ({"a": {"$nin": []}}, Not(AnyOf(A, ()))),
        ({"a": {"$gt": 1}}, Compare(A, Comparison.GT, 1.0)),
        ({"a": {"$exists": True}}, Exists(A)),
        ({"a": {"$exists": False}}, Not(Exists(A))),
        ({"a.b": 1}, AnyOf(("a", "b"), (1.0,))),
        ({"a": 1, "b": 2}, All((AnyOf(A, (1.0,)), AnyOf(("b",), (2.0,))))),
        ({"a": {"$gte": 1, "$lt": 2}}, All((Compare(A, Comparison.GTE, 1.0), Compare(A, Comparison.LT, 2.0)))),
        ({"$and": [{"a": 1}, {}]}, All((AnyOf(A, (1.0,)), All(())))),
        ({"$or": [{"a": 1}]}, Some((AnyOf(A, (1.0,)),))),
        ({"$not": {"a": 1}}, Not(AnyOf(A, (1.0,)))),
        ({"a": {"$not": {"$lte": 1}}}, Not(Compare(A, Comparison.LTE, 1.0))),
    ],
)
def test_what_a_filter_says(raw: Any, meaning: Filter | None) -> None:
    assert parse(raw) == meaning


def nested(depth: int) -> Any:
    raw: Any = {"a": 1}
    for _ in range(depth - 1):
        raw = {"$not": raw}
    return raw


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ([], "filter"),
        ("a", "filter"),
        ({"$nope": 1}, "filter.$nope"),
        ({"$gt": 1}, "filter.$gt"),
        ({"a": {"$nope": 1}}, "filter.a.$nope"),
        ({"a": {"$regex": "x"}}, "filter.a.$regex"),
        ({"a": {"b": 1}}, "filter.a.b"),
        ({"a": {"$gt": 1, "b": 2}}, "filter.a.b"),
        ({"a": {}}, "filter.a"),
        ({"a": [1]}, "filter.a"),
        ({"a": {"$eq": {"b": 1}}}, "filter.a.$eq"),
        ({"a": {"$in": 1}}, "filter.a.$in"),
        ({"a": {"$in": "abc"}}, "filter.a.$in"),
        ({"a": {"$in": [1, [2]]}}, "filter.a.$in[1]"),
        ({"a": {"$in": list(range(MAX_VALUES + 1))}}, "filter.a.$in"),
        ({"a": {"$gt": "2024-01-01"}}, "filter.a.$gt"),
        ({"a": {"$gt": True}}, "filter.a.$gt"),
        ({"a": {"$gt": None}}, "filter.a.$gt"),
        ({"a": {"$gt": float("nan")}}, "filter.a.$gt"),
        ({"a": float("inf")}, "filter.a"),
        ({"a": 10**400}, "filter.a"),
        ({"a": 2**63}, "filter.a"),
        ({"a": {"$in": [1, -(2**63) - 1]}}, "filter.a.$in[1]"),
        ({f"f{n}": {"$gt": 2**60} for n in range(MAX_LARGE_BOUNDS + 1)}, f"filter.f{MAX_LARGE_BOUNDS}.$gt"),
        ({"a": "x\0"}, "filter.a"),
        ({"a": "\ud800"}, "filter.a"),
        ({"a": {"$exists": 1}}, "filter.a.$exists"),
        ({"a": {"$not": 1}}, "filter.a.$not"),
        ({"$and": []}, "filter.$and"),
        ({"$or": {"a": 1}}, "filter.$or"),
        ({"$or": [{"a": 1}, {"b": {"$nope": 1}}]}, "filter.$or[1].b.$nope"),
        ({"$not": []}, "filter.$not"),
        ({"": 1}, "filter."),
        ({"a..b": 1}, "filter.a..b"),
        ({"a.": 1}, "filter.a."),
        ({'a"': 1}, 'filter.a"'),
        ({"a\\": 1}, "filter.a\\"),
        ({"a\n": 1}, "filter.a\n"),
        ({"a.$b": 1}, "filter.a.$b"),
        ({"x" * 600: 1}, None),
        (nested(MAX_DEPTH + 1), None),
        ({"$or": [{"a": n} for n in range(MAX_CLAUSES)]}, None),
        ({f"f{n}": {"$gt": 1, "$lt": 2} for n in range(MAX_CLAUSES // 3 + 1)}, None),
    ],
)
def test_what_is_refused_and_where(raw: Any, field: str | None) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(raw)
    assert refused.value.field is not None
    if field is not None:
        assert refused.value.field == field
    assert refused.value.message


def test_as_deep_and_as_wide_as_is_allowed() -> None:
    assert parse(nested(MAX_DEPTH))
    assert parse({"$or": [{"a": n} for n in range(MAX_CLAUSES - 1)]})
    assert parse({"a": {"$in": list(range(MAX_VALUES))}})


def test_a_filter_of_endless_depth_is_refused_before_the_stack_is_spent() -> None:
    with pytest.raises(InvalidInput):
        parse(nested(100_000))


def test_every_operator_is_known() -> None:
    operands: dict[str, Any] = {"$in": [1], "$nin": [1], "$exists": True}
    logical = {"$and": [{"a": 1}], "$or": [{"a": 1}], "$not": {"a": 1}}
    for operator in OPERATORS:
        assert parse(
            {operator: logical[operator]} if operator in logical else {"a": {operator: operands.get(operator, 1)}}
        )


@pytest.mark.parametrize(
    ("metadata", "raw", "met"),
    [
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": True}, {"a": 1}, False),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": [1, 2]}, {"a": 2}, True),
        ({"a": [[1]]}, {"a": 1}, False),
        ({"a": {"b": 1}}, {"a.b": 1}, True),
        ({"a.b": 1}, {"a.b": 1}, False),
        ({"a": [{"b": 1}]}, {"a.b": 1}, False),
        ({}, {"a": None}, True),
        ({"a": None}, {"a": None}, True),
        ({"a": [None]}, {"a": None}, True),
        ({"a": []}, {"a": None}, False),
        ({}, {"a": {"$ne": 1}}, True),
        ({"a": [1, 2]}, {"a": {"$ne": 1}}, False),
        ({}, {"a": {"$ne": None}}, False),
        ({"a": [1, 9]}, {"a": {"$gt": 5, "$lt": 3}}, True),
        ({"a": "9"}, {"a": {"$gt": 5}}, False),
        ({"a": True}, {"a": {"$gt": 0}}, False),
        ({}, {"a": {"$lt": 5}}, False),
        ({}, {"a": {"$not": {"$lt": 5}}}, True),
        ({"a": None}, {"a": {"$exists": True}}, True),
        ({"a": []}, {"a": {"$exists": True}}, True),
        ({"a": {}}, {"a": {"$exists": True}}, True),
        ({"a": 1}, {"a": {"$in": []}}, False),
        ({"a": 1}, {"a": {"$nin": []}}, True),
        ({"a": -0.0}, {"a": 0}, True),
        ({"a": 2**53 + 1}, {"a": 2**53}, False),
        ({"a": 2**53}, {"a": float(2**53)}, True),
        ({"a": 2**53 + 1}, {"a": {"$lte": 2**53}}, False),
    ],
)
def test_the_meaning_as_documented(metadata: dict[str, Any], raw: dict[str, Any], met: bool) -> None:
    assert matches(parse(raw), metadata) is met


class TestTerms:
    def test_presence_and_values_each_once(self) -> None:
        derived = derive({"a": ["x", "x", None], "b": {"c": 1}})
        assert len(derived.terms) == len(set(derived.terms))
        assert set(derived.terms) == {
            exists_term(A), value_term(A, "x"), value_term(A, None),
            exists_term(("b",)), exists_term(("b", "c")), value_term(("b", "c"), 1.0),
        }  # fmt: skip

    def test_values_of_different_types_differ(self) -> None:
        values = (None, True, False, 0.0, 1.0, "1", "1.0", "true", "null", "", "x" * 5000, "x" * 5001)
        terms = {value_term(A, value) for value in values} | {exists_term(A), exists_term(("b",)), NO_TERM}
        assert len(terms) == len(values) + 3

    def test_terms_are_what_every_engine_can_keep(self) -> None:
        assert all(0 <= value_term(A, float(n)) < 2**63 for n in range(1000))

    def test_numbers_by_path(self) -> None:
        metadata = {"a": [1, "x", 2.5, True, None], "b": {"c": -3}, "d": "4", "e.f": 5, "$g": 6, "h": [[7]]}
        assert derive(metadata).numbers == {"a": [1.0, 2.5], "b.c": [-3.0]}

    @pytest.mark.parametrize("rounded", [2.0**53, -(2.0**53), 1.76414e18, 2.0**62, 2.0**63, -(2.0**63), 1e300])
    def test_numbers_that_round_alike_are_all_of_them(self, rounded: float) -> None:
        found = list(rounded_alike(rounded))
        assert all(float(each) == rounded for each in found)
        assert rounded in found
        assert len(set(found)) == len(found)
        whole = [each for each in found if isinstance(each, int)]
        for outside in (min(whole, default=0) - 1, max(whole, default=0) + 1):
            assert float(outside) != rounded or not -(2**63) <= outside < 2**63

    def test_terms_stay_the_same_over_releases(self) -> None:
        """They are on disk: another hash would lose every filter."""
        assert exists_term(("lang",)) == 4191506751159203579
        assert value_term(("lang",), "en") == 6476490438039680948
