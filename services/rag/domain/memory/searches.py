"""Search of memories by meaning, and recall as a text for a chat."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import fields
from core.storage.ports import Cond, Op
from core.storage.table import Table
from core.tenancy import Project
from services.rag.domain.memory import checks, packing, ranking
from services.rag.domain.memory.checks import Filter
from services.rag.domain.memory.records import ACTIVE, Memory, MemoryStore
from services.rag.domain.memory.store_vectors import StoreVectors
from services.rag.domain.memory.stores import MemoryStores
from services.rag.domain.memory.uses import Uses
from services.rag.ports import VectorMatch

DEFAULT_RECALLED = 5
DEFAULT_TOKENS = 2000
RECALL_MIN_SCORE = 0.3
_OVERSAMPLE = 4
_LEAST_CANDIDATES = 20
_MOST_CANDIDATES = 1000


@dataclass(frozen=True, slots=True)
class Query:
    """A search. 0 and None: the store's default."""

    text: str
    filter: Filter = Filter()
    top_k: int = 0
    min_score: float | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A memory that was found. Both numbers are 0 to 1."""

    memory: Memory
    score: float
    similarity: float


@dataclass(frozen=True, slots=True)
class Recall:
    """A text, the matches that are in it, and its tokens."""

    context: str
    matches: Sequence[Match]
    tokens: int


class Searches:
    """Use cases. Each takes the project and the key of a store first."""

    def __init__(
        self,
        stores: MemoryStores,
        table: Table[Memory],
        vectors: StoreVectors,
        uses: Uses,
        *,
        tokens_of: packing.TokenCounter = packing.estimated_tokens,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._table = table
        self._vectors = vectors
        self._uses = uses
        self._tokens_of = tokens_of
        self._clock = clock

    async def search(self, project: Project, key: str, query: Query) -> list[Match]:
        """The best matches first. Raises NotFound, FailedPrecondition, InvalidInput."""
        store = await self._stores.active(project, key)
        default = store.config.default_min_score or 0.0
        matches = await self._find(project, store, query, store.config.default_top_k, default)
        self._uses.add(project, store, [match.memory for match in matches])
        return matches

    async def recall(self, project: Project, key: str, query: Query, max_tokens: int = 0) -> Recall:
        """The best matches as a text of at most so many tokens; 0: DEFAULT_TOKENS. Raises as `search`."""
        budget = fields.between("maxTokens", max_tokens, 1, checks.MAX_TOKENS, default=DEFAULT_TOKENS)
        store = await self._stores.active(project, key)
        least = store.config.default_min_score
        matches = await self._find(
            project, store, query, DEFAULT_RECALLED, RECALL_MIN_SCORE if least is None else least
        )
        context, packed = packing.pack(matches, _recalled_text, budget, self._tokens_of)
        self._uses.add(project, store, [match.memory for match in packed])
        return Recall(context, packed, self._tokens_of(context) if context else 0)

    async def _find(
        self, project: Project, store: MemoryStore, query: Query, default_top_k: int, default_min_score: float
    ) -> list[Match]:
        text = checks.check_content("query", query.text)
        wanted = checks.check_filter(query.filter)
        top_k = fields.between("topK", query.top_k, 1, checks.MAX_TOP_K, default=default_top_k)
        least = default_min_score if query.min_score is None else checks.share("minScore", query.min_score)
        (vector,) = await self._vectors.embed(store, [text])
        filter = self._vector_filter(wanted)
        candidates = max(top_k * _OVERSAMPLE, _LEAST_CANDIDATES)
        while True:
            found = await self._vectors.query(store, vector, candidates, filter)
            matches = await self._ranked(project, store, found)
            if len(matches) >= top_k or len(found) < candidates or candidates == _MOST_CANDIDATES:
                break
            candidates = min(candidates * 4, _MOST_CANDIDATES)  # vectors that no record names took their places
        return [match for match in matches if match.similarity >= least][:top_k]

    async def _ranked(self, project: Project, store: MemoryStore, found: Sequence[VectorMatch]) -> list[Match]:
        """The active memories of these vectors, best first."""
        if not found:
            return []
        where = {"vectorId": Cond(Op.IN, [match.id for match in found]), "storeId": store.id, "status": ACTIVE}
        memories = {memory.vector_id: memory async for memory in self._table.scan(project, where)}
        highest, now, config = max(match.score for match in found), self._clock(), store.config
        matches = []
        for each in found:
            if (memory := memories.get(each.id)) is not None:
                similarity = ranking.similarity(config.metric, each.score, highest)
                matches.append(Match(memory, ranking.score(memory, similarity, config.ranking, now), similarity))
        return sorted(matches, key=lambda match: match.score, reverse=True)

    def _vector_filter(self, wanted: Filter) -> Mapping[str, Any]:
        filter: dict[str, Any] = {"status": ACTIVE, "expiresAt": {"$gt": self._clock()}}
        if wanted.scope:
            filter["scope"] = wanted.scope
        if wanted.scope_id:
            filter["scopeId"] = wanted.scope_id
        if wanted.tags:
            filter["tags"] = {"$in": list(wanted.tags)}
        return filter


def _recalled_text(match: Match) -> str:
    return match.memory.summary or match.memory.content
