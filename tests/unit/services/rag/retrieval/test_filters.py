import pytest

from core.errors import InvalidInput
from services.rag.domain.retrieval.filters import check_fields, joined


def test_filters_of_different_fields_are_one() -> None:
    assert joined({"lang": "en"}, None, {}, {"_ragModule": "m"}) == {"lang": "en", "_ragModule": "m"}


def test_no_filter_overrides_another() -> None:
    """A request that names the module's field itself would otherwise read another module's documents."""
    asked, own = {"_ragModule": "other"}, {"_ragModule": "m"}
    assert joined(asked, own) == {"$and": [asked, own]}
    assert joined({"$and": [{"a": 1}]}, {"$and": [{"b": 1}]}) == {"$and": [{"$and": [{"a": 1}]}, {"$and": [{"b": 1}]}]}


@pytest.mark.parametrize(
    ("filter", "place"),
    [
        ({"secret": 1}, "filter.secret"),
        ({"$or": [{"lang": "en"}, {"secret": {"$gt": 1}}]}, "filter.$or[1].secret"),
        ({"$not": {"$and": [{"secret": 1}]}}, "filter.$not.$and[0].secret"),
        ({"language": 1}, "filter.language"),
    ],
)
def test_a_field_that_is_not_filterable_is_refused_where_it_stands(filter: dict[str, object], place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_fields(filter, ["lang"])
    assert caught.value.field == place
    assert caught.value.reason == "FIELD_NOT_FILTERABLE"


@pytest.mark.parametrize(
    "filter",
    [{"lang": "en"}, {"lang.code": "en"}, {"_documentId": "d"}, {"$and": [{"lang": {"$in": ["a"]}}]}, {"$x": 1}],
)
def test_fields_that_are_filterable_pass(filter: dict[str, object]) -> None:
    check_fields(filter, ["lang"])


def test_without_a_list_every_field_is_filterable() -> None:
    check_fields({"anything": 1}, [])


def test_a_filter_of_any_depth_is_looked_at_without_recursion_errors() -> None:
    deep: dict[str, object] = {"lang": 1}
    for _ in range(5000):
        deep = {"$not": deep}
    check_fields(deep, ["lang"])
