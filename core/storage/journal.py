"""Files of records that are on their way to the store: what a killed process leaves, another one writes.

A segment is a file of a fixed size that is mapped into memory. A record is its length and its CRC-32, of four bytes
each, and the payload; a length of zero ends the segment. The length is written last, so a record is there whole or not
at all; and what is in the mapping outlives the process without a system call. `synced` waits until it is on the disk.
"""

import asyncio
import contextlib
import fcntl
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from core import logs

SEGMENT_BYTES = 4 * 1024 * 1024
_SUFFIX = ".journal"
_DRAFT = ".draft"
_HEAD = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_END = bytes(_LENGTH.size)
_SPARE = 2
"""Empty segments that are kept for the next records."""

log = logs.get(__name__)


@dataclass(eq=False, slots=True)
class Segment:
    """One file of a journal, locked by the process that it belongs to as long as it is open."""

    path: Path
    descriptor: int
    memory: mmap.mmap | None = None
    """None: it was another process's."""
    end: int = 0
    """Position of the next record."""
    generation: int = 0
    """Number of times that the journal had been scrubbed when the segment was made."""

    def payloads(self) -> Iterator[bytes]:
        """The payloads, oldest first. Raises OSError."""
        content, at = self.path.read_bytes(), 0
        while at + _HEAD.size <= len(content):
            length, checksum = _HEAD.unpack_from(content, at)
            payload = content[at + _HEAD.size : at + _HEAD.size + length]
            if not length:
                return
            if len(payload) < length or zlib.crc32(payload) != checksum:
                log.warning("journal damaged: the rest of it is not read", journal=self.path.name, at=at)
                return
            yield payload
            at += _HEAD.size + length

    def write(self, payload: bytes) -> bool:
        """Append a payload, if there is room."""
        memory, at = self.memory, self.end
        after = at + _HEAD.size + len(payload)
        if memory is None or after + _LENGTH.size > len(memory):
            return False
        memory[at + _LENGTH.size : after + _LENGTH.size] = (
            _LENGTH.pack(zlib.crc32(payload)) + payload + _END
        )  # the length comes last
        memory[at : at + _LENGTH.size] = _LENGTH.pack(len(payload))
        self.end = after
        return True

    def empty(self) -> None:
        """Drop all records."""
        if self.memory is not None:
            self.memory[: _LENGTH.size] = _END
        self.end = 0

    def remove(self) -> None:
        """Delete the file and unlock it. Never raises."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Unlock the file and leave it to whoever adopts it."""
        if self.memory is not None:
            self.memory.close()
            self.memory = None
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
        self._segments = max(1, max_bytes // SEGMENT_BYTES)
        """Number of segments that there may be."""
        self._number = 0
        self._process = token_hex(8)
        self.current: Segment | None = None
        """Segment that the next record goes to."""
        self.generation = 0
        """Number of times that it was scrubbed."""
        self._count = 0
        """Number of segments that hold records."""
        self._spare: list[Segment] = []
        self._dirty: list[Segment] = []
        """Segments that were written to since they were last synced."""
        self._appended = 0
        self._synced = 0
        """Number of records, of those appended, that are known to be on the disk."""
        self._syncing: asyncio.Future[None] | None = None

    def append(self, payload: bytes) -> Segment:
        """Append a payload, and return the segment that holds it. Raises OSError where the disk or the journal is
        full."""
        segment = self.current
        if segment is None or not segment.write(payload):
            segment = self._next()
            if not segment.write(payload):
                raise OSError(f"a record of {len(payload)} bytes is too large for a journal")
        self._appended += 1
        if not self._dirty or self._dirty[-1] is not segment:
            self._dirty.append(segment)
        return segment

    def rotate(self) -> None:
        """Begin another segment with the next record, so that the present one can be read."""
        self.current = None

    def release(self, segment: Segment) -> None:
        """Empty a segment whose records are all in the store."""
        if segment in self._dirty:
            self._dirty.remove(segment)
        fresh = segment.generation == self.generation
        if segment is self.current:
            if fresh:
                segment.empty()
                return
            self.current = None
        self._count -= 1
        if segment.memory is not None and fresh and len(self._spare) < _SPARE:
            segment.empty()
            self._spare.append(segment)
        else:
            segment.remove()

    def scrub(self) -> None:
        """Remove the files of empty segments, which still hold the bytes of earlier records. Those of the others are
        removed, and not used again, once their records are in the store."""
        self.generation += 1
        current, self.current = self.current, None
        if current is not None and not current.end:
            self._count -= 1
            self._spare.append(current)
        for segment in self._spare:
            if segment in self._dirty:
                self._dirty.remove(segment)
            segment.remove()
        self._spare = []

    def leave(self, segment: Segment) -> None:
        """Unlock a segment with its records, so that `adopt` finds it again."""
        if segment in self._dirty:
            self._dirty.remove(segment)
        self._count -= 1
        segment.close()

    def adopt(self) -> list[Segment]:
        """Lock and return the segments that no process holds. One that cannot be opened is logged and left."""
        found = []
        for path in sorted(self._folder.glob(f"{self._name}-*{_SUFFIX}")):
            try:
                found.append(_locked(path))
            except (FileNotFoundError, BlockingIOError):
                continue
            except OSError as error:
                log.error("journal not opened", journal=path.name, error=str(error))
        self._count += len(found)
        return found

    def close(self) -> None:
        """Remove the segments that are empty."""
        current, self.current = self.current, None
        for segment in (*self._spare, *([current] if current is not None and not current.end else [])):
            segment.remove()
        self._spare = []

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

    def _next(self) -> Segment:
        if self._spare:
            segment = self._spare.pop()
        elif self._count < self._segments:
            segment = self._create()
        else:
            raise OSError(f"the journal {self._name} is full")
        self._count += 1
        self.current = segment
        return segment

    def _create(self) -> Segment:
        """Create and lock a file before it gets the name by which others look for it. Its room on the disk is taken at
        once: a mapping cannot tell that there is none."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number += 1
        path = self._folder / f"{self._name}-{self._process}-{self._number:08}{_SUFFIX}"
        draft = path.with_suffix(_DRAFT)
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.posix_fallocate(descriptor, 0, SEGMENT_BYTES)
            memory = mmap.mmap(descriptor, SEGMENT_BYTES)
            draft.rename(path)
        except BaseException:
            os.close(descriptor)
            draft.unlink(missing_ok=True)
            raise
        return Segment(path, descriptor, memory, generation=self.generation)


def _locked(path: Path) -> Segment:
    """Lock a segment. Raises BlockingIOError where its process is alive, FileNotFoundError where it is gone."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists():  # whoever had the lock has removed it meanwhile
            raise FileNotFoundError(path)
        return Segment(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _sync_file(descriptor: int) -> None:
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
