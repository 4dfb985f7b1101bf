"""Rerank requests and answers as Cohere's and Jina's clients write and read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput
from core.fields import count
from services.inference.domain.pipeline.exchange import Body
from services.inference.domain.pipeline.requests import MAX_DOCUMENTS
from services.inference.domain.rerank.reranking import Ranked

_API_VERSION = "2"
_OURS = frozenset({"return_documents", "topN"})


@dataclass(frozen=True, slots=True)
class RerankCall:
    """A request. `request` is canonical: its documents are texts. `scores`, 0 to 1, are those that came with all of
    them."""

    request: Body
    scores: Sequence[float] | None
    return_documents: bool


def read(body: Body, *, return_documents: bool) -> RerankCall:
    """The call of a body; `return_documents` holds where it does not say. What else is wrong with it is the pipeline's
    to check. Raises InvalidInput."""
    given = body.get("documents")
    if not isinstance(given, list):
        raise InvalidInput("documents must be a list.", field="documents")
    count("documents", given, MAX_DOCUMENTS)
    wanted = body.get("return_documents")
    if wanted is not None and not isinstance(wanted, bool):
        raise InvalidInput("return_documents must be true or false.", field="return_documents")
    request = {name: value for name, value in body.items() if name not in _OURS}
    request["documents"] = [_text(at, each) for at, each in enumerate(given)]
    if (top_n := body.get("top_n", body.get("topN"))) is not None:
        request["top_n"] = top_n
    scores = [each.get("score") if isinstance(each, dict) else None for each in given]
    known = [float(min(1, max(0, each))) for each in scores if isinstance(each, int | float)]
    return RerankCall(
        request, known if len(known) == len(given) else None, return_documents if wanted is None else wanted
    )


def model_answer(ranked: Ranked, call: RerankCall, request_id: str) -> Body:
    """The answer of a model."""
    usage = ranked.usage
    return {
        "id": ranked.id,
        "object": "list",
        "model": ranked.model,
        "results": _results(ranked, call),
        "meta": _meta(ranked),
        "usage": {"prompt_tokens": usage.input, "total_tokens": usage.total},
        "request_id": request_id,
    }


def reranker_answer(ranked: Ranked, call: RerankCall, request_id: str) -> Body:
    """The answer of a reranker."""
    told = {
        "reranker": ranked.reranker,
        "strategy": ranked.strategy,
        "model": ranked.model,
        "latency_ms": round(ranked.seconds * 1000, 3),
    }
    return {
        "id": ranked.id,
        "results": _results(ranked, call),
        "meta": {**_meta(ranked), **told},
        "request_id": request_id,
    }


def _text(at: int, document: object) -> str:
    """A text, or an object that has it as `text` or `content`. Raises InvalidInput."""
    if isinstance(document, dict):
        document = document.get("text", document.get("content"))
    if not isinstance(document, str):
        raise InvalidInput(
            f"documents[{at}] must be a text, or an object with a text as text.", field=f"documents[{at}]"
        )
    return document


def _results(ranked: Ranked, call: RerankCall) -> list[Body]:
    documents = call.request["documents"]
    results: list[dict[str, Any]] = []
    for index, score in ranked.results:
        result: dict[str, Any] = {"index": index, "relevance_score": score}
        if call.return_documents:
            result["document"] = {"text": documents[index]}
        results.append(result)
    return results


def _meta(ranked: Ranked) -> Body:
    meta: Body = {"api_version": {"version": _API_VERSION}, "billed_units": {"search_units": ranked.usage.searches}}
    if ranked.warnings:
        meta["warnings"] = list(ranked.warnings)
    return meta
