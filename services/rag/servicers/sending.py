"""Sender of downloads."""

from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody

from core.rpc.call import CallContext
from core.tenancy import Project
from services.rag.domain.files.files import Content, Files, Span
from services.rag.servicers import downloads

_HEAD = "x-portico-head"
"""The edge's, for a call that was a HEAD."""


async def send(
    files: Files, project: Project, bucket_key: str, key: str, variant: str, context: CallContext
) -> AsyncIterator[HttpBody]:
    """Send what the call's headers ask for, in chunks; the first, which may be empty, carries the type."""
    asked = {name: value for name, value in context.metadata.items() if isinstance(value, str)}
    if _HEAD in asked:
        content = await files.content(project, bucket_key, key, variant)
        asked.pop("range", None)  # which is for GET alone
        downloads.add_headers(content, downloads.select(content, asked), context)
        yield HttpBody(content_type=content.content_type)
        return

    def select(content: Content) -> Span | None:
        return downloads.select(content, asked)

    async with files.open(project, bucket_key, key, variant, select) as opened:
        downloads.add_headers(opened.content, opened.span, context)
        content_type = opened.content.content_type
        async for chunk in opened.chunks:
            yield HttpBody(content_type=content_type, data=chunk)
            content_type = ""
        if content_type:
            yield HttpBody(content_type=content_type)
