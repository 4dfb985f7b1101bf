"""Records in a journal: none is lost with its process, and none is written twice."""

import asyncio
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.errors import Unavailable
from core.storage import journal as journals
from core.storage.journal import Journal, Segment
from core.storage.ports import TIME, Collection, Document, Level
from core.storage.write_ahead import WriteAhead
from core.storage.write_behind import WriteBehind
from core.tasks import Tasks
from core.tenancy import Project, Scope, Tenant
from tests.support.stores import MemoryStore

PROJECT = Project(Tenant("acme"), "p1")
OTHER = Project(Tenant("globex"), "p1")
EVENTS = Collection("events", Level.PROJECT, {"createdAt": TIME}, indexes=(("createdAt",),))
MIB = 1024 * 1024


def journal(folder: Path, max_bytes: int = MIB) -> Journal:
    return Journal(folder, "usage", max_bytes=max_bytes)


def end(*segments: Segment) -> None:
    """Unlock segments, as the kernel does when their process is killed."""
    for segment in segments:
        segment.close()


def payloads(segments: Sequence[Segment]) -> list[bytes]:
    return [line for segment in segments for line in segment.payloads()]


def test_what_an_ended_process_left_is_adopted_once(tmp_path: Path) -> None:
    ended = journal(tmp_path)
    segment = ended.append(b"one")
    assert ended.append(b"two") is segment
    assert journal(tmp_path).adopt() == []  # its process is alive
    end(segment)
    found = journal(tmp_path).adopt()
    assert payloads(found) == [b"one", b"two"]
    assert journal(tmp_path).adopt() == []


def test_only_the_owner_may_read_a_journal(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    segment = journal(folder).append(b"one")
    assert stat.S_IMODE(segment.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("torn", [b"\7\0\0\0", b"\7\0\0\0wrong sum", b"\xff" * 40, b"\1" * 3])
def test_a_torn_tail_costs_no_other_record(tmp_path: Path, torn: bytes) -> None:
    segment = journal(tmp_path).append(b"one")
    end(segment)
    with segment.path.open("r+b") as file:
        file.seek(segment.end)
        file.write(torn)
    (found,) = journal(tmp_path).adopt()
    assert list(found.payloads()) == [b"one"]


def test_every_cut_of_a_journal_leaves_its_whole_records(tmp_path: Path) -> None:
    ours = journal(tmp_path)
    segment = ours.append(b"one")
    first = segment.end
    ours.append(b"second")
    whole = segment.path.read_bytes()[: segment.end]
    end(segment)
    for length in range(len(whole) + 1):
        segment.path.write_bytes(whole[:length])
        expected = [b"one", b"second"] if length == len(whole) else [b"one"] if length >= first else []
        assert list(segment.payloads()) == expected


def test_a_record_whose_writing_is_cut_off_is_not_there(tmp_path: Path) -> None:
    """The length is written last: whatever else is there already, the journal ends before it."""
    ours = journal(tmp_path)
    segment = ours.append(b"one")
    at = segment.end
    ours.append(b"two")
    assert segment.memory is not None
    segment.memory[at : at + 4] = bytes(4)
    assert list(segment.payloads()) == [b"one"]


def test_a_released_segment_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 40)
    ours = journal(tmp_path, max_bytes=80)
    first, second = ours.append(b"0123456789" * 2), ours.append(b"0123456789" * 2)
    assert first is not second
    with pytest.raises(OSError, match="full"):
        ours.append(b"0123456789" * 2)
    ours.release(first)
    assert list(first.payloads()) == []
    assert ours.append(b"short") is first
    assert list(first.payloads()) == [b"short"]  # and nothing of what was there before
    ours.release(second)
    ours.release(first)
    ours.close()
    assert not list(tmp_path.iterdir())


def test_a_record_that_no_segment_can_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 40)
    ours = journal(tmp_path)
    with pytest.raises(OSError, match="too large"):
        ours.append(b"x" * 40)
    assert list(ours.append(b"one").payloads()) == [b"one"]


def test_a_disk_without_room_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mapping of a file that the disk has no room for kills the process that writes to it."""

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="no space"):
        journal(tmp_path).append(b"one")
    assert not list(tmp_path.iterdir())


async def test_many_who_wait_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    ours = journal(tmp_path)
    await ours.synced()
    assert synced == []

    async def one() -> None:
        ours.append(b"one")
        await ours.synced()

    await asyncio.gather(*(one() for _ in range(50)))
    assert 1 <= len(synced) <= 2


async def test_a_line_appended_during_a_sync_waits_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = journal(tmp_path)
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append(ours.current.end if ours.current else 0))
    ours.append(b"one")
    first = asyncio.ensure_future(ours.synced())
    while not synced:
        await asyncio.sleep(0)
    segment = ours.append(b"two")
    await ours.synced()
    await first
    assert synced[-1] == segment.end


class Store(MemoryStore):
    """Fails while it is away."""

    def __init__(self) -> None:
        super().__init__(EVENTS)
        self.away = False
        self.batches = 0

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        if self.away:
            raise Unavailable("away")
        self.batches += 1
        return await super().insert_many(scope, collection, documents)


class Process:
    """A process that writes events, until it is killed."""

    def __init__(self, store: Store, folder: Path, *, capacity: int = 1_000, max_bytes: int = MIB) -> None:
        self.folder = folder
        self.ahead = WriteAhead(folder, "events", max_bytes=max_bytes)
        self.ahead.adopt()
        self.events: WriteBehind[float] = WriteBehind(
            store, EVENTS, Tasks(), "evt", lambda at: {"createdAt": at}, capacity=capacity, journal=self.ahead
        )

    def add(self, count: int, project: Project = PROJECT) -> None:
        for _ in range(count):
            self.events.add(project, 1.0)

    def kill(self) -> None:
        """Unlock its files, as the kernel does then."""
        self.ahead.close()


async def count(store: Store, *projects: Project) -> int:
    return sum([await store.count(project, EVENTS) for project in projects or (PROJECT, OTHER)])


def unwritten(folder: Path) -> list[bytes]:
    """Payloads of the journals in the folder."""
    return payloads([Segment(path, -1) for path in folder.iterdir()])


def left(process: Process) -> list[Path]:
    """The journals that are there after the process has ended."""
    process.ahead.close()
    folder = process.folder
    return list(folder.iterdir()) if folder.exists() else []


async def test_what_a_killed_process_had_not_written_is_written_by_the_next(tmp_path: Path) -> None:
    """Records were in memory alone until they were written: a kill lost half a second of them."""
    store = Store()
    first = Process(store, tmp_path)
    first.add(10)
    await first.events.flush()
    first.add(7)
    first.add(3, OTHER)
    first.kill()
    second = Process(store, tmp_path)
    await second.events.flush()
    assert await count(store, PROJECT) == 17
    assert await count(store, OTHER) == 3
    assert left(second) == []


async def test_a_journal_that_cannot_be_read_now_is_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was deleted with its records, as if it were empty: too many open files are enough for that."""
    store = Store()
    first = Process(store, tmp_path)
    first.add(10)
    first.kill()
    second = Process(store, tmp_path)

    def fails(segment: Segment) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Segment, "payloads", fails)
        await second.events.flush()
    assert await count(store) == 0
    assert second.ahead.adopt() == 1
    await second.events.flush()
    assert await count(store) == 10
    assert left(second) == []


def test_one_that_cannot_be_opened_keeps_no_other_from_being_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those before it stayed locked, and were read by nobody."""
    for name in ("a", "b", "c"):
        (tmp_path / f"usage-{name}.journal").write_bytes(b"")
    opened = os.open

    def refuses(path: Path, *arguments: Any) -> int:
        if path.name == "usage-b.journal":
            raise PermissionError(errno.EACCES, "not ours")
        return opened(path, *arguments)

    monkeypatch.setattr(os, "open", refuses)
    found = journal(tmp_path).adopt()
    assert [each.path.name for each in found] == ["usage-a.journal", "usage-c.journal"]
    end(*found)


async def test_what_was_written_before_the_kill_is_not_written_again(tmp_path: Path) -> None:
    store = Store()
    first = Process(store, tmp_path)
    first.add(10)
    segment = next(iter(first.ahead._pending))
    copy = segment.path.read_bytes()
    await first.events.flush()
    first.kill()
    segment.path.write_bytes(copy)  # as if it had been killed between the store and the release
    second = Process(store, tmp_path)
    await second.events.flush()
    assert await count(store) == 10
    assert left(second) == []


async def test_a_written_journal_is_removed(tmp_path: Path) -> None:
    store = Store()
    process = Process(store, tmp_path)
    for _ in range(3):
        process.add(5)
        await process.events.flush()
        assert unwritten(tmp_path) == []
    assert await count(store) == 15
    assert left(process) == []


async def test_what_memory_has_no_room_for_is_read_from_the_journal(tmp_path: Path) -> None:
    """Records that were too much for memory were lost."""
    store = Store()
    process = Process(store, tmp_path, capacity=5)
    store.away = True
    for _ in range(4):
        process.add(20)
        process.add(2, OTHER)
        await process.events.flush()
    store.away = False
    await process.events.flush()
    assert await count(store, PROJECT) == 80
    assert await count(store, OTHER) == 8
    assert process.events.lost == 0
    assert left(process) == []


async def test_a_full_journal_is_told_and_memory_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 300)
    store = Store()
    process = Process(store, tmp_path, max_bytes=300)
    with capture_logs() as told:
        process.add(10)
    assert [each["event"] for each in told if each["log_level"] == "error"] == ["record not journalled"]
    assert process.ahead.failures > 0
    await process.events.flush()
    assert await count(store) == 10


async def test_a_removed_tenant_leaves_no_journal(tmp_path: Path) -> None:
    store = Store()
    process = Process(store, tmp_path)
    process.add(3)
    process.add(2, OTHER)
    await store.drop_tenant(PROJECT.tenant)
    await process.events.flush()
    assert await count(store, OTHER) == 2
    assert left(process) == []


def test_a_scrubbed_journal_has_no_bytes_of_written_records(tmp_path: Path) -> None:
    """A released segment was kept for later, and its file with the bytes of records that the store has removed."""
    kept = journal(tmp_path, 64 * MIB)
    first = kept.append(b"planted-marker")
    kept.rotate()
    second = kept.append(b"another-marker")
    kept.release(first)
    assert b"planted-marker" in first.path.read_bytes()
    kept.scrub()
    kept.release(second)
    assert list(tmp_path.iterdir()) == []
    assert payloads([kept.append(b"later")]) == [b"later"]


def test_scrubbing_keeps_records_that_are_not_written(tmp_path: Path) -> None:
    kept = journal(tmp_path, 64 * MIB)
    segment = kept.append(b"waiting")
    kept.scrub()
    later = kept.append(b"later")
    assert later is not segment
    assert payloads([segment, later]) == [b"waiting", b"later"]
    kept.release(segment)
    kept.release(later)
    assert [path.name for path in tmp_path.iterdir()] == [later.path.name]
