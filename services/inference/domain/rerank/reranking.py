"""Ranks documents: with a model, or as a reranker of the project says."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from core.errors import FailedPrecondition, InvalidInput
from core.offload import offload
from core.tenancy import Project
from services.inference.domain.pipeline import requests
from services.inference.domain.pipeline.answer import Answer, read_whole
from services.inference.domain.pipeline.exchange import Body, Exchange
from services.inference.domain.pipeline.pipeline import Pipeline
from services.inference.domain.rerank import heuristic, judges
from services.inference.domain.rerank.records import ACTIVE, HEURISTIC, JUDGE, LISTWISE, MODEL, Reranker
from services.inference.domain.rerank.store import Rerankers
from services.inference.domain.usage.tokens import NO_USAGE, TokenUsage

_UNRANKED = "The judge gave no usable answer: the documents are in the order in which they came."
_LARGE = 16 * 1024
"""Characters of documents whose words are counted in the worker thread."""

Results = list[tuple[int, float]]
"""Places of documents and their scores, best first."""


@dataclass(frozen=True, slots=True)
class Query:
    """Documents to rank. `scores` are those that a search gave the documents, where it did; `top_n` None: all."""

    text: str
    documents: Sequence[str]
    scores: Sequence[float] | None = None
    top_n: int | None = None


@dataclass(slots=True)
class Ranked:
    """A ranking."""

    results: Results
    strategy: str
    model: str = ""
    reranker: str = ""
    unranked: bool = False
    warnings: tuple[str, ...] = ()
    usage: TokenUsage = NO_USAGE
    id: str = ""
    seconds: float = 0.0


class Reranking:
    """The use cases of rerank calls."""

    def __init__(self, pipeline: Pipeline, rerankers: Rerankers) -> None:
        self._pipeline = pipeline
        self._rerankers = rerankers

    async def by_model(self, request: Body) -> tuple[Exchange, Answer, Ranked]:
        """Answer a canonical rerank request of the present caller. Raises PorticoError."""
        began = time.monotonic()
        exchange, answer = await self._pipeline.rerank(request)
        body = await read_whole(answer)
        results = [(each["index"], each["relevance_score"]) for each in body["results"]]
        ranked = Ranked(results, MODEL, request["model"], usage=answer.usage)
        return exchange, answer, _finished(ranked, began)

    async def by_reranker(self, project: Project, key: str, query: Query) -> Ranked:
        """Rank as a reranker says. Raises NotFound and FailedPrecondition (the reranker), and the errors of calls to
        its model; a judge that fails leaves the documents in their order."""
        began = time.monotonic()
        reranker = await self._rerankers.get(project, key)
        if reranker.status != ACTIVE:
            raise FailedPrecondition(
                f"The reranker {reranker.key} is disabled.", reason="RERANKER_DISABLED", field="reranker"
            )
        body: Body = {"model": reranker.model_key or reranker.key, "query": query.text}
        requests.check_rerank({**body, "documents": list(query.documents), "top_n": query.top_n})
        if reranker.strategy in (JUDGE, LISTWISE) and len(query.documents) > judges.MAX_JUDGED:
            raise InvalidInput(
                f"documents must hold at most {judges.MAX_JUDGED} entries for a reranker that asks a judge.",
                reason="TOO_MANY_VALUES",
                field="documents",
            )
        ranked = await self._ranked(reranker, query)
        ranked.model, ranked.reranker = reranker.model_key, reranker.key
        if not ranked.unranked:
            least = reranker.config.score_threshold
            ranked.results = [each for each in ranked.results if each[1] >= least]
        ranked.results = ranked.results[: query.top_n or reranker.config.top_n or None]
        return _finished(ranked, began)

    async def _ranked(self, reranker: Reranker, query: Query) -> Ranked:
        match reranker.strategy:
            case "heuristic":
                return await _by_words(reranker, query)
            case "llm-judge":
                scores = await judges.score_each(self._ask, reranker, query.text, query.documents)
                return _judged(query, scores)
            case "llm-listwise":
                order = await judges.order_all(self._ask, reranker, query.text, query.documents)
                return _ordered(query, order)
        request = {"model": reranker.model_key, "query": query.text, "documents": list(query.documents)}
        _, _, ranked = await self.by_model(request)
        return ranked

    async def _ask(self, model: str, system: str, text: str, temperature: float) -> str:
        """See judges.Ask."""
        messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
        _, answer = await self._pipeline.chat({"model": model, "messages": messages, "temperature": temperature})
        completion = await read_whole(answer)
        content = completion["choices"][0]["message"].get("content")
        return content if isinstance(content, str) else ""


def _finished(ranked: Ranked, began: float) -> Ranked:
    ranked.id, ranked.seconds = f"rerank-{uuid4().hex}", time.monotonic() - began
    return ranked


async def _by_words(reranker: Reranker, query: Query) -> Ranked:
    """The words' scores and the documents' own, each weighed as the reranker says."""
    size = sum(map(len, query.documents))
    words = await offload(lambda: heuristic.scores(query.text, query.documents), size, above=_LARGE)
    weight = reranker.config.lexical_weight if query.scores is not None else 1.0
    own = query.scores or [0.0] * len(words)
    scores = [weight * word + (1 - weight) * _unit(score) for word, score in zip(words, own, strict=True)]
    return Ranked(_sorted(enumerate(scores)), HEURISTIC)


def _judged(query: Query, scores: Sequence[float | None]) -> Ranked:
    """Documents without a verdict come last: one that confuses the judge moves itself and no other."""
    known = [(at, score) for at, score in enumerate(scores) if score is not None]
    if not known:
        return _unranked(query, JUDGE)
    missing = [(at, 0.0) for at, score in enumerate(scores) if score is None]
    warnings = (f"The judge gave no usable score for {len(missing)} documents, which come last.",) if missing else ()
    return Ranked(_sorted(known) + missing, JUDGE, warnings=warnings)


def _ordered(query: Query, order: Sequence[int] | None) -> Ranked:
    """Scores fall evenly from 1 with the place in the order; documents that the judge left out come last."""
    if order is None:
        return _unranked(query, LISTWISE)
    count = len(query.documents)
    missing = sorted({*range(count)}.difference(order))
    results = [(at, 1 - place / count) for place, at in enumerate(order)] + [(at, 0.0) for at in missing]
    warnings = (f"The judge left out {len(missing)} documents, which come last.",) if missing else ()
    return Ranked(results, LISTWISE, warnings=warnings)


def _unranked(query: Query, strategy: str) -> Ranked:
    """The documents in their order, with their own scores or with some that say no more than their place."""
    count = len(query.documents)
    scores = query.scores or [1 - at / count for at in range(count)]
    results = [(at, _unit(score)) for at, score in enumerate(scores)]
    return Ranked(results, strategy, unranked=True, warnings=(_UNRANKED,))


def _unit(score: float) -> float:
    return min(1.0, max(0.0, score))


def _sorted(scored: "Sequence[tuple[int, float]] | enumerate[float]") -> Results:
    return sorted(scored, key=lambda entry: (-entry[1], entry[0]))
