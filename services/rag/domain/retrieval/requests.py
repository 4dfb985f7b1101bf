"""Queries as callers ask them: read from JSON, and held against their limits. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from core import free_json, json_bodies
from core.errors import InvalidInput

MAX_QUERY = 8_000
MAX_TOP_K = 100
MAX_OVERSAMPLE = 20
MAX_CANDIDATES = 500
"""Matches that are looked at, whatever topK and oversample are."""
MAX_EXPANSIONS = 5
MAX_ANSWER_TOP_K = 50
MAX_INSTRUCTIONS = 4_000
MAX_CONTEXT_TOKENS = 200_000
DEFAULT_CONTEXT_TOKENS = 6_000

STUFF, MAP_REDUCE, REFINE = "stuff", "map_reduce", "refine"
MODES = (STUFF, MAP_REDUCE, REFINE)
RRF, WEIGHTED = "rrf", "weighted"
FUSIONS = (RRF, WEIGHTED)
DETAILS = FULL, TEXT = ("full", "text")

_NULL = msgspec.Raw(b"null")


class Hybrid(msgspec.Struct, rename="camel", frozen=True):
    """Keyword search beside vector search. `mode` joins the rankings; `alpha` is the share of the dense one."""

    enabled: bool = True
    mode: str | None = None
    alpha: float | None = None


class MultiQuery(msgspec.Struct, rename="camel", frozen=True):
    """A chat model rephrases the question, and the matches of all are joined."""

    model_key: str
    count: int = 3


class Diversity(msgspec.Struct, rename="camel", frozen=True):
    """Maximal marginal relevance: 1 is relevance alone, 0 diversity alone."""

    lambda_: float = msgspec.field(default=0.5, name="lambda")
    fetch_k: int | None = None


class QueryRequest(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """A query; None: as the module says."""

    query: str
    top_k: int | None = None
    top_k_: int | None = msgspec.field(default=None, name="top_k")
    """Another spelling."""
    min_score: float | None = None
    min_score_: float | None = msgspec.field(default=None, name="min_score")
    filter: msgspec.Raw = _NULL
    hybrid: bool | Hybrid | None = None
    rerank: bool | None = None
    reranker_key: str | None = None
    oversample: int | None = None
    multi_query: MultiQuery | None = None
    mmr: Diversity | None = None
    response_detail: str | None = None

    @property
    def asked_top_k(self) -> int | None:
        return self.top_k if self.top_k is not None else self.top_k_

    @property
    def asked_min_score(self) -> float | None:
        return self.min_score if self.min_score is not None else self.min_score_

    @property
    def asked_hybrid(self) -> Hybrid | None:
        return Hybrid(enabled=self.hybrid) if isinstance(self.hybrid, bool) else self.hybrid

    def asked_filter(self) -> Mapping[str, Any]:
        """Raises InvalidInput."""
        return free_json.read("filter", self.filter)


class AnswerRequest(QueryRequest, frozen=True, kw_only=True):
    """A question for a chat model to answer from what its query finds."""

    model: str
    mode: str = STUFF
    stream: bool = False
    max_context_tokens: int = DEFAULT_CONTEXT_TOKENS
    max_tokens: int | None = None
    temperature: float | None = None
    instructions: str = ""
    """Further instructions of the caller's, such as the tone of the answer."""


_QUERY = msgspec.json.Decoder(QueryRequest)
_ANSWER = msgspec.json.Decoder(AnswerRequest)


def query(body: bytes) -> QueryRequest:
    """Read a query. Raises InvalidInput, naming the field."""
    request = json_bodies.read(_QUERY, body)
    check(request)
    return request


def answer(body: bytes) -> AnswerRequest:
    """Read a question. Raises InvalidInput, naming the field."""
    request = json_bodies.read(_ANSWER, body)
    check(request)
    _one_of("mode", request.mode, MODES)
    if not request.model:
        raise InvalidInput("model must name a chat model.", field="model")
    _within("topK", request.asked_top_k, 1, MAX_ANSWER_TOP_K)
    _within("maxContextTokens", request.max_context_tokens, 200, MAX_CONTEXT_TOKENS)
    _within("maxTokens", request.max_tokens, 1, 1_000_000)
    _within("temperature", request.temperature, 0, 2)
    if len(request.instructions) > MAX_INSTRUCTIONS:
        raise InvalidInput(f"instructions must have at most {MAX_INSTRUCTIONS} characters.", field="instructions")
    return request


def check(request: QueryRequest) -> None:
    """Check the values of a query. Raises InvalidInput."""
    question = request.query.strip()
    if not 1 <= len(question) <= MAX_QUERY:
        raise InvalidInput(f"query must have 1 to {MAX_QUERY} characters.", field="query")
    _within("topK", request.asked_top_k, 1, MAX_TOP_K)
    _within("minScore", request.asked_min_score, -1_000_000, 1_000_000)
    _within("oversample", request.oversample, 1, MAX_OVERSAMPLE)
    if (hybrid := request.asked_hybrid) is not None:
        _one_of("hybrid.mode", hybrid.mode, FUSIONS)
        _within("hybrid.alpha", hybrid.alpha, 0, 1)
    if request.multi_query is not None:
        _within("multiQuery.count", request.multi_query.count, 1, MAX_EXPANSIONS)
    if request.mmr is not None:
        _within("mmr.lambda", request.mmr.lambda_, 0, 1)
        _within("mmr.fetchK", request.mmr.fetch_k, 1, MAX_CANDIDATES)
    _one_of("responseDetail", request.response_detail, DETAILS)


def _within(field: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise InvalidInput(f"{field} must be {low} to {high}.", field=field)


def _one_of(field: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise InvalidInput(f"{field} must be one of {', '.join(allowed)}.", field=field)
