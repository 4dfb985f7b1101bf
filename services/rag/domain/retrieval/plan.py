"""The plan of a query: what the module says, where the request says nothing else. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core import fields
from core.errors import FailedPrecondition
from services.rag.domain.knowledge.records import ACTIVE, Module
from services.rag.domain.retrieval import filters
from services.rag.domain.retrieval.requests import (
    FULL,
    MAX_CANDIDATES,
    RRF,
    QueryRequest,
)

_DEFAULT_TOP_K = 5
_DEFAULT_OVERSAMPLE = 3
_LEAST_CANDIDATES_OF_MMR = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a query. `candidates` matches are searched for, of which `top_k` are returned."""

    question: str
    top_k: int
    candidates: int
    min_score: float | None
    filter: Mapping[str, Any]
    hybrid: bool
    fusion: str
    """rrf or weighted; empty for one that is not hybrid."""
    dense_weight: float | None
    reranker_key: str
    """Empty: none."""
    detail: str

    @property
    def rrf(self) -> bool:
        return self.fusion == RRF


def of(module: Module, request: QueryRequest, isolation: Mapping[str, Any]) -> Plan:
    """Raises FailedPrecondition (the module is disabled), InvalidInput (the filter)."""
    if module.status != ACTIVE:
        raise FailedPrecondition("This module is disabled.", reason="MODULE_DISABLED", field="moduleKey")
    asked = request.asked_filter()
    fields.small_json("filter", asked)
    filters.check_fields(asked, module.filterable_fields)
    top_k = request.asked_top_k or module.default_top_k or _DEFAULT_TOP_K
    reranker_key = "" if request.rerank is False else request.reranker_key or module.reranker_key or ""
    hybrid, fusion, dense_weight = _fusion(module, request)
    return Plan(
        question=request.query.strip(),
        top_k=top_k,
        candidates=_candidates(module, request, top_k, reranked=bool(reranker_key)),
        min_score=(module.default_min_score or None) if request.asked_min_score is None else request.asked_min_score,
        filter=filters.joined(asked, module.default_filter, isolation),
        hybrid=hybrid,
        fusion=fusion,
        dense_weight=dense_weight,
        reranker_key=reranker_key,
        detail=request.response_detail or module.response_detail or FULL,
    )


def _fusion(module: Module, request: QueryRequest) -> tuple[bool, str, float | None]:
    asked, usual = request.asked_hybrid, module.hybrid
    enabled = usual.enabled if asked is None else asked.enabled
    if not enabled:
        return False, "", None
    mode = (asked.mode if asked is not None else None) or usual.mode or RRF
    alpha = asked.alpha if asked is not None and asked.alpha is not None else usual.alpha
    return True, mode, None if mode == RRF else alpha


def _candidates(module: Module, request: QueryRequest, top_k: int, *, reranked: bool) -> int:
    wanted = top_k
    if reranked:
        wanted = top_k * (request.oversample or module.reranker_oversample or _DEFAULT_OVERSAMPLE)
    if request.mmr is not None:
        wanted = max(wanted, request.mmr.fetch_k or max(4 * top_k, _LEAST_CANDIDATES_OF_MMR))
    return max(top_k, min(wanted, MAX_CANDIDATES))
