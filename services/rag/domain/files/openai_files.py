"""OpenAI's files: a bucket of their own, in the order of time, with ids as OpenAI makes them.

An id holds the file's position among the others, so that a list can go on after a file that has been deleted.
"""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from core import fields
from core.errors import NotFound
from core.tenancy import Project
from services.rag.domain.files.buckets import OPENAI, Buckets
from services.rag.domain.files.files import Files
from services.rag.domain.files.records import File, FileRecords, position_at
from services.rag.domain.files.uploads import Upload

_MOST = 10_000
_BATCH = 1000


PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")
"""OpenAI's. Typed clients cannot read a list that holds another one."""

_ID = re.compile(r"file-([0-9a-f]{24})")


def new_id() -> str:
    return f"file-{position_at(time.time())}"


def position_in(id: str) -> str:
    """Return the list position of the file with this id, which may be deleted; empty: not an id of ours."""
    found = _ID.fullmatch(id)
    return found[1] if found else ""


def purpose(value: str) -> str:
    """Check a purpose. Raises InvalidInput."""
    return fields.one_of("purpose", value, PURPOSES)


class OpenAIFiles:
    """Use cases. Each takes the project first; what is another's is not there."""

    def __init__(self, files: Files, records: FileRecords, buckets: Buckets) -> None:
        self.files = files
        self._records = records
        self._buckets = buckets

    @asynccontextmanager
    async def begin(self, project: Project) -> AsyncIterator[Upload]:
        async with self.files.begin(project, OPENAI) as upload:
            yield upload

    async def get(self, project: Project, id: str) -> File:
        """The file of this id. Raises NotFound."""
        return await self.files.get(project, OPENAI, id)

    async def delete(self, project: Project, id: str) -> None:
        """Delete a file. Raises NotFound."""
        await self.files.delete(project, OPENAI, id)

    async def list(
        self, project: Project, *, purpose: str = "", limit: int = 0, after: str = "", order: str = ""
    ) -> tuple[list[File], bool]:
        """One page, and whether there are more. Raises InvalidInput, NotFound (`after`)."""
        size = fields.between("limit", limit, 1, _MOST, default=_MOST)
        if purpose:
            fields.one_of("purpose", purpose, PURPOSES)
        descending = fields.one_of("order", order or "desc", ("asc", "desc")) == "desc"
        bucket = await self._buckets.get(project, OPENAI)
        position = ""
        if after:
            last = await self._records.find(project, bucket.id, after)
            position = last.position if last is not None else position_in(after)
            if not position:
                raise NotFound("There is no file with this id to go on after.", reason="FILE_NOT_FOUND", field="after")
        found: list[File] = []
        while True:
            wanted = min(_BATCH, size + 1 - len(found))
            batch, more = await self._records.by_time(
                project, bucket.id, purpose, position, wanted, descending=descending
            )
            # Metadata may be large, and OpenAI's files show none.
            found += [msgspec.structs.replace(file, metadata={}) for file in batch]
            if len(found) > size:
                return found[:size], True
            if not more:
                return found, False
            position = batch[-1].position
