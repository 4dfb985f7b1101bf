"""The JSON and the messages of queries and answers. Pure."""

from dataclasses import asdict
from typing import Any

from core.rpc.values import timestamp_of
from portico.rag.v1 import retrieval_service_pb2 as pb
from services.rag.domain.retrieval.answers import Answer
from services.rag.domain.retrieval.matches import Match, Result
from services.rag.domain.retrieval.query_log import QueryRecord, QueryStats
from services.rag.domain.retrieval.requests import TEXT


def result(value: Result) -> dict[str, Any]:
    made: dict[str, Any] = {
        "matches": [{"content": each.text} if value.detail == TEXT else match(each) for each in value.matches],
        "query": value.query,
        "ragModuleKey": value.module_key,
        "topK": value.top_k,
        "latencyMs": round(value.latency_ms, 3),
    }
    return {**made, "warnings": list(value.warnings)} if value.warnings else made


def match(value: Match) -> dict[str, Any]:
    made = {
        "id": value.id,
        "score": value.score,
        "vectorScore": value.vector_score,
        "content": value.content,
        "documentId": value.document_id,
        "fileName": value.file_name,
        "chunkIndex": value.chunk_index,
        "charStart": value.char_start,
        "charEnd": value.char_end,
        "headingPath": list(value.heading_path),
        "metadata": dict(value.metadata),
    }
    return {**made, "window": value.window} if value.window else made


def answer(value: Answer) -> dict[str, Any]:
    """An answer that has been written to its end."""
    return {
        "text": value.text,
        "citations": [citation(number, each) for number, each in value.citations],
        "mode": value.mode,
        "model": value.model,
        "usage": {"inputTokens": value.usage.input_tokens, "outputTokens": value.usage.output_tokens},
    }


def citation(number: int, value: Match) -> dict[str, Any]:
    return {
        "number": number,
        "documentId": value.document_id,
        "fileName": value.file_name,
        "chunkIndex": value.chunk_index,
        "charStart": value.char_start,
        "charEnd": value.char_end,
        "content": value.content,
    }


def query(record: QueryRecord) -> pb.ModuleQuery:
    return pb.ModuleQuery(
        id=record.id,
        created_at=timestamp_of(record.created_at),
        request_id=record.request_id,
        token_id=record.token_id,
        kind=record.kind,
        query=record.query,
        top_k=record.top_k,
        match_count=record.match_count,
        pre_filter_match_count=record.pre_filter_match_count,
        top_score=record.top_score,
        avg_score=record.avg_score,
        min_score_applied=record.min_score_applied,
        hybrid=record.hybrid,
        reranked=record.reranked,
        latency_ms=record.latency_ms,
    )


def stats(value: QueryStats) -> pb.GetModuleQueryStatsResponse:
    width = 1 / len(value.score_bands)
    return pb.GetModuleQueryStatsResponse(
        queries=value.queries,
        zero_hit_rate=value.zero_hit_rate,
        avg_latency_ms=value.avg_latency_ms,
        p95_latency_ms=value.p95_latency_ms,
        avg_top_score=value.avg_top_score,
        scores=[
            pb.ScoreBand(**{"from": round(band * width, 6)}, to=round((band + 1) * width, 6), queries=count)
            for band, count in enumerate(value.score_bands)
        ],
        by_day=[pb.QueryDay(**asdict(each)) for each in value.by_day],
    )
