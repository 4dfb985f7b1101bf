"""Records in a journal: none is lost with its process, and none is written twice."""

import asyncio
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
    """What the kernel does when the process of these segments is killed."""
    for segment in segments:
        segment.close()


def payloads(segments: Sequence[Segment]) -> list[bytes]:
    return [line for segment in segments for line in segment.lines()]


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


@pytest.mark.parametrize("torn", [b"0", b"00000000 half", b"00000000 wrong sum\n", b"\0" * 40])
def test_a_torn_tail_costs_no_other_line(tmp_path: Path, torn: bytes) -> None:
    segment = journal(tmp_path).append(b"one")
    os.write(segment.descriptor, torn)
    end(segment)
    (found,) = journal(tmp_path).adopt()
    assert list(found.lines()) == [b"one"]


def test_every_cut_of_a_journal_leaves_its_whole_lines(tmp_path: Path) -> None:
    segment = journal(tmp_path).append(b"one")
    os.write(segment.descriptor, segment.path.read_bytes())
    whole = segment.path.read_bytes()
    for length in range(len(whole) + 1):
        os.truncate(segment.path, 0)
        os.pwrite(segment.descriptor, whole[:length], 0)
        assert list(segment.lines()) == [b"one"] * (length * 2 // len(whole))


def test_a_released_segment_is_gone_and_gives_room(tmp_path: Path) -> None:
    ours = journal(tmp_path, max_bytes=30)
    segment = ours.append(b"0123456789")
    with pytest.raises(OSError, match="full"):
        ours.append(b"0123456789")
    ours.release(segment)
    assert not list(tmp_path.iterdir())
    assert ours.append(b"0123456789").path.exists()


def test_a_large_journal_has_several_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 20)
    ours = journal(tmp_path)
    segments = [ours.append(b"0123456789") for _ in range(4)]
    assert len(set(segments)) == 2


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
    sizes: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    ours = journal(tmp_path)
    ours.append(b"one")
    first = asyncio.ensure_future(ours.synced())
    while not sizes:
        await asyncio.sleep(0)
    segment = ours.append(b"two")
    await ours.synced()
    await first
    assert sizes[-1] == segment.size


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
        self.ahead = WriteAhead(folder, "events", max_bytes=max_bytes)
        self.ahead.adopt()
        self.events: WriteBehind[float] = WriteBehind(
            store, EVENTS, Tasks(), "evt", lambda at: {"createdAt": at}, capacity=capacity, journal=self.ahead
        )

    def add(self, count: int, project: Project = PROJECT) -> None:
        for _ in range(count):
            self.events.add(project, 1.0)

    def kill(self) -> None:
        """Do what the kernel does then: its files are unlocked."""
        self.ahead.close()


async def count(store: Store, *projects: Project) -> int:
    return sum([await store.count(project, EVENTS) for project in projects or (PROJECT, OTHER)])


def left(folder: Path) -> list[Any]:
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
    await Process(store, tmp_path).events.flush()
    assert await count(store, PROJECT) == 17
    assert await count(store, OTHER) == 3
    assert left(tmp_path) == []


async def test_what_was_written_before_the_kill_is_not_written_again(tmp_path: Path) -> None:
    store = Store()
    first = Process(store, tmp_path)
    first.add(10)
    segment = next(iter(first.ahead._pending))
    copy = segment.path.read_bytes()
    await first.events.flush()
    segment.path.write_bytes(copy)  # as if it had been killed between the store and the removal
    await Process(store, tmp_path).events.flush()
    assert await count(store) == 10
    assert left(tmp_path) == []


async def test_a_written_journal_is_removed(tmp_path: Path) -> None:
    store = Store()
    process = Process(store, tmp_path)
    for _ in range(3):
        process.add(5)
        await process.events.flush()
        assert left(tmp_path) == []
    assert await count(store) == 15


async def test_what_memory_has_no_room_for_is_read_from_the_journal(tmp_path: Path) -> None:
    """What was too much for memory was lost."""
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
    assert left(tmp_path) == []


async def test_a_full_journal_is_told_and_memory_goes_on(tmp_path: Path) -> None:
    store = Store()
    process = Process(store, tmp_path, max_bytes=200)
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
    assert left(tmp_path) == []
