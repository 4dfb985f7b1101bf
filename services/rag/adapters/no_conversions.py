"""Conversions where there is no converter: every file is skipped, and its record says so."""

import time

from core.errors import NotFound
from core.tenancy import Project
from services.rag.domain import records
from services.rag.domain.records import File, FileRecords, Markdown


class NoConversions:
    """A Conversions of the ports."""

    def __init__(self, files: FileRecords) -> None:
        self._files = files

    async def request(self, scope: Project, file: File) -> File:
        markdown = Markdown(
            records.SKIPPED, "This installation has no converter.", file.markdown.object_id, file.markdown.size
        )
        changed = await self._files.set_markdown(scope, file, markdown, time.time())
        if changed is None:
            raise NotFound("The file was replaced or deleted meanwhile.", reason="FILE_NOT_FOUND", field="objectKey")
        return changed
