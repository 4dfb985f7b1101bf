"""Vectors like those of texts, and what exact search finds among them.

Unit vectors in clusters of unequal size, whose spread within a cluster falls off from direction to direction, as that
of embeddings does: they fill some tens of dimensions, not all. (Uniform noise would have no near neighbours to find, so
that no HNSW index could help; real collections are not like that.) The same seed makes the same vectors everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SEED = 20_251
NEAREST = 10
_CLUSTERS = 200
_SPREAD = 0.6
"""Length of the noise within a cluster, where the centre has length 1."""

_LANGUAGES = ("en", "de", "fr", "es")
_OWNERS = 100

FILTERS: Mapping[str, Mapping[str, Any] | None] = {
    "none": None,
    "1 in 4": {"lang": "de"},
    "1 in 100": {"owner": "owner-7"},
}


@dataclass(frozen=True, slots=True)
class Collection:
    """`queries` are drawn like the points and are none of them."""

    points: Floats
    queries: Floats

    def nearest(self, name: str) -> list[frozenset[str]]:
        """For each query the ids of the ten nearest points that meet the filter of that name, by comparing all."""
        meets = FILTERS[name] or {}
        among = np.array([at for at in range(len(self.points)) if meets.items() <= metadata(at).items()])
        chosen = self.points[among]
        found = []
        for start in range(0, len(self.queries), 100):
            scores = self.queries[start : start + 100] @ chosen.T
            best = np.argpartition(-scores, NEAREST - 1, axis=1)[:, :NEAREST]
            found += [frozenset(str(at) for at in among[row]) for row in best]
        return found


def collection(points: int, queries: int, dimension: int) -> Collection:
    random = np.random.default_rng(SEED)
    shares = 1 / np.arange(1, _CLUSTERS + 1) ** 0.7
    spread = np.arange(1, dimension + 1) ** -0.5
    turn, _ = np.linalg.qr(random.normal(size=(dimension, dimension)))
    centres = _unit(random.normal(size=(_CLUSTERS, dimension)) * spread)
    of = random.choice(_CLUSTERS, points + queries, p=shares / shares.sum())
    noise = random.normal(size=(points + queries, dimension)) * (_SPREAD * spread / np.linalg.norm(spread))
    vectors = _unit((centres[of] + noise) @ turn).astype(np.float32)
    return Collection(vectors[:points], vectors[points:])


def metadata(at: int) -> dict[str, Any]:
    """One field of few values, one of many, a number and a title. Point `at` has the id str(at)."""
    mixed = at * 2_654_435_761 % 2**32  # so that neighbours in number do not share fields
    lang, owner = _LANGUAGES[mixed % len(_LANGUAGES)], f"owner-{mixed // 16 % _OWNERS}"
    return {"lang": lang, "owner": owner, "year": 1950 + mixed // 2048 % 75, "document": f"document-{at}"}


def recall(found: Sequence[Sequence[str]], exact: Sequence[frozenset[str]]) -> float:
    """The share of the nearest that were found."""
    return sum(len(wanted.intersection(ids)) for ids, wanted in zip(found, exact, strict=True)) / sum(map(len, exact))


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
