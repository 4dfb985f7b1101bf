"""The JSON of files' records, as the edge would write their messages. Pure.

Only the numbers in metadata differ: they are those that came, where a message's Struct has 64-bit floats only.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from google.api.httpbody_pb2 import HttpBody

from core.rpc.values import timestamp_of
from services.rag.domain.files.records import File


def file(record: File, markdown: str = "") -> dict[str, Any]:
    """A File."""
    return {
        "id": record.id,
        "_id": record.id,
        "key": record.key,
        "bucketKey": record.bucket_key,
        "providerKey": record.provider_key,
        "name": record.name,
        "fileName": record.name,
        "size": record.size,
        "contentType": record.content_type,
        "checksum": record.checksum,
        "etag": record.etag,
        "metadata": dict(record.metadata),
        "markdownStatus": record.markdown.status,
        "markdownError": record.markdown.error,
        "markdownSize": record.markdown.size,
        "markdownContent": markdown,
        "createdBy": record.created_by,
        "createdAt": _time(record.created_at),
        "updatedAt": _time(record.updated_at),
    }


def page(files: Sequence[dict[str, Any]], cursor: str) -> HttpBody:
    """A ListFilesResponse of what `file` makes of each."""
    next_cursor = {"nextCursor": cursor} if cursor else {}
    return _body({"files": files, "count": len(files), **next_cursor, "nextPageToken": cursor})


def one(record: File, markdown: str = "") -> HttpBody:
    """A GetFileResponse, or one of the same form."""
    return _body({"file": file(record, markdown)})


def uploaded(record: File) -> HttpBody:
    return _body({"file": file(record), "message": "The file was uploaded."})


def uploaded_openai_file(record: File) -> HttpBody:
    """An OpenAIFile."""
    return _body(
        {
            "id": record.key,
            "object": "file",
            "bytes": record.size,
            "created_at": int(record.created_at),
            "filename": record.name,
            "purpose": record.purpose,
            "status": "processed",
        }
    )


def _body(content: object) -> HttpBody:
    return HttpBody(content_type="application/json", data=orjson.dumps(content))


def _time(seconds: float) -> str:
    """RFC 3339, in UTC."""
    timestamp = timestamp_of(seconds)
    assert timestamp is not None
    text: str = timestamp.ToJsonString()
    return text
