"""Ranking, eviction order and packing of memories."""

import math
from typing import Any

import pytest

from services.rag.domain.memory import packing, ranking
from services.rag.domain.memory.packing import estimated_tokens, pack
from services.rag.domain.memory.records import Memory, Ranking

NOW = 1_800_000_000.0
HOUR = 3600.0


def memory(**fields: Any) -> Memory:
    given = {"id": "m", "store_id": "s", "content": "c", "content_hash": "h", "scope": "global", "scope_id": ""}
    times = {"vector_id": "v", "created_at": NOW, "updated_at": NOW, "retention": 0.0}
    return Memory(**{**given, **times, **fields})


def test_the_score_is_the_weighted_mean_of_its_terms() -> None:
    found = memory(importance=0.4, access_count=5, created_at=NOW - 168 * HOUR)
    weights = Ranking(similarity=2.0 / 4, recency=1.0 / 4, importance=1.0 / 4, access=0.0)
    assert ranking.score(found, 0.8, weights, NOW) == pytest.approx((2 * 0.8 + 0.5 + 0.4) / 4)
    assert ranking.score(found, 0.8, Ranking(1.0, 0.0, 0.0, 1.0), NOW) == pytest.approx((0.8 + 0.5) / 2)
    assert ranking.score(memory(importance=1.0), 1.0, Ranking(1, 1, 1, 0), NOW) == 1.0


def test_recency_counts_from_the_last_use_and_halves() -> None:
    weights = Ranking(half_life_hours=10.0)
    assert ranking.recency(memory(created_at=NOW - 20 * HOUR), weights, NOW) == pytest.approx(0.25)
    used = memory(created_at=NOW - 20 * HOUR, last_accessed_at=NOW - 10 * HOUR)
    assert ranking.recency(used, weights, NOW) == pytest.approx(0.5)
    assert ranking.recency(memory(created_at=NOW + HOUR), weights, NOW) == 1.0


@pytest.mark.parametrize(
    ("metric", "score", "highest", "similarity"),
    [
        ("cosine", 0.7, 0.9, 0.7),
        ("cosine", -0.2, 0.9, 0.0),
        ("euclidean", 0.0, 5.0, 1.0),
        ("euclidean", 1.0, 5.0, 0.5),
        ("dotproduct", 0.7, 0.9, 0.7),
        ("dotproduct", 30.0, 60.0, 0.5),
    ],
)
def test_every_metric_becomes_a_similarity(metric: str, score: float, highest: float, similarity: float) -> None:
    assert ranking.similarity(metric, score, highest) == pytest.approx(similarity)


def test_retention_orders_by_strength_at_any_time() -> None:
    """An order that would change as time goes by could not be kept in an index."""
    half_life = 24.0

    def strength(importance: float, uses: int, used_at: float, now: float) -> float:
        return float(importance * (1 + math.log1p(uses)) * 0.5 ** ((now - used_at) / HOUR / half_life))

    some = [(0.1, 0, NOW), (0.9, 0, NOW - 60 * HOUR), (0.5, 40, NOW - 30 * HOUR), (1.0, 1, NOW - 200 * HOUR)]
    by_retention = sorted(some, key=lambda each: ranking.retention(each[0], each[1], each[2], half_life))
    for later in (NOW, NOW + 1000 * HOUR):
        assert by_retention == sorted(some, key=lambda each: strength(each[0], each[1], each[2], later))


def test_packing_keeps_the_budget_and_the_order_and_skips_what_does_not_fit() -> None:
    texts = ["a" * 20, "b" * 400, "c\n  c", "d" * 20]
    context, packed = pack(texts, str, 20, estimated_tokens)
    assert packed == ["a" * 20, "c\n  c", "d" * 20]
    assert context == f"- {'a' * 20}\n- c c\n- {'d' * 20}"
    assert estimated_tokens(context) <= 20
    assert pack(texts, str, 1, estimated_tokens) == ("", [])


def test_packing_counts_with_the_given_counter() -> None:
    def words(text: str) -> int:
        return len(text.split())

    assert packing.pack(["one two", "three"], str, 3, words)[1] == ["one two"]
