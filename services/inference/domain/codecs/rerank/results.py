"""The results of rerank providers, whatever they call them, in canonical form.

Cohere, Jina, vLLM, llama.cpp    {"results": [{"index", "relevance_score"}], "usage" or "meta"}
Voyage                           {"data": [{"index", "relevance_score"}], "usage"}
text-embeddings-inference        [{"index", "score"}]
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from services.inference.domain.codecs.codec import ChunkReader, Counter, Decoded, TargetModel
from services.inference.domain.codecs.error_reports import report_of
from services.inference.domain.codecs.errors import Refusal, malformed, refusal, reported
from services.inference.domain.codecs.openai.token_counts import read_usage
from services.inference.domain.json_values import NotJson, decode_leniently
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.usage import tokens
from services.inference.domain.usage.tokens import TokenUsage


class RerankCodec:
    """Base of the codecs for rerank models: reads what all of them answer."""

    counter: Counter | None = None

    def whole(self, data: bytes, exchange: Exchange, model: TargetModel) -> Decoded:
        """An answer with `results`, best first and at most `top_n` of them, as {"index", "relevance_score"}."""
        try:
            answer = decode_leniently(data)
        except NotJson:
            raise malformed() from None
        fields = answer if isinstance(answer, dict) else {}
        results = fields.get("results", fields.get("data")) if fields else answer
        if not isinstance(results, list):
            if (report := report_of(answer)) is not None:
                raise reported(report, model.scrub)
            raise malformed()
        request = exchange.request
        ranked = ranked_results(results, len(request["documents"]))
        usage = _usage(fields) or TokenUsage(tokens.estimate(_characters(request)), estimated=True)
        body = {
            "object": "list",
            "model": model.model_key,
            "results": ranked[: request.get("top_n") or len(ranked)],
            "usage": {"prompt_tokens": usage.input, "total_tokens": usage.total},
        }
        return Decoded(body, usage)

    def stream(self, exchange: Exchange, model: TargetModel) -> ChunkReader:
        raise TypeError("rankings are not streamed")

    def refusal(self, status: int, body: bytes, model: TargetModel) -> Refusal:
        return refusal(status, body, model.scrub)


def ranked_results(given: list[Any], count: int) -> list[dict[str, Any]]:
    """The results, best first, with scores from 0 to 1. Some servers answer with the bare number of the network, which
    may be any: then the sigmoid of it. Raises UpstreamFailed for what cannot be results of `count` documents."""
    scores: dict[int, float] = {}
    for each in given:
        index, score = _result(each)
        if not 0 <= index < count or index in scores or not math.isfinite(score):
            raise malformed()
        scores[index] = score
    if any(not 0 <= score <= 1 for score in scores.values()):
        scores = {index: sigmoid(score) for index, score in scores.items()}
    ranked = sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))
    return [{"index": index, "relevance_score": score} for index, score in ranked]


def _result(given: Any) -> tuple[int, float]:
    """The place of a document and its score. Raises UpstreamFailed."""
    if isinstance(given, dict):
        index, score = given.get("index"), given.get("relevance_score", given.get("score"))
        if type(index) is int and isinstance(score, int | float):
            with suppress(OverflowError):  # an integer of hundreds of digits
                return index, float(score)
    raise malformed()


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))


def _usage(answer: Mapping[str, Any]) -> TokenUsage | None:
    """The provider's count: tokens, or searches that it bills in their place."""
    meta = answer.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    billed = meta.get("billed_units")
    searches = billed.get("search_units") if isinstance(billed, dict) else None
    counted = read_usage(answer.get("usage") or meta.get("tokens"), generates=False)
    if isinstance(searches, int | float) and 0 < searches <= tokens.MAX_TOKENS:
        return (counted or TokenUsage())._replace(searches=float(searches))
    return counted


def _characters(request: Mapping[str, Any]) -> int:
    """A cross-encoder reads the query once with each document."""
    documents = request["documents"]
    return len(request["query"]) * len(documents) + sum(map(len, documents))
