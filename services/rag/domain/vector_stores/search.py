"""Searches of vector stores, over the query of modules."""

from collections.abc import Sequence

import msgspec

from core.tenancy import Project
from services.rag.domain.retrieval import prompts
from services.rag.domain.retrieval.matches import Match
from services.rag.domain.retrieval.requests import WEIGHTED, Hybrid, QueryRequest
from services.rag.domain.retrieval.retriever import Retriever
from services.rag.domain.retrieval.together import together
from services.rag.domain.vector_stores.requests import RankingOptions, Search
from services.rag.domain.vector_stores.stores import VectorStores
from services.rag.ports import ChatModel

_USUAL_RESULTS = 10
_AT_A_TIME = 4


class StoreSearch:
    """Searches vector stores on behalf of the present caller."""

    def __init__(self, stores: VectorStores, retriever: Retriever, chat: ChatModel, *, rewrite_model: str = "") -> None:
        """`rewrite_model`: key of the chat model that rewrites queries where that is asked for; empty: they are
        searched for as they are."""
        self._stores = stores
        self._retriever = retriever
        self._chat = chat
        self._rewrite_model = rewrite_model

    async def search(self, project: Project, id: str, asked: Search) -> tuple[list[str], list[tuple[str, Match]]]:
        """The queries that were searched for, and the matches with the ids of their files, the best first. Raises as
        `Retriever.query`, FailedPrecondition (expired)."""
        module = await self._stores.in_use(project, id)
        queries = await self._rewritten(asked)
        options = asked.ranking_options or RankingOptions()
        count = asked.max_num_results or _USUAL_RESULTS

        async def searched(query: str) -> list[Match]:
            request = QueryRequest(
                query=query,
                top_k=count,
                min_score=options.score_threshold,
                filter=msgspec.Raw(msgspec.json.encode(asked.filter())),
                hybrid=_hybrid(options),
                rerank=False if options.ranker == "none" else None,
            )
            return (await self._retriever.query(project, module.key, request, kind="search")).matches

        found = await together(searched, queries, _AT_A_TIME)
        best = _best(found)[:count]
        return queries, [(match.file_id, match) for match in best]

    async def _rewritten(self, asked: Search) -> list[str]:
        if not asked.rewrite_query or not self._rewrite_model:
            return asked.queries

        async def rewritten(query: str) -> str:
            answer = await self._chat.answer(self._rewrite_model, prompts.expansions(query, 1))
            return answer.text.strip().splitlines()[0].strip() if answer.text.strip() else query

        return await together(rewritten, asked.queries, _AT_A_TIME)


def _hybrid(options: RankingOptions) -> Hybrid | None:
    weights = options.hybrid_search
    if weights is None:
        return None
    return Hybrid(mode=WEIGHTED, alpha=weights.embedding_weight / (weights.embedding_weight + weights.text_weight))


def _best(rankings: Sequence[Sequence[Match]]) -> list[Match]:
    """The matches of all, each once with its best score, the best first."""
    best: dict[str, Match] = {}
    for match in (match for ranking in rankings for match in ranking):
        if match.id not in best or best[match.id].score < match.score:
            best[match.id] = match
    return sorted(best.values(), key=lambda match: -match.score)
