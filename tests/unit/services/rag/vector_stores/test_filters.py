from typing import Any

import pytest

from core.errors import InvalidInput
from services.rag.domain.vector_stores.filters import translated


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"type": "eq", "key": "lang", "value": "en"}, {"lang": {"$eq": "en"}}),
        ({"type": "nin", "key": "year", "value": [1, 2.5]}, {"year": {"$nin": [1, 2.5]}}),
        (
            {
                "type": "or",
                "filters": [
                    {"type": "gte", "key": "year", "value": 2020},
                    {"type": "and", "filters": [{"type": "ne", "key": "draft", "value": True}]},
                ],
            },
            {"$or": [{"year": {"$gte": 2020}}, {"$and": [{"draft": {"$ne": True}}]}]},
        ),
    ],
)
def test_filters_are_translated(filters: dict[str, Any], expected: dict[str, Any]) -> None:
    assert translated(filters) == expected


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ("lang", "filters"),
        ({"type": "like", "key": "a", "value": "b"}, "filters.type"),
        ({"type": "eq", "value": "b"}, "filters.key"),
        ({"type": "eq", "key": "a.b", "value": "b"}, "filters.key"),
        ({"type": "eq", "key": "$where", "value": "b"}, "filters.key"),
        ({"type": "eq", "key": "a", "value": None}, "filters.value"),
        ({"type": "eq", "key": "a", "value": {"$ne": 1}}, "filters.value"),
        ({"type": "in", "key": "a", "value": "b"}, "filters.value"),
        ({"type": "and", "filters": []}, "filters.filters"),
        ({"type": "and", "filters": [{"type": "eq", "key": "a"}]}, "filters.filters[0].value"),
    ],
)
def test_what_is_no_filter_is_refused_where_it_stands(filters: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        translated(filters)
    assert caught.value.field == field


def test_filters_nest_no_deeper_than_the_vector_service_takes() -> None:
    filters: dict[str, Any] = {"type": "eq", "key": "a", "value": 1}
    for _ in range(5000):
        filters = {"type": "and", "filters": [filters]}
    with pytest.raises(InvalidInput, match="nest at most"):
        translated(filters)
