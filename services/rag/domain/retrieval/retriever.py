"""The query of a module, from the question to its matches.

plan > rephrase > embed > search > fuse > read the chunks > rerank > least score > diversity > top K > windows > log
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from core.errors import InvalidInput
from core.tenancy import Project
from services.rag.domain.knowledge.modules import Modules
from services.rag.domain.knowledge.records import EUCLIDEAN, Module
from services.rag.domain.retrieval import filters, prompts, scores
from services.rag.domain.retrieval import plan as plans
from services.rag.domain.retrieval.hydration import Hydration
from services.rag.domain.retrieval.matches import Match, Result
from services.rag.domain.retrieval.plan import Plan
from services.rag.domain.retrieval.query_log import Ended, QueryLog
from services.rag.domain.retrieval.requests import MultiQuery, QueryRequest
from services.rag.domain.retrieval.together import together
from services.rag.ports import ChatModel, Embedder, Reranker, Vectors

_SEARCHES_AT_A_TIME = 4


class Services(Protocol):
    """The other services that a query uses, on behalf of the present caller."""

    @property
    def embedder(self) -> Embedder: ...
    @property
    def vectors(self) -> Vectors: ...
    @property
    def reranker(self) -> Reranker: ...
    @property
    def chat(self) -> ChatModel: ...


class Retriever:
    """Finds the chunks of a module that match a question."""

    def __init__(self, modules: Modules, hydration: Hydration, services: Services, log: QueryLog) -> None:
        self._modules = modules
        self._hydration = hydration
        self._services = services
        self._log = log

    async def query(self, project: Project, module_key: str, request: QueryRequest, *, kind: str = "query") -> Result:
        """The best matches first. Raises NotFound (the module), FailedPrecondition (it is disabled, its embedding
        model is gone), InvalidInput (a field, the filter, a reranker), and what the services raise."""
        began = time.perf_counter()
        module = await self._modules.get(project, module_key)
        plan = plans.of(module, request, _isolation(module))
        questions = await self._questions(plan.question, request.multi_query)
        vectors = await self._services.embedder.embed(module.embedding_model_key, questions)
        rankings = await together(
            lambda each: self._search(module, plan, *each),
            list(zip(questions, vectors, strict=True)),
            _SEARCHES_AT_A_TIME,
        )
        found = await self._hydration.filled(project, scores.fused(rankings)[: plan.candidates])
        ranked, warnings = await self._reranked(plan, found)
        good = [each for each in ranked if plan.min_score is None or each.score >= plan.min_score]
        if request.mmr is not None:
            good = scores.diverse(good, plan.top_k, request.mmr.lambda_)
        matches = good[: plan.top_k]
        if matches and (size := module.chunk_config.parent_window_size):
            matches = await self._hydration.windowed(project, matches, size)
        took = (time.perf_counter() - began) * 1000
        self._log.add(project, _ended(module, plan, kind, matches, len(ranked), took))
        return Result(matches, plan.question, module.key, plan.top_k, took, plan.detail, warnings)

    async def _questions(self, question: str, expansion: MultiQuery | None) -> list[str]:
        """The question, and others that a chat model makes of it, where that is asked for."""
        if expansion is None:
            return [question]
        messages = prompts.expansions(question, expansion.count)
        answer = await self._services.chat.answer(expansion.model_key, messages)
        lines = (line.strip(" \t-*\u2022") for line in answer.text.splitlines())
        others = list(dict.fromkeys(line for line in lines if line and line != question))
        return [question, *others[: expansion.count]]

    async def _search(self, module: Module, plan: Plan, question: str, vector: Sequence[float]) -> scores.Ranked:
        try:
            found = await self._services.vectors.query(
                module.index,
                vector,
                top_k=plan.candidates,
                filter=plan.filter or None,
                text=question if plan.hybrid else "",
                fusion=plan.fusion,
                dense_weight=plan.dense_weight,
            )
        except InvalidInput as error:
            if plan.hybrid and error.field == "text":
                raise InvalidInput(
                    "The index of this module has no keyword search. Leave hybrid out.",
                    reason="NO_KEYWORD_SEARCH",
                    field="hybrid",
                ) from None
            raise
        distance = module.metric == EUCLIDEAN and not plan.hybrid
        return [(each, scores.comparable(each.score, rrf=plan.rrf, distance=distance)) for each in found]

    async def _reranked(self, plan: Plan, found: list[Match]) -> tuple[list[Match], tuple[str, ...]]:
        """The matches in the reranker's order with its scores, and what it warns of."""
        if not plan.reranker_key or not found:
            return found, ()
        texts = [(match.content, match.score) for match in found]
        ranking = await self._services.reranker.rerank(plan.reranker_key, plan.question, texts)
        return [replace(found[index], score=score) for index, score in ranking.results], tuple(ranking.warnings)


def _isolation(module: Module) -> Mapping[str, str]:
    """The filter for the documents of this module alone, where it shares its index with others. It doubles the time of
    a search, so an index of the module's own goes without."""
    return {filters.MODULE: module.id} if module.isolate_by_module and not module.own_index else {}


def _ended(module: Module, plan: Plan, kind: str, matches: Sequence[Match], before: int, took: float) -> Ended:
    return Ended(
        module_id=module.id,
        kind=kind,
        query=plan.question,
        top_k=plan.top_k,
        scores=[match.score for match in matches],
        pre_filter_match_count=before,
        min_score=plan.min_score,
        hybrid=plan.hybrid,
        reranked=bool(plan.reranker_key),
        latency_ms=took,
    )
