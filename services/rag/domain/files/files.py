"""The files of a project's buckets: list, read, upload, delete."""

import base64
import binascii
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from core import fields
from core.audit import changes as audit
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound, Unavailable
from core.tenancy import Project
from services.rag.domain.files import names, records
from services.rag.domain.files.buckets import Bucket, Buckets
from services.rag.domain.files.contents import Contents
from services.rag.domain.files.providers import FileProviders
from services.rag.domain.files.records import File
from services.rag.domain.files.uploads import Upload, UploadDeps, check_open

ORIGINAL, MARKDOWN = "original", "markdown"
MARKDOWN_INLINE_BYTES = 1024 * 1024
_MARKDOWN_TYPE = "text/markdown; charset=utf-8"
_ATTEMPTS = 20
_READ_ATTEMPTS = 5
_BATCH = 1000
MOST_SCANNED = 20_000
"""Records that one page of a search looks at."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file's content or Markdown for download, as it was when it was looked up."""

    file: File
    object_id: str
    name: str
    size: int
    content_type: str
    etag: str
    modified_at: float
    """Time of the last change, never before the content's; Unix seconds."""


@dataclass(frozen=True, slots=True)
class Span:
    """`length` bytes from `offset` on; `partial` where a part was asked for, even if that is all there is."""

    offset: int
    length: int
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """Content that is there to be read."""

    content: Content
    span: Span | None
    chunks: AsyncIterator[bytes]


Select = Callable[[Content], Span | None]
"""Choice of the bytes to read; None: none."""


class Files:
    """Use cases. Each takes the project first; what is another's is not there."""

    def __init__(self, deps: UploadDeps, buckets: Buckets, providers: FileProviders, contents: Contents) -> None:
        self._deps = deps
        self._records = deps.records
        self._buckets = buckets
        self._providers = providers
        self._contents = contents

    async def list(
        self, project: Project, bucket_key: str, *, search: str = "", size: int = 0, cursor: str = ""
    ) -> tuple[list[File], str]:
        """One page by key, and the cursor of the next. Pages need not be full: those of a search that finds little, and
        those of files with much metadata. Raises NotFound (bucket), InvalidInput."""
        limit = fields.page_size(size, field="limit")
        after = _key_of(cursor)
        wanted = fields.text("search", search, at_most=1024).casefold()
        bucket = await self._buckets.get(project, bucket_key)
        if not wanted:
            files, more = await self._records.by_key(project, bucket.id, after, limit)
            return files, _cursor_of(files[-1].key) if more else ""
        found: list[File] = []
        for _ in range(MOST_SCANNED // _BATCH):
            batch, more = await self._records.by_key(project, bucket.id, after, _BATCH)
            for file in batch:
                if wanted in file.key.casefold() or wanted in file.name.casefold():
                    if len(found) == limit:
                        return found, _cursor_of(found[-1].key)
                    found.append(file)
            if not more:
                return found, ""
            after = batch[-1].key
            if found and len(batch) < _BATCH:  # they are large: what has been found is enough for a page
                break
        return found, _cursor_of(after)

    async def get(self, project: Project, bucket_key: str, key: str) -> File:
        """The file of this key. Raises NotFound."""
        _, file = await self._find(project, bucket_key, key)
        return file

    async def delete(self, project: Project, bucket_key: str, key: str) -> None:
        """Delete a file. Raises NotFound."""
        for _ in range(_ATTEMPTS):
            bucket, file = await self._find(project, bucket_key, key)
            audit.change().resource_id = file.path
            intent = await self._deps.orphan_collector.register(project, bucket, file.objects)
            if await self._records.remove(project, file):
                await self._deps.orphan_collector.finish(intent, file.objects)
                return
            await self._deps.orphan_collector.finish(intent, ())  # replaced meanwhile, or gone
        raise Conflict("The file is being replaced by others. Try again.", reason="CHANGED_MEANWHILE")

    @asynccontextmanager
    async def begin(self, project: Project, bucket_key: str) -> AsyncIterator[Upload]:
        """Begin an upload into the bucket; leaving without a commit leaves nothing. Raises NotFound,
        FailedPrecondition."""
        bucket = await self._buckets.get(project, bucket_key)
        check_open(bucket)
        provider = await self._providers.active(project, bucket.provider_id)
        upload = Upload(self._deps, project, bucket, provider)
        try:
            yield upload
        finally:
            await upload.abandon()

    async def content(self, project: Project, bucket_key: str, key: str, variant: str = ORIGINAL) -> Content:
        """The content of a file. Raises NotFound, InvalidInput (variant), FailedPrecondition (no Markdown)."""
        fields.one_of("variant", variant, (ORIGINAL, MARKDOWN))
        file = await self.get(project, bucket_key, key)
        if variant == ORIGINAL:
            modified = file.stored_at or file.updated_at
            return Content(file, file.object_id, file.name, file.size, file.content_type, file.etag, modified)
        markdown = file.markdown
        if markdown.status != records.SUCCEEDED:
            raise FailedPrecondition(
                f"The file has no Markdown: its conversion is {markdown.status}.", reason="NO_MARKDOWN", field="variant"
            )
        object_id = markdown.object_id
        name, etag = f"{file.name}.md", f'"{object_id}"'
        return Content(file, object_id, name, markdown.size, _MARKDOWN_TYPE, etag, file.updated_at)

    @asynccontextmanager
    async def open(
        self, project: Project, bucket_key: str, key: str, variant: str, select: Select
    ) -> AsyncIterator[Opened]:
        """The content and the chunks of what is selected of it, the first of which has been read: what can fail at the
        beginning has failed. Raises as `content`, what `select` raises, and Unavailable."""
        for _ in range(_READ_ATTEMPTS):
            content = await self.content(project, bucket_key, key, variant)
            span = select(content)
            if span is None:
                yield Opened(content, None, _chained(b"", None))
                return
            wanted = self._contents.read(project, content.file, content.object_id, span.offset, span.length)
            async with aclosing(wanted) as chunks:
                try:
                    first = await anext(chunks, b"")
                except NotFound:  # replaced or deleted since it was looked up
                    continue
                yield Opened(content, span, _chained(first, chunks))
                return
        raise Unavailable("The file's content cannot be found.", reason="OBJECT_MISSING")

    async def markdown_text(self, project: Project, file: File) -> str:
        """The file's Markdown, where there is some of at most MARKDOWN_INLINE_BYTES; else empty."""
        if file.markdown.status != records.SUCCEEDED or file.markdown.size > MARKDOWN_INLINE_BYTES:
            return ""
        async with self.open(
            project, file.bucket_key, file.key, MARKDOWN, lambda content: Span(0, content.size)
        ) as opened:
            return b"".join([chunk async for chunk in opened.chunks]).decode(errors="replace")

    async def convert(self, project: Project, bucket_key: str, key: str) -> File:
        """Request the conversion of a file. Raises NotFound, UnsupportedMedia."""
        return await self._deps.conversions.request(project, await self.get(project, bucket_key, key))

    async def _find(self, project: Project, bucket_key: str, key: str) -> tuple[Bucket, File]:
        names.object_key("objectKey", key)
        bucket = await self._buckets.get(project, bucket_key)
        file = await self._records.find(project, bucket.id, key)
        if file is None:
            raise NotFound("There is no such file in this bucket.", reason="FILE_NOT_FOUND", field="objectKey")
        return bucket, file


def _cursor_of(key: str) -> str:
    return base64.urlsafe_b64encode(b"k" + key.encode()).rstrip(b"=").decode()


def _key_of(cursor: str) -> str:
    """Raises InvalidInput for what `_cursor_of` did not make."""
    if not cursor:
        return ""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    if not text.startswith("k") or _cursor_of(text[1:]) != cursor:
        raise InvalidInput("cursor must be the nextCursor of a page.", field="cursor")
    return text[1:]


async def _chained(first: bytes, rest: AsyncIterator[bytes] | None) -> AsyncIterator[bytes]:
    if first:
        yield first
    if rest is not None:
        async for chunk in rest:
            yield chunk
