"""OpenAI's JSON of vector stores and their files. Pure."""

from collections.abc import Sequence
from typing import Any

from services.rag.domain.retrieval.matches import Match
from services.rag.domain.vector_stores.views import Batch, Counts, Store, StoreFile


def store(value: Store) -> dict[str, Any]:
    expires_after = None if value.expires_days is None else {"anchor": "last_active_at", "days": value.expires_days}
    return {
        "id": value.id,
        "object": "vector_store",
        "created_at": int(value.created_at),
        "name": value.name,
        "description": value.description,
        "usage_bytes": value.usage_bytes,
        "file_counts": _counts(value.counts),
        "status": value.status,
        "expires_after": expires_after,
        "expires_at": None if value.expires_at is None else int(value.expires_at),
        "last_active_at": int(value.last_active_at),
        "metadata": dict(value.metadata),
    }


def file(value: StoreFile) -> dict[str, Any]:
    sizes = value.chunks
    error = None if value.error is None else {"code": value.error.code, "message": value.error.message}
    return {
        "id": value.id,
        "object": "vector_store.file",
        "created_at": int(value.created_at),
        "vector_store_id": value.store_id,
        "usage_bytes": value.usage_bytes,
        "status": value.status,
        "last_error": error,
        "attributes": dict(value.attributes),
        "chunking_strategy": {
            "type": "static",
            "static": {
                "max_chunk_size_tokens": sizes.max_chunk_size_tokens,
                "chunk_overlap_tokens": sizes.chunk_overlap_tokens,
            },
        },
    }


def batch(value: Batch) -> dict[str, Any]:
    return {
        "id": value.id,
        "object": "vector_store.files_batch",
        "created_at": int(value.created_at),
        "vector_store_id": value.store_id,
        "status": value.status,
        "file_counts": _counts(value.counts),
    }


def page(items: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    return {
        "object": "list",
        "data": list(items),
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }


def deleted(id: str, object: str) -> dict[str, Any]:
    return {"id": id, "object": object, "deleted": True}


def content(texts: Sequence[str]) -> dict[str, Any]:
    return {
        "object": "vector_store.file_content.page",
        "data": [{"type": "text", "text": text} for text in texts],
        "has_more": False,
        "next_page": None,
    }


def results(queries: Sequence[str], matches: Sequence[tuple[str, Match]]) -> dict[str, Any]:
    """`matches` with the ids of their files."""
    return {
        "object": "vector_store.search_results.page",
        "search_query": list(queries),
        "data": [
            {
                "file_id": file_id,
                "filename": match.file_name,
                "score": match.score,
                "attributes": dict(match.metadata),
                "content": [{"type": "text", "text": match.text}],
            }
            for file_id, match in matches
        ],
        "has_more": False,
        "next_page": None,
    }


def _counts(value: Counts) -> dict[str, int]:
    return {
        "in_progress": value.in_progress,
        "completed": value.completed,
        "failed": value.failed,
        "cancelled": value.cancelled,
        "total": value.total,
    }
