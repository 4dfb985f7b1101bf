"""The text of a document: as it came, or converted from its file and kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

from core.errors import FailedPrecondition, NotFound, Unprocessable
from core.tenancy import Project
from services.rag.domain.files.buckets import Buckets
from services.rag.domain.files.contents import Contents
from services.rag.domain.files.kinds import HEAD_BYTES, Kind, kind_of
from services.rag.domain.files.records import SUCCEEDED, File, FileRecords
from services.rag.domain.knowledge.records import Document, FileRef
from services.rag.domain.knowledge.texts import Texts
from services.rag.ports import Converter


class DocumentTexts:
    """Reads the texts of documents."""

    def __init__(
        self,
        files: FileRecords,
        buckets: Buckets,
        contents: Contents,
        converter: Converter,
        texts: Texts,
        *,
        max_bytes: int,
        max_text: int,
        conversions: int,
    ) -> None:
        """Bytes of the largest file that is converted, and of the longest text; conversions at a time."""
        self._files = files
        self._buckets = buckets
        self._contents = contents
        self._converter = converter
        self._texts = texts
        self._max_bytes = max_bytes
        self._max_text = max_text
        self._turn = asyncio.Semaphore(conversions)

    async def read(self, project: Project, document: Document) -> str:
        """Return the text of the document's source. Raises Unprocessable, UnsupportedMedia, FailedPrecondition where
        the file is gone, and what its provider raises."""
        if document.text_source == document.source.id:
            return await self._texts.read(project, document.id, document.source.id)
        file = await self._file(project, document.source.file)
        text = await self._converted(project, file)
        await self._texts.delete_source(project, document.source.id)  # what a run that was killed has written
        await self._texts.write(project, document.module_id, document.id, document.source.id, text)
        return text

    async def _file(self, project: Project, ref: FileRef | None) -> File:
        found: File | None = None
        if ref is not None:
            with suppress(NotFound):
                bucket = await self._buckets.get(project, ref.bucket_key)
                found = await self._files.find(project, bucket.id, ref.object_key)
        if found is None:
            raise FailedPrecondition("The document's file is gone.", reason="FILE_GONE", field="file")
        return found

    async def _converted(self, project: Project, file: File) -> str:
        if file.markdown.status == SUCCEEDED:
            chunks = self._contents.read(project, file, file.markdown.object_id, 0, file.markdown.size)
            return (await _joined(chunks)).decode(errors="replace")
        if file.size > self._max_bytes:
            raise Unprocessable(
                f"Files of more than {self._max_bytes // 2**20} MiB are not read.",
                reason="FILE_TOO_LARGE",
                field="file",
            )
        beginning = self._contents.read(project, file, file.object_id, 0, min(HEAD_BYTES, file.size))
        kind = kind_of(file.name, file.content_type, await _joined(beginning))
        if kind is Kind.TEXT and file.size > self._max_text:
            limit = self._max_text // 2**20
            raise Unprocessable(f"Texts of more than {limit} MiB are not read.", reason="TEXT_TOO_LARGE", field="file")
        if kind is Kind.TEXT and (text := await self._plain(project, file)) is not None:
            return text
        async with (
            self._turn,
            aclosing(self._contents.read(project, file, file.object_id, 0, file.size)) as content,
            self._converter.convert(kind, content) as markdown,
        ):
            return (await _joined(markdown)).decode(errors="replace")

    async def _plain(self, project: Project, file: File) -> str | None:
        """The text of a file in UTF-8, for which no process is needed; None: it is something else."""
        content = await _joined(self._contents.read(project, file, file.object_id, 0, file.size))
        try:
            return content.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            return None


async def _joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])
