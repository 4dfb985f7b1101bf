import pytest

from core.errors import InvalidInput
from services.rag.domain.retrieval import requests


def test_the_sdks_query_is_read() -> None:
    request = requests.query(b'{"query": "fee", "topK": 3, "filter": {"lang": "en"}, "minScore": 0.2}')
    assert (request.query, request.asked_top_k, request.asked_min_score) == ("fee", 3, 0.2)
    assert request.asked_filter() == {"lang": "en"}


def test_other_spellings_are_read() -> None:
    request = requests.query(b'{"query": "fee", "top_k": 3, "min_score": 0.2, "hybrid": true, "filter": null}')
    assert (request.asked_top_k, request.asked_min_score, request.asked_filter()) == (3, 0.2, {})
    assert request.asked_hybrid == requests.Hybrid()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b"{}", "query"),
        (b'{"query": 1}', "query"),
        (b'{"query": " "}', "query"),
        (b'{"query": "%b"}' % (b"x" * 8001), "query"),
        (b'{"query": "x", "topK": 0}', "topK"),
        (b'{"query": "x", "top_k": 101}', "topK"),
        (b'{"query": "x", "topK": 1.5}', "topK"),
        (b'{"query": "x", "oversample": 21}', "oversample"),
        (b'{"query": "x", "hybrid": {"mode": "best"}}', "hybrid.mode"),
        (b'{"query": "x", "hybrid": {"alpha": 2}}', "hybrid.alpha"),
        (b'{"query": "x", "mmr": {"lambda": -1}}', "mmr.lambda"),
        (b'{"query": "x", "multiQuery": {"modelKey": "m", "count": 9}}', "multiQuery.count"),
        (b'{"query": "x", "responseDetail": "all"}', "responseDetail"),
    ],
)
def test_a_query_that_is_out_of_its_limits_names_the_field(body: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        requests.query(body)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("more", "field"),
    [
        (b"", "model"),
        (b', "model": ""', "model"),
        (b', "model": "m", "mode": "best"', "mode"),
        (b', "model": "m", "topK": 51', "topK"),
        (b', "model": "m", "maxContextTokens": 10', "maxContextTokens"),
        (b', "model": "m", "temperature": 3', "temperature"),
        (b', "model": "m", "maxTokens": 0', "maxTokens"),
    ],
)
def test_a_question_that_is_out_of_its_limits_names_the_field(more: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        requests.answer(b'{"query": "x"%b}' % more)
    assert caught.value.field == field


def test_a_filter_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        requests.query(b'{"query": "x", "filter": [1]}').asked_filter()
    assert caught.value.field == "filter"
