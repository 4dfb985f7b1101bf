"""Conversion between the messages of KnowledgeService and the domain's values. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format
from google.protobuf.message import Message

from core.jobs.records import Job
from core.rpc.values import small_json_of, struct_of, timestamp_of
from portico.rag.v1 import knowledge_service_pb2 as pb
from services.rag.domain.knowledge.chunking.config import ChunkConfig, ContextualHeader
from services.rag.domain.knowledge.modules import Counts, NewModule
from services.rag.domain.knowledge.records import PENDING, PROCESSING, Chunk, Document, Hybrid, Module, Reindex

NO_COUNTS = Counts()
_PLAIN = (
    "name",
    "description",
    "embedding_model_key",
    "status",
    "reranker_key",
    "reranker_oversample",
    "default_top_k",
    "default_min_score",
    "response_detail",
    "isolate_by_module",
    "file_bucket_key",
)
"""Fields of an update that are taken as they are, where they are set."""


def chunk_config_of(message: pb.ChunkConfig) -> ChunkConfig:
    header = message.contextual_header
    return ChunkConfig(
        strategy=message.strategy or ChunkConfig().strategy,
        chunk_size=message.chunk_size,
        chunk_overlap=message.chunk_overlap if message.HasField("chunk_overlap") else None,
        separators=tuple(message.separators),
        encoding=message.encoding,
        semantic_threshold=message.semantic_threshold if message.HasField("semantic_threshold") else None,
        parent_window_size=message.parent_window_size,
        contextual_header=ContextualHeader(header.enabled, header.model_key, header.max_document_chars),
    )


def chunk_config(value: ChunkConfig) -> pb.ChunkConfig:
    header = value.contextual_header
    return pb.ChunkConfig(
        strategy=value.strategy,
        chunk_size=value.chunk_size,
        chunk_overlap=value.chunk_overlap,
        separators=value.separators,
        encoding=value.encoding,
        semantic_threshold=value.semantic_threshold,
        parent_window_size=value.parent_window_size,
        contextual_header=pb.ContextualHeader(
            enabled=header.enabled, model_key=header.model_key, max_document_chars=header.max_document_chars
        ),
    )


def hybrid_of(message: pb.HybridConfig) -> Hybrid:
    alpha = message.alpha if message.HasField("alpha") else Hybrid().alpha
    return Hybrid(message.enabled, message.mode or Hybrid().mode, alpha, message.k)


def new_module(request: pb.CreateModuleRequest) -> NewModule:
    return NewModule(
        name=request.name,
        embedding_model_key=request.embedding_model_key,
        key=request.key,
        description=request.description,
        vector_provider_key=request.vector_provider_key,
        vector_index_key=request.vector_index_key,
        chunk_config=chunk_config_of(request.chunk_config),
        file_bucket_key=request.file_bucket_key,
        status=request.status,
        reranker_key=request.reranker_key,
        reranker_oversample=request.reranker_oversample,
        default_top_k=request.default_top_k,
        default_min_score=request.default_min_score,
        default_filter=small_json_of(request.default_filter, "defaultFilter"),
        filterable_fields=tuple(request.filterable_fields),
        response_detail=request.response_detail,
        hybrid=hybrid_of(request.hybrid),
        isolate_by_module=request.isolate_by_module if request.HasField("isolate_by_module") else True,
        metadata=small_json_of(request.metadata, "metadata"),
    )


def module_changes(request: pb.UpdateModuleRequest) -> dict[str, Any]:
    """The fields that are set, named as the record names them."""
    changes: dict[str, Any] = {name: getattr(request, name) for name in _PLAIN if request.HasField(name)}
    if request.HasField("chunk_config"):
        changes["chunk_config"] = chunk_config_of(request.chunk_config)
    if request.HasField("default_filter"):
        changes["default_filter"] = small_json_of(request.default_filter, "defaultFilter")
    if request.HasField("filterable_fields"):
        changes["filterable_fields"] = [value.string_value for value in request.filterable_fields.values]
    if request.HasField("hybrid"):
        changes["hybrid"] = hybrid_of(request.hybrid)
    if request.HasField("metadata"):
        changes["metadata"] = small_json_of(request.metadata, "metadata")
    return changes


def module(record: Module, counts: Counts = NO_COUNTS, reindexing: pb.Reindex | None = None) -> pb.Module:
    return pb.Module(
        id=record.id,
        record_id=record.id,
        key=record.key,
        name=record.name,
        description=record.description,
        embedding_model_key=record.embedding_model_key,
        vector_provider_key=record.vector_provider_key,
        vector_index_key=record.vector_index_key,
        dimension=record.dimension,
        chunk_config=chunk_config(record.chunk_config),
        file_bucket_key=record.file_bucket_key,
        file_provider_key=record.file_provider_key,
        status=record.status,
        reranker_key=record.reranker_key,
        reranker_oversample=record.reranker_oversample,
        default_top_k=record.default_top_k,
        default_min_score=record.default_min_score,
        default_filter=struct_of(record.default_filter),
        filterable_fields=record.filterable_fields,
        response_detail=record.response_detail,
        hybrid=pb.HybridConfig(
            enabled=record.hybrid.enabled, mode=record.hybrid.mode, alpha=record.hybrid.alpha, k=record.hybrid.k
        ),
        isolate_by_module=record.isolate_by_module,
        metadata=struct_of(record.metadata),
        document_count=counts.documents,
        chunk_count=counts.chunks,
        total_documents=counts.documents,
        total_chunks=counts.chunks,
        reindex=reindexing,
        created_by=record.created_by,
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
    )


def document(record: Document, job: Job | None = None) -> pb.Document:
    return pb.Document(
        id=record.id,
        record_id=record.id,
        rag_module_key=record.module_key,
        file_name=record.file_name,
        content_type=record.content_type,
        size=record.size,
        status=record.status,
        chunk_count=record.chunk_count,
        error_message=record.error_message,
        last_indexed_at=timestamp_of(record.last_indexed_at),
        chunk_config=chunk_config(record.chunk_config) if record.chunk_config else None,
        source_hash=record.source_hash,
        file_bucket_key=record.source.file.bucket_key if record.source.file else "",
        file_key=record.source.file.object_key if record.source.file else "",
        metadata=struct_of(record.metadata),
        text_length=record.text_length,
        progress=_progress(record, job),
        created_by=record.created_by,
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
    )


def _progress(record: Document, job: Job | None) -> float:
    if record.status not in (PENDING, PROCESSING):
        return 1.0
    return job.done / job.total if job is not None and job.total else 0.0


def chunk(record: Chunk) -> pb.Chunk:
    return pb.Chunk(
        id=record.id,
        chunk_index=record.chunk_index,
        content=record.content,
        char_start=record.char_start,
        char_end=record.char_end,
        heading_path=record.heading_path,
        token_count=record.token_count,
        header=record.header,
    )


def reindex(record: Reindex, job: Job | None) -> pb.Reindex:
    return pb.Reindex(
        id=record.id,
        status=record.status,
        reason=record.reason,
        embedding_model_key=record.embedding_model_key,
        chunk_config=chunk_config(record.chunk_config),
        documents_done=int(job.done) if job else 0,
        documents_total=int(job.total) if job else 0,
        attempts=job.attempts if job else 0,
        error_message=record.error_message,
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(job.updated_at if job else record.updated_at),
    )


def ingested(record: Document) -> HttpBody:
    """The answer to an ingestion, as the edge would write the messages of a call that it transcodes."""
    answer: Mapping[str, Any] = {"document": _json_of(document(record)), "chunkCount": record.chunk_count}
    return HttpBody(content_type="application/json", data=orjson.dumps(answer))


def _json_of(message: Message) -> dict[str, Any]:
    made: dict[str, Any] = _whole(json_format.MessageToDict(message, always_print_fields_with_no_presence=True))
    return made


def _whole(value: Any) -> Any:
    """The value with whole numbers as integers, as the edge writes them."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _whole(each) for name, each in value.items()}
        case list():
            return [_whole(each) for each in value]
    return value
