"""Conversion to Markdown, as durable background jobs. What has become of one stands in the file's record.

A job is about one content of a file. Where that is replaced or deleted, the job ends without a trace.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

from core import logs
from core.errors import Conflict, NotFound, Unavailable, UnsupportedMedia
from core.jobs.ends import JobEnd
from core.jobs.jobs import Jobs
from core.jobs.records import Status
from core.jobs.run import MAY_PASS, JobRun
from core.tenancy import Project
from services.rag.domain.files import records
from services.rag.domain.files.contents import Contents
from services.rag.domain.files.kinds import HEAD_BYTES, Kind, kind_of
from services.rag.domain.files.markdown import MarkdownFiles
from services.rag.domain.files.records import File, FileRecords, Markdown
from services.rag.ports import Converter

log = logs.get(__name__)

KIND: Final = "file.conversion"

_MIB = 1024 * 1024
_ATTEMPTS = 4
"""Attempts before a conversion is given up that fails by our own fault or over which the service is killed."""
_OUR_FAULT = frozenset({"INTERNAL", "INTERRUPTED"})
"""Reasons of a failed job whose texts say nothing about the file."""
CONVERT_SECONDS = 900.0
"""Time for reading the file, converting it and writing the Markdown: so long may a slow provider hold a worker."""
_WATCH_SECONDS = 1.0
"""Longest time until a conversion notices that its file has been replaced or deleted."""


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """Raises Unavailable after CONVERT_SECONDS."""
    try:
        async with asyncio.timeout(CONVERT_SECONDS):
            yield
    except TimeoutError:
        raise Unavailable("The file provider took too long.") from None


class FileConversions:
    """Turns files into Markdown in the background. `max_bytes` is the size of the largest file that is converted."""

    def __init__(
        self,
        jobs: Jobs,
        files: FileRecords,
        contents: Contents,
        markdown: MarkdownFiles,
        converter: Converter,
        *,
        max_bytes: int,
    ) -> None:
        self._jobs = jobs
        self._files = files
        self._contents = contents
        self._markdown = markdown
        self._converter = converter
        self._max_bytes = max_bytes

    async def request(self, scope: Project, file: File) -> File:
        """Start or restart the conversion of a file: its record as it is then, usually pending. Asking twice for
        the same content is no mistake. Raises UnsupportedMedia for a kind that cannot be converted."""
        try:
            await self._kind(scope, file)
        except UnsupportedMedia as error:
            if file.markdown.status != records.SUCCEEDED:
                await self._markdown.mark(scope, file, records.SKIPPED, error.message)
            raise
        payload = {
            "file": file.id,
            "object": file.object_id,
            "markdown": file.markdown.object_id,
            "path": file.path,
        }
        key = f"{KIND} {file.object_id}"
        try:
            await self._jobs.submit(scope, KIND, payload, unique_key=key, max_attempts=_ATTEMPTS)
        except Conflict:  # it is under way
            return await self._now(scope, file)
        if file.markdown.status == records.PENDING:
            return file
        pending = Markdown(records.PENDING, "", file.markdown.object_id, file.markdown.size)
        changed = await self._files.set_markdown(scope, file, pending, time.time(), untouched=True)
        return changed or await self._now(scope, file)  # the job was faster

    async def resume(self, scope: Project, file: File) -> None:
        """Request the conversion of a file whose upload was cut off between its record and the request."""
        if file.markdown.status == records.PENDING:
            await self.request(scope, file)

    async def run(self, run: JobRun) -> None:
        """The handler of the jobs."""
        file = await self._files.get(run.scope, run.payload["file"])
        if file is None or file.object_id != run.payload["object"]:
            run.change.recorded = False
            return
        run.change.resource_id = file.path
        if file.markdown.object_id != run.payload["markdown"]:  # done before, but for the job's own end
            return
        if await self._markdown.mark(run.scope, file, records.RUNNING) is None:
            run.change.recorded = False
            return
        work = asyncio.create_task(self._convert(run, file))
        try:
            while not (await asyncio.wait({work}, timeout=_WATCH_SECONDS))[0]:
                if not await self._is_there(run.scope, file):
                    log.info("conversion of a file that is gone")
                    run.change.recorded = False
                    return
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def ended(self, end: JobEnd) -> None:
        """The end hook of the jobs: a conversion that failed for good says so in the file's record."""
        if end.status is not Status.FAILED:
            return
        file = await self._files.get(end.scope, end.payload["file"])
        if file is None or file.object_id != end.payload["object"]:
            return
        if file.markdown.object_id != end.payload["markdown"]:  # it was done, but for the job's own end
            return
        message = "The conversion broke off again and again." if end.reason in _OUR_FAULT else end.error
        await self._markdown.mark(end.scope, file, records.FAILED, message)

    async def _convert(self, run: JobRun, file: File) -> None:
        began = time.monotonic()
        try:
            kind = await self._kind(run.scope, file)
            async with (
                _in_time(),
                aclosing(self._contents.read(run.scope, file, file.object_id, 0, file.size)) as content,
                self._converter.convert(kind, content) as markdown,
            ):
                done = await self._markdown.write(run.scope, file, markdown)
        except UnsupportedMedia as error:
            run.change.recorded = False
            await self._markdown.mark(run.scope, file, records.SKIPPED, error.message)
        except MAY_PASS:
            await self._markdown.mark(run.scope, file, records.PENDING)
            raise
        else:
            run.change.recorded = done is not None
            size = done.markdown.size if done else 0
            log.info("converted", kind=kind.value, bytes=file.size, markdown=size, seconds=time.monotonic() - began)

    async def _kind(self, scope: Project, file: File) -> Kind:
        """Raises UnsupportedMedia."""
        if file.size > self._max_bytes:
            raise UnsupportedMedia(
                f"Files of more than {self._max_bytes // _MIB} MiB are not converted.",
                reason="NOT_CONVERTIBLE",
                field="objectKey",
            )
        beginning = self._contents.read(scope, file, file.object_id, 0, min(HEAD_BYTES, file.size))
        async with aclosing(beginning) as chunks:
            head = b"".join([chunk async for chunk in chunks])
        return kind_of(file.name, file.content_type, head)

    async def _is_there(self, scope: Project, file: File) -> bool:
        now = await self._files.get(scope, file.id)
        return now is not None and now.object_id == file.object_id

    async def _now(self, scope: Project, file: File) -> File:
        now = await self._files.get(scope, file.id)
        if now is None:
            raise NotFound("The file was deleted meanwhile.", reason="FILE_NOT_FOUND", field="objectKey")
        return now
