"""Append-only files of records that are on their way to the store: what a killed process leaves, another one writes.

A line is the CRC-32 of a payload, in hexadecimal digits, and the payload. It is handed to the operating system before
`append` returns, so it outlives the process; `synced` waits until it is on the disk. The last line of a killed process
may be torn: lines that do not match their checksum are skipped.
"""

import asyncio
import contextlib
import fcntl
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from core import logs

SEGMENT_BYTES = 8 * 1024 * 1024
"""Size at which a segment is full."""
_SUFFIX = ".journal"
_DRAFT = ".draft"
_CHECKSUM_DIGITS = 8

log = logs.get(__name__)


@dataclass(eq=False, slots=True)
class Segment:
    """One file of a journal, locked by the process that it belongs to as long as it is open."""

    path: Path
    descriptor: int
    size: int = 0

    def lines(self) -> Iterator[bytes]:
        """The payloads, oldest first. Raises OSError."""
        with self.path.open("rb") as file:
            for line in file:
                payload = line[_CHECKSUM_DIGITS + 1 : -1]
                if line[:_CHECKSUM_DIGITS] == _checksum(payload) and line.endswith(b"\n"):
                    yield payload
                else:
                    log.warning("torn line of a journal skipped", journal=self.path.name, size=len(line))

    def remove(self) -> None:
        """Delete the file and unlock it. Never raises."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Unlock the file and leave it to whoever adopts it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Journal:
    """The journal of one process: segments `<name>-*.journal` in a folder that processes share.

    `max_bytes` bounds the segments that this process holds; `append` raises OSError beyond it.
    """

    def __init__(self, folder: Path, name: str, *, max_bytes: int) -> None:
        self._folder = folder
        self._name = name
        self._max_bytes = max_bytes
        self._number = 0
        self._process = token_hex(8)
        self.current: Segment | None = None
        """Segment that the next line goes to."""
        self._bytes = 0
        self._dirty: list[Segment] = []
        """Segments that were written to since they were last synced."""
        self._appended = 0
        self._synced = 0
        """Number of lines, of those appended, that are known to be on the disk."""
        self._syncing: asyncio.Future[None] | None = None

    def append(self, payload: bytes) -> Segment:
        """Append a payload without a line break, and return the segment that holds it. Raises OSError where the disk
        or the journal is full."""
        line = b"%b %b\n" % (_checksum(payload), payload)
        if self._bytes + len(line) > self._max_bytes:
            raise OSError(f"the journal {self._name} is full")
        segment = self.current
        if segment is None or segment.size > SEGMENT_BYTES:
            segment = self.current = self._create()
        written = os.write(segment.descriptor, line)
        segment.size += written
        self._bytes += written
        self._appended += 1
        if not self._dirty or self._dirty[-1] is not segment:
            self._dirty.append(segment)
        if written < len(line):  # the disk is full: what is there of the line is torn
            self.current = None
            raise OSError("the disk is full")
        return segment

    def rotate(self) -> None:
        """Begin a new segment with the next line, so that the present one can be removed."""
        self.current = None

    def release(self, segment: Segment) -> None:
        """Remove a segment whose records are all in the store."""
        if segment is self.current:
            self.current = None
        self._bytes -= segment.size
        if segment in self._dirty:
            self._dirty.remove(segment)
        segment.remove()

    def adopt(self) -> list[Segment]:
        """Lock and return the segments of processes that have ended. Raises OSError."""
        found = []
        for path in sorted(self._folder.glob(f"{self._name}-*{_SUFFIX}")):
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                found.append(_locked(path))
        self._bytes += sum(segment.size for segment in found)
        return found

    async def synced(self) -> None:
        """Wait until all that was appended so far is on the disk. Calls that come together share one wait. Raises
        OSError."""
        wanted = self._appended
        while self._synced < wanted:
            if self._syncing is None:
                self._syncing = asyncio.ensure_future(self._sync())
            await asyncio.shield(self._syncing)

    async def _sync(self) -> None:
        appended, dirty = self._appended, self._dirty
        self._dirty = []
        try:
            for segment in dirty:
                if segment.descriptor >= 0:  # else its records are in the store
                    await asyncio.to_thread(_sync_file, os.dup(segment.descriptor))
            self._synced = appended
        except OSError:
            self._dirty = dirty + self._dirty
            raise
        finally:
            self._syncing = None

    def _create(self) -> Segment:
        """Create and lock a file before it gets the name by which others look for it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number += 1
        path = self._folder / f"{self._name}-{self._process}-{self._number:08}{_SUFFIX}"
        draft = path.with_suffix(_DRAFT)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(path)
        except BaseException:
            os.close(descriptor)
            raise
        return Segment(path, descriptor)


def _locked(path: Path) -> Segment:
    """Lock a segment. Raises BlockingIOError where its process is alive, FileNotFoundError where it is gone."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists():  # whoever had the lock has removed it meanwhile
            raise FileNotFoundError(path)
        return Segment(path, descriptor, os.fstat(descriptor).st_size)
    except BaseException:
        os.close(descriptor)
        raise


def _checksum(payload: bytes) -> bytes:
    return b"%08x" % zlib.crc32(payload)


def _sync_file(descriptor: int) -> None:
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
