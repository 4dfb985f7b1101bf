import pytest

from services.rag.domain.retrieval.citations import cited
from services.rag.domain.retrieval.matches import Match
from services.rag.domain.retrieval.scores import comparable, diverse, fused
from services.rag.ports import VectorMatch


def match(id: str, score: float = 0.5, content: str = "") -> Match:
    return Match(id, score, score, "d", "f.txt", 0, content or id, 0, 1)


def hit(id: str, score: float = 0.5) -> tuple[VectorMatch, float]:
    return VectorMatch(id, score, {}), score


def test_what_is_first_in_both_rankings_of_a_hybrid_query_scores_one() -> None:
    """Raw scores of reciprocal rank fusion are at most 0.033, below any sensible least score."""
    assert comparable(2 / 61, rrf=True) == pytest.approx(1)
    assert comparable(1 / 61, rrf=True) == pytest.approx(0.5)
    assert comparable(0.73, rrf=False) == 0.73


def test_the_nearest_of_a_euclidean_index_scores_best() -> None:
    """Its distances were taken for similarities: a least score kept the farthest alone."""
    assert comparable(0.0, distance=True) == 1
    assert comparable(3.0, distance=True) == 0.25


def test_one_ranking_stays_as_it_is() -> None:
    ranking = [hit("a", 0.9), hit("b", 0.1)]
    assert fused([ranking]) == ranking


def test_several_rankings_are_joined_by_their_ranks() -> None:
    a, b, c = hit("a"), hit("b"), hit("c")
    joined = fused([[a, b], [b, c], [b, a]])
    assert [found.id for found, _ in joined] == ["b", "a", "c"]
    assert joined[0][1] == pytest.approx((1 / 62 + 1 / 61 + 1 / 61) / (3 / 61))


def test_diversity_leaves_out_what_says_the_same() -> None:
    same, again, other = (
        match("a", 0.9, "the fee is ten euros"),
        match("b", 0.89, "the fee is ten euros!"),
        match("c", 0.6, "opening hours on monday"),
    )
    assert [each.id for each in diverse([same, again, other], 2, 0.5)] == ["a", "c"]
    assert [each.id for each in diverse([same, again, other], 2, 1.0)] == ["a", "b"]
    assert diverse([], 2, 0.5) == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It is ten euros [2]. Monday [1][2].", [2, 1]),
        ("Both [1, 2] and [3;1].", [1, 2, 3]),
        ("None [9], [0], [x], (1), array[1000000].", []),
        ("", []),
    ],
)
def test_citations_are_the_matches_that_the_text_names(text: str, numbers: list[int]) -> None:
    matches = [match("a"), match("b"), match("c")]
    assert [(number, found.id) for number, found in cited(text, matches)] == [
        (number, matches[number - 1].id) for number in numbers
    ]
