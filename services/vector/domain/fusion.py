"""Joins the dense ranking and the keyword ranking into one, the same for every engine."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.vector.domain.points import FusionMethod, KeywordQuery, Match

_RANK_OFFSET = 60
"""The constant of reciprocal rank fusion: how little the very first ranks count above the next."""

Ranking = Sequence[tuple[str, float]]
"""Ids with scores, the best first."""


def candidates(top_k: int) -> int:
    """Length of both rankings, enough to see what is good in both but top in neither."""
    return max(4 * top_k, 100)


def fuse(dense: Ranking, sparse: Ranking, keywords: KeywordQuery) -> list[tuple[str, float]]:
    """Ids with fused scores, the best first. RRF: the sum of 1 / (60 + rank). WEIGHTED: each ranking's scores are
    stretched to 0..1, then weighed; an id that one ranking lacks has 0 there. Equal scores are ordered by id."""
    if keywords.method is FusionMethod.RRF:
        parts = ((1.0, _reciprocal(dense)), (1.0, _reciprocal(sparse)))
    else:
        parts = (
            (keywords.dense_weight, _stretched(dense)),
            (1 - keywords.dense_weight, _stretched(sparse)),
        )
    scores: dict[str, float] = {}
    for weight, ranking in parts:
        for id, score in ranking.items():
            scores[id] = scores.get(id, 0.0) + weight * score
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def fuse_matches(dense: Sequence[Match], sparse: Sequence[Match], keywords: KeywordQuery) -> list[Match]:
    """The matches of both with their fused scores, the best first."""
    known = {match.id: match for match in (*sparse, *dense)}
    ranked = fuse([(match.id, match.score) for match in dense], [(match.id, match.score) for match in sparse], keywords)
    return [replace(known[id], score=score) for id, score in ranked]


def _reciprocal(ranking: Ranking) -> Mapping[str, float]:
    return {id: 1 / (_RANK_OFFSET + rank) for rank, (id, _) in enumerate(ranking, 1)}


def _stretched(ranking: Ranking) -> Mapping[str, float]:
    """1 for the best, 0 for the last, whichever way the scores run."""
    if not ranking:
        return {}
    best, worst = ranking[0][1], ranking[-1][1]
    if best == worst:
        return {id: 1.0 for id, _ in ranking}
    return {id: (score - worst) / (best - worst) for id, score in ranking}
