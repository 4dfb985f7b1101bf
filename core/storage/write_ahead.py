"""Records that are in a journal until they are in the store."""

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import orjson

from core import logs
from core.storage.documents import ESCAPED
from core.storage.journal import Journal, Segment
from core.storage.ports import Document
from core.tenancy import Project, Tenant

RecordScope = Project | Tenant
Journalled = tuple[RecordScope, Document]

log = logs.get(__name__)


class WriteAhead:
    """Keeps a segment of the journal until each of its records was `written`.

    A segment is read again, whole, where its records are in no memory: because another process has left it, or because
    there was no room (`forgotten`). A record that is in the store already is skipped there by its id.
    """

    def __init__(self, folder: Path, name: str, *, max_bytes: int) -> None:
        self._journal = Journal(folder, name, max_bytes=max_bytes)
        self._pending: dict[Segment, int] = {}
        """Records in memory of each segment."""
        self._incomplete: set[Segment] = set()
        self._unread: deque[Segment] = deque()
        self.failures = 0
        """Records that could not be journalled, since the start."""

    def adopt(self) -> int:
        """Take over the segments that ended processes have left; how many those are."""
        found = self._journal.adopt()
        self._unread.extend(found)
        return len(found)

    def append(self, scope: RecordScope, document: Document) -> tuple[Segment | None, str | None]:
        """Journal a record, so that a kill of the process loses it no more. Return its segment, None where it cannot be
        journalled, and its text as `insert_counted` takes it, None where there is none."""
        try:
            data = orjson.dumps(document)
            segment = self._journal.append(b"%b\0%b\0%b" % (*_names(scope), data))
        except (OSError, TypeError) as error:  # orjson's errors are TypeErrors
            if not self.failures:
                log.error("record not journalled", error=str(error))
            self.failures += 1
            return None, None
        self._pending[segment] = self._pending.get(segment, 0) + 1
        return segment, None if ESCAPED in data else data.decode()

    def close(self) -> None:
        """Leave what is not written to the next process."""
        for segment in (*self._pending, *self._unread):
            segment.close()
        self._journal.close()

    def scrub(self) -> None:
        """Remove the bytes of records that are in the store already; `scrubbed` says when those of the others, that
        were there by now, are gone too."""
        self._journal.scrub()

    @property
    def scrubbed(self) -> bool:
        """True if no segment from before the last `scrub` is left."""
        return not self._unread and all(each.generation == self._journal.generation for each in self._pending)

    async def synced(self) -> None:
        """Wait until what was appended so far is on the disk. Never raises: a disk that fails is logged."""
        try:
            await self._journal.synced()
        except OSError as error:
            log.error("journal not synced", error=str(error))

    def written(self, segment: Segment, count: int = 1) -> None:
        """Count records of the segment as written, or as such that never can be."""
        self._pending[segment] -= count
        if self._pending[segment]:
            return
        del self._pending[segment]
        if segment in self._incomplete:
            self._incomplete.remove(segment)
            self._unread.append(segment)
            if segment is self._journal.current:
                self._journal.rotate()
        else:
            self._journal.release(segment)

    def forgotten(self, segment: Segment) -> None:
        """Note that a record of the segment has left the memory unwritten, so that the segment is read again."""
        self._incomplete.add(segment)
        self.written(segment)

    @property
    def unread(self) -> bool:
        """True if segments wait to be read."""
        return bool(self._unread)

    async def read(self) -> tuple[Segment, Sequence[Journalled]]:
        """The records of the next segment to be read, each of which is to be `written` or `forgotten`. One that cannot
        be read now is left to the next `adopt`."""
        segment = self._unread.popleft()
        try:
            found = await asyncio.to_thread(_records, segment)
        except (OSError, ValueError):
            log.exception("journal not read", journal=segment.path.name)
            self._journal.leave(segment)
            return segment, []
        if found:
            self._pending[segment] = len(found)
        else:
            self._journal.release(segment)
        return segment, found


def _names(scope: RecordScope) -> tuple[bytes, bytes]:
    return (scope.slug.encode(), b"") if isinstance(scope, Tenant) else (scope.tenant.slug.encode(), scope.id.encode())


def _records(segment: Segment) -> list[Journalled]:
    found: list[Journalled] = []
    for payload in segment.payloads():
        slug, project, data = payload.split(b"\0", 2)
        tenant = Tenant(slug.decode())
        found.append((Project(tenant, project.decode()) if project else tenant, orjson.loads(data)))
    return found
