"""Conversion between the messages of rerank calls and rerankers and the domain's values: pure functions."""

from core import fields
from core.rpc.values import small_json_of, struct_of, timestamp_of
from portico.inference.v1 import rerank_service_pb2 as pb
from portico.inference.v1 import reranker_service_pb2 as reranker_pb
from services.inference.domain.pipeline.exchange import Body
from services.inference.domain.pipeline.requests import MAX_DOCUMENTS
from services.inference.domain.rerank.records import (
    ACTIVE,
    NewReranker,
    Reranker,
    RerankerChanges,
    RerankerConfig,
)
from services.inference.domain.rerank.reranking import Query, Ranked
from services.inference.mapping import usage_message

_CONFIG = ("top_n", "score_threshold", "batch_size", "temperature", "lexical_weight")
_TEXTS = ("name", "strategy", "model_key", "description", "status")


def rerank_body(request: pb.RerankRequest) -> Body:
    """The canonical request for a model. Raises InvalidInput."""
    fields.count("documents", request.documents, MAX_DOCUMENTS)
    body: Body = {
        "model": request.model,
        "query": request.query,
        "documents": [each.text for each in request.documents],
    }
    return body | ({"top_n": request.top_n} if request.HasField("top_n") else {})


def rerank_query(request: pb.RerankRequest) -> Query:
    """The query for a reranker. Scores count where all documents have one. Raises InvalidInput."""
    fields.count("documents", request.documents, MAX_DOCUMENTS)
    known = [each.score for each in request.documents if each.HasField("score")]
    return Query(
        request.query,
        [each.text for each in request.documents],
        known if len(known) == len(request.documents) else None,
        request.top_n if request.HasField("top_n") else None,
    )


def rerank_response(ranked: Ranked) -> pb.RerankResponse:
    return pb.RerankResponse(
        id=ranked.id,
        model=ranked.model,
        reranker=ranked.reranker,
        strategy=ranked.strategy,
        results=[pb.RerankResult(index=index, score=score) for index, score in ranked.results],
        unranked=ranked.unranked,
        warnings=ranked.warnings,
        usage=usage_message(ranked.usage),
        search_units=ranked.usage.searches,
    )


def reranker_message(record: Reranker) -> reranker_pb.Reranker:
    return reranker_pb.Reranker(
        id=record.id,
        record_id=record.id,
        key=record.key,
        name=record.name,
        description=record.description,
        strategy=record.strategy,
        model_key=record.model_key,
        status=record.status,
        config=_config_message(record.config),
        metadata=struct_of(record.metadata),
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
    )


def new_reranker(request: reranker_pb.CreateRerankerRequest) -> NewReranker:
    return NewReranker(
        name=request.name,
        strategy=request.strategy,
        key=request.key,
        model_key=request.model_key,
        description=request.description,
        status=request.status or ACTIVE,
        config=_config(request.config),
        metadata=small_json_of(request.metadata, "metadata"),
    )


def reranker_changes(request: reranker_pb.UpdateRerankerRequest) -> RerankerChanges:
    return RerankerChanges(
        **{name: getattr(request, name) for name in _TEXTS if request.HasField(name)},
        config=_config(request.config) if request.HasField("config") else None,
        metadata=small_json_of(request.metadata, "metadata") if request.HasField("metadata") else None,
    )


def _config(message: reranker_pb.RerankerConfig) -> RerankerConfig:
    given = {name: getattr(message, name) for name in _CONFIG if message.HasField(name)}
    return RerankerConfig(prompt_template=message.prompt_template, **given)


def _config_message(config: RerankerConfig) -> reranker_pb.RerankerConfig:
    return reranker_pb.RerankerConfig(
        top_n=config.top_n or None,
        score_threshold=config.score_threshold,
        batch_size=config.batch_size,
        temperature=config.temperature,
        prompt_template=config.prompt_template,
        lexical_weight=config.lexical_weight,
    )
