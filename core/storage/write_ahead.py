"""Records that are in a journal until they are in the store."""

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import orjson

from core import logs
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
        try:
            found = self._journal.adopt()
        except OSError:
            log.exception("journal not read")
            return 0
        self._unread.extend(found)
        return len(found)

    def append(self, scope: RecordScope, document: Document) -> Segment | None:
        """Journal a record, so that a kill of the process loses it no more. None where that cannot be done."""
        try:
            segment = self._journal.append(orjson.dumps([*_names(scope), document]))
        except (OSError, TypeError) as error:  # orjson's errors are TypeErrors
            if not self.failures:
                log.error("record not journalled", error=str(error))
            self.failures += 1
            return None
        self._pending[segment] = self._pending.get(segment, 0) + 1
        return segment

    def close(self) -> None:
        """Leave what is not written to the next process."""
        for segment in (*self._pending, *self._unread):
            segment.close()

    async def synced(self) -> None:
        """Wait until what was appended so far is on the disk. Never raises: a disk that fails is logged."""
        try:
            await self._journal.synced()
        except OSError as error:
            log.error("journal not synced", error=str(error))

    def rotate(self) -> None:
        """Go on in a new segment."""
        self._journal.rotate()

    def written(self, segment: Segment) -> None:
        """Count one record of the segment as written, or as one that never can be."""
        self._pending[segment] -= 1
        if not self._pending[segment]:
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
        """The records of the next segment to be read, each of which is to be `written` or `forgotten`."""
        segment = self._unread.popleft()
        try:
            found = await asyncio.to_thread(_records, segment)
        except OSError:
            log.exception("journal not read", journal=segment.path.name)
            found = []
        if found:
            self._pending[segment] = len(found)
        else:
            self._journal.release(segment)
        return segment, found


def _names(scope: RecordScope) -> tuple[str, str]:
    return (scope.slug, "") if isinstance(scope, Tenant) else (scope.tenant.slug, scope.id)


def _records(segment: Segment) -> list[Journalled]:
    found: list[Journalled] = []
    for line in segment.lines():
        slug, project, document = orjson.loads(line)
        found.append((Project(Tenant(slug), project) if project else Tenant(slug), document))
    return found
