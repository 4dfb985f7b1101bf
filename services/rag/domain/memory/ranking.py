"""Score of matches, and order of eviction. Pure.

A match's score is the weighted mean of its similarity to the query and of its recency, importance and use, each 0 to 1:
the retrieval function of "Generative Agents: Interactive Simulacra of Human Behavior" (Park et al., 2023, section 4.1),
which adds relevance, recency (an exponential decay since the last retrieval) and importance, with use as a fourth term.
The terms are absolute, not stretched to the range of the matches, so that a score means the same in every search.
"""

import math

from services.rag.domain.memory.records import Memory, Ranking

_HALF_USED = 5.0
"""Number of retrievals at which the term of use is one half."""
_LEAST_STRENGTH = 0.01


def similarity(metric: str, score: float, highest: float) -> float:
    """Similarity, 0 to 1, of a vector index's score. `highest` is the highest score of the same query, by which dot
    products of vectors longer than 1 are scaled."""
    if metric == "euclidean":
        return 1.0 / (1.0 + max(score, 0.0))
    if metric == "dotproduct" and highest > 1.0:
        score /= highest
    return min(max(score, 0.0), 1.0)


def recency(memory: Memory, ranking: Ranking, now: float) -> float:
    """1 for a memory that was used or made now, half of it after each half-life."""
    hours = max(0.0, now - used_at(memory)) / 3600.0
    return float(0.5 ** (hours / ranking.half_life_hours))


def score(memory: Memory, similarity: float, ranking: Ranking, now: float) -> float:
    """Score of a match, 0 to 1."""
    use = memory.access_count / (memory.access_count + _HALF_USED)
    weighted = (
        ranking.similarity * similarity
        + ranking.recency * recency(memory, ranking, now)
        + ranking.importance * memory.importance
        + ranking.access * use
    )
    return weighted / (ranking.similarity + ranking.recency + ranking.importance + ranking.access)


def used_at(memory: Memory) -> float:
    """Unix seconds at which it was last found or, if it never was, made."""
    return max(memory.created_at, memory.last_accessed_at or 0.0)


def retention(importance: float, access_count: int, used_at: float, half_life_hours: float) -> float:
    """Order of eviction, lowest first, as Unix seconds.

    A memory's strength is its importance times 1 + ln(1 + its number of retrievals), and halves with every half-life
    since it was last used. Memories in the order of log2(strength) * half-life + time of use are in the order of their
    strength at any later time, so the order can be stored and needs no update as time goes by.
    """
    strength = max(importance, _LEAST_STRENGTH) * (1.0 + math.log1p(access_count))
    return used_at + math.log2(strength) * half_life_hours * 3600.0
