"""Scores and rankings of matches. Pure."""

import re
from collections.abc import Sequence

from services.rag.domain.retrieval.matches import Match
from services.rag.ports import VectorMatch

_RANK_OFFSET = 60
"""The constant of reciprocal rank fusion, as the vector service has it."""
_BEST_RRF = 2 / (_RANK_OFFSET + 1)
"""Score of what is first in both rankings of a hybrid query."""
_WORD = re.compile(r"\w+")

Ranked = Sequence[tuple[VectorMatch, float]]
"""Matches of a search with their scores, the best first."""


def comparable(score: float, *, rrf: bool = False, distance: bool = False) -> float:
    """Score of the vector service as a similarity, of which more is better: that of reciprocal ranks as a share of the
    best that there can be, and a distance as 1 / (1 + distance)."""
    if rrf:
        return min(1.0, score / _BEST_RRF)
    return 1.0 / (1.0 + max(score, 0.0)) if distance else score


def fused(rankings: Sequence[Ranked]) -> list[tuple[VectorMatch, float]]:
    """One ranking of several by reciprocal ranks, with shares of the best score that there can be; a single one stays
    as it is."""
    if len(rankings) == 1:
        return list(rankings[0])
    best = len(rankings) / (_RANK_OFFSET + 1)
    known = {match.id: match for ranking in reversed(rankings) for match, _ in ranking}
    scores = dict.fromkeys(known, 0.0)
    for ranking in rankings:
        for rank, (match, _) in enumerate(ranking, 1):
            scores[match.id] += 1 / (_RANK_OFFSET + rank)
    ranked = sorted(scores, key=lambda id: (-scores[id], id))
    return [(known[id], scores[id] / best) for id in ranked]


def diverse(matches: Sequence[Match], count: int, relevance: float) -> list[Match]:
    """Choose `count` matches by maximal marginal relevance: each time the one with the best `relevance` * score less
    (1 - `relevance`) * likeness to those that were chosen. Likeness is the share of words in common, so that it costs
    no vectors."""
    words = [frozenset(_WORD.findall(match.content.casefold())) for match in matches]
    likeness = [0.0] * len(matches)
    left = list(range(len(matches)))
    chosen: list[Match] = []
    while left and len(chosen) < count:
        best = max(left, key=lambda index: relevance * matches[index].score - (1 - relevance) * likeness[index])
        left.remove(best)
        chosen.append(matches[best])
        for index in left:
            likeness[index] = max(likeness[index], _likeness(words[index], words[best]))
    return chosen


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0
