"""Guarantees of the embedded engine alone: to survive crashes, to bound what is open, to rebuild in nobody's way."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import children
from core.errors import InsufficientStorage, NotFound, Unavailable
from core.tenancy import Project, Tenant
from services.vector.adapters.embedded.engine import EmbeddedEngine
from services.vector.adapters.embedded.worker_process import EngineWorkerProcess
from services.vector.domain.filters import parse
from services.vector.domain.points import IndexSpec, Point, vector
from services.vector.ports import IndexLocation, Query
from tests.support.processes import alive
from tests.support.vector_writer import BATCH, LOCATION, batch

WIDE = 1024
"""Dimensions with which few points are worth an HNSW index."""

HERE = IndexLocation(Project(Tenant("red"), "p1"), "idx")
OTHER = IndexLocation(Project(Tenant("blue"), "p2"), "idx")


def points(count: int, dimension: int = WIDE, seed: int = 1) -> list[Point]:
    return list(_points(count, dimension, seed))


@cache
def _points(count: int, dimension: int, seed: int) -> tuple[Point, ...]:
    """Shared by all tests, which change none of them."""
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).tolist()
    return tuple(Point(f"p{n}", vector(values), {"n": n, "third": n % 3}, f"text {n}") for n, values in enumerate(rows))


def pids(engine: EmbeddedEngine) -> list[int]:
    return [worker.pid for worker in engine.pool.processes if worker.pid is not None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "vectors"


@pytest.fixture
async def engine(root: Path) -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine(root, workers=2, open_indexes=8, stale_bytes=12_000_000, quiet_seconds=0)
    yield engine
    await engine.close()


class TestCrashes:
    @pytest.mark.parametrize("batches", [3, 60])
    async def test_what_was_acknowledged_survives_a_kill(self, root: Path, batches: int) -> None:
        """With many batches the kill falls into a rebuild."""
        acknowledged = await asyncio.to_thread(written_until_killed, root, batches)
        engine = EmbeddedEngine(root, quiet_seconds=0)
        try:
            count = await engine.count(LOCATION)
            for number in acknowledged:
                written = batch(number)
                found = await engine.fetch(LOCATION, [point.id for point in written])
                assert [point.id for point in found] == [point.id for point in written]
                assert found[0].metadata == {"batch": number}
            assert len(acknowledged) * BATCH <= count <= (len(acknowledged) + 1) * BATCH
            met: list[str] = []
            page = await engine.scroll(LOCATION, "", 500)
            met += [point.id for point in page.points]
            while page.after:
                page = await engine.scroll(LOCATION, page.after, 500)
                met += [point.id for point in page.points]
            assert len(met) == len(set(met)) == count
        finally:
            await engine.close()

    async def test_a_worker_that_dies_is_started_again(self, engine: EmbeddedEngine) -> None:
        await engine.create(HERE, IndexSpec(8))
        await engine.upsert(HERE, points(50, 8))
        worker = await engine.pool.of(engine._folder(HERE))
        assert worker.pid is not None
        waiting = [asyncio.create_task(engine.query(HERE, Query(points(1, 8)[0].values))) for _ in range(20)]
        await asyncio.sleep(0)
        os.kill(worker.pid, signal.SIGKILL)
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, list | Unavailable)
        with contextlib.suppress(Unavailable):  # it may not have been noticed yet
            await engine.count(HERE)
        assert await engine.count(HERE) == 50

    async def test_a_cancelled_call_takes_no_other_calls_answer(self, engine: EmbeddedEngine) -> None:
        await engine.create(HERE, IndexSpec(8))
        await engine.upsert(HERE, points(50, 8))
        calls = [asyncio.create_task(engine.fetch(HERE, [f"p{n}"])) for n in range(40)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        await asyncio.wait(calls)
        for n, call in enumerate(calls):
            if not call.cancelled():
                assert [point.id for point in call.result()] == [f"p{n}"]

    async def test_a_start_goes_on_when_nobody_waits_for_it_any_more(
        self, engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A check that gave up ended the start, so on a busy machine no process ever came up."""
        started = list[Any]()
        start = children.start

        def noting(*arguments: Any, **options: Any) -> Any:
            started.append(start(*arguments, **options))
            return started[-1]

        monkeypatch.setattr(children, "start", noting)
        check = asyncio.create_task(engine.check())
        while len(started) < 2:
            await asyncio.sleep(0)
        check.cancel()
        await asyncio.wait([check])
        await engine.check()
        assert sorted(pids(engine)) == sorted(child.pid for child in started)
        assert len(started) == 2

    async def test_an_interrupted_creation_leaves_nothing(self, engine: EmbeddedEngine) -> None:
        folder = engine._folder(HERE)
        (folder / "0123" / "segments").mkdir(parents=True)
        with pytest.raises(NotFound):
            await engine.count(HERE)
        await engine.create(HERE, IndexSpec(8))
        assert await engine.count(HERE) == 0

    async def test_damaged_files_are_this_indexs_alone(self, engine: EmbeddedEngine) -> None:
        for at in (HERE, OTHER):
            await engine.create(at, IndexSpec(8))
            await engine.upsert(at, points(50, 8))
        await engine.close()
        (segments,) = engine._folder(HERE).glob("*/segments")
        for segment in segments.iterdir():
            (segment / "segment.json").write_text("{nonsense")
        with pytest.raises(Unavailable):
            await engine.count(HERE)
        assert await engine.count(OTHER) == 50


def written_until_killed(root: Path, batches: int) -> list[int]:
    """Numbers of the acknowledged batches of a process that is killed after so many."""
    program = [sys.executable, "-m", "tests.support.vector_writer", str(root)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(batches)]
        writer.send_signal(signal.SIGKILL)
        return acknowledged + [int(line) for line in writer.stdout.read().split()]


def kill_children(monkeypatch: pytest.MonkeyPatch, program: str, count: int = 1000) -> list[int]:
    """The ids of those that were killed at their start."""
    killed: list[int] = []
    popen = children._popen

    def start(command: Sequence[str], options: dict[str, Any]) -> "subprocess.Popen[bytes]":
        process = popen(command, options)
        if any(program in word for word in command) and len(killed) < count:
            process.kill()
            killed.append(process.pid)
        return process

    monkeypatch.setattr(children, "_popen", start)
    return killed


class TestProcesses:
    async def test_one_that_dies_at_its_start_is_started_again(
        self, engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """gRPC's fork handlers crashed children before their program had begun (grpc/grpc#43055)."""
        killed = kill_children(monkeypatch, "embedded.worker", 2)
        await engine.create(HERE, IndexSpec(8))
        assert await engine.count(HERE) == 0
        assert len(killed) == 2

    async def test_one_that_never_starts_is_told_as_such(
        self, engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patched:
            killed = kill_children(patched, "embedded.worker")
            with pytest.raises(Unavailable, match="is being restarted"):
                await engine.create(HERE, IndexSpec(8))
            assert len(killed) == 3
            patched.setattr(children, "_popen", no_process)
            with pytest.raises(Unavailable, match="is being restarted"):
                await engine.create(HERE, IndexSpec(8))
        await engine.create(HERE, IndexSpec(8))


def no_process(*_: object) -> "subprocess.Popen[bytes]":
    raise BlockingIOError("Resource temporarily unavailable")


class TestDisk:
    async def test_a_disk_without_room_refuses_writes_and_serves_reads(self, root: Path) -> None:
        engine = EmbeddedEngine(root)
        try:
            await engine.create(HERE, IndexSpec(8))
            await engine.upsert(HERE, points(10, 8))
        finally:
            await engine.close()
        full = EmbeddedEngine(root, keep_free=shutil.disk_usage(root).free * 2)
        try:
            with pytest.raises(InsufficientStorage):
                await full.upsert(HERE, points(20, 8))
            with pytest.raises(InsufficientStorage):
                await full.create(OTHER, IndexSpec(8))
            assert await full.count(HERE) == 10
            assert await full.delete_ids(HERE, ["p1"]) == 1
        finally:
            await full.close()

    async def test_a_disk_that_fills_up(self, tmp_path: Path) -> None:
        """A real one: the engine would die of a full disk, since it writes through mapped files."""
        with small_disk(tmp_path / "disk") as disk:
            engine = EmbeddedEngine(disk / "vectors", keep_free=128 * 1024 * 1024)
            try:
                await engine.create(HERE, IndexSpec(WIDE))
                written = await fill(engine)
                assert written >= 500
                assert written <= await engine.count(HERE) < written + 500
                alive = pids(engine)
                assert await engine.query(HERE, Query(points(1)[0].values))
                assert pids(engine) == alive
            finally:
                await engine.close()

    async def test_paths_are_made_of_checked_names(self, engine: EmbeddedEngine, root: Path) -> None:
        await engine.create(HERE, IndexSpec(8))
        assert (root / "red" / "p1" / "idx" / "index.json").is_file()
        with pytest.raises(ValueError):
            IndexLocation(HERE.scope, "../idx")

    async def test_dropping_leaves_no_file(self, engine: EmbeddedEngine) -> None:
        await engine.create(HERE, IndexSpec(8))
        await engine.upsert(HERE, points(10, 8))
        await engine.drop(HERE)
        assert not engine._folder(HERE).exists()


async def fill(engine: EmbeddedEngine) -> int:
    """Insert points until there is no more room; return their number."""
    some = points(500)
    for turn in range(100):
        try:
            await engine.upsert(HERE, [Point(f"{turn}-{each.id}", each.values) for each in some])
        except InsufficientStorage:
            return 500 * turn
    pytest.fail("the disk did not fill up")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a file system cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class TestManyIndexes:
    async def test_hundreds_of_small_indexes_cost_no_more_than_those_that_are_open(self, root: Path) -> None:
        engine = EmbeddedEngine(root, workers=2, open_indexes=8)
        locations = [IndexLocation(Project(Tenant(f"t{n % 10}"), "p"), f"i{n}") for n in range(200)]
        try:
            for start in range(0, 200, 20):
                await asyncio.gather(*(small_index(engine, at) for at in locations[start : start + 20]))
            assert max(map(threads, pids(engine))) <= 12
            assert max(map(descriptors, pids(engine))) <= 60
            for at in locations[::19]:
                assert await engine.count(at) == 100
                assert len(await engine.query(at, Query(vector([1, 1, 1, 1])))) == 5
            assert max(map(threads, pids(engine))) <= 12
            assert max(map(descriptors, pids(engine))) <= 60
        finally:
            await engine.close()

    async def test_closing_ends_every_process(self, root: Path) -> None:
        engine = EmbeddedEngine(root, workers=2)
        await engine.check()
        running = pids(engine)
        assert len(running) == 2
        await engine.close()
        for pid in running:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


async def small_index(engine: EmbeddedEngine, at: IndexLocation) -> None:
    await engine.create(at, IndexSpec(4))
    await engine.upsert(at, points(100, 4))


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


class TestRebuild:
    async def test_an_index_that_has_grown_gets_an_hnsw_index_and_serves_meanwhile(
        self, engine: EmbeddedEngine
    ) -> None:
        """Queries and writes, here and elsewhere, are answered while the HNSW index is built; none is lost."""
        for at in (HERE, OTHER):
            await engine.create(at, IndexSpec(WIDE))
        await engine.upsert(OTHER, points(50))
        everything = points(4000)
        await engine.upsert(HERE, everything)
        (generation,) = generations(engine, HERE)
        rebuilt = asyncio.create_task(engine.rebuilds.finished())
        assert engine.rebuilds._tasks

        rounds = 0
        while not rebuilt.done() and rounds < 500:  # with many more writes, the next rebuild is due at once
            asked = everything[rounds % 4000]
            assert (await engine.query(HERE, Query(asked.values)))[0].score == pytest.approx(1, abs=1e-3)
            assert await engine.query(OTHER, Query(asked.values))
            await engine.upsert(OTHER, points(10))
            changed = Point(f"p{rounds}", everything[rounds].values, {"n": rounds, "changed": True})
            await engine.upsert(HERE, [changed, Point(f"new{rounds}", asked.values, {"new": True})])
            assert await engine.delete_ids(HERE, [f"p{3999 - rounds}"]) == 1
            rounds += 1
        assert rounds > 1
        await rebuilt

        (now,) = generations(engine, HERE)
        assert now != generation
        assert (engine._folder(HERE) / now / "tuning.json").exists()
        assert await engine.count(HERE) == 4000
        assert await engine.count(HERE, parse({"changed": True})) == rounds
        assert await engine.count(HERE, parse({"new": True})) == rounds
        assert await engine.fetch(HERE, [f"p{3999 - n}" for n in range(rounds)]) == []
        fetched = await engine.fetch(HERE, [f"p{rounds}"])
        assert (fetched[0].metadata, fetched[0].text) == ({"n": rounds, "third": rounds % 3}, f"text {rounds}")

    async def test_the_hnsw_index_finds_what_comparing_finds(self, engine: EmbeddedEngine) -> None:
        await engine.create(HERE, IndexSpec(WIDE))
        await engine.upsert(HERE, points(4000))
        queries = [Query(point.values, 10, filter) for point in points(20, seed=7) for filter in (None, parse(THIRD))]
        exact = [{match.id for match in await engine.query(HERE, query)} for query in queries]
        await engine.rebuilds.finished()
        found = [{match.id for match in await engine.query(HERE, query)} for query in queries]
        assert sum(len(a & b) for a, b in zip(exact, found, strict=True)) >= 0.95 * 10 * len(queries)

    async def test_a_rebuild_whose_process_dies_leaves_the_index_as_it_is(
        self, engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await engine.create(HERE, IndexSpec(WIDE))
        kill_children(monkeypatch, "embedded.optimise")
        await engine.upsert(HERE, points(3500))
        before = generations(engine, HERE)[:1]
        await engine.rebuilds.finished()
        assert generations(engine, HERE) == before
        assert await engine.count(HERE) == 3500
        assert not engine.rebuilds._tasks  # and it is not tried again for every write
        await engine.upsert(HERE, points(1))
        assert not engine.rebuilds._tasks

    async def test_an_optimising_process_that_dies_at_its_start_is_started_again(
        self, engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """gRPC's fork handlers crashed children before their program had begun (grpc/grpc#43055)."""
        await engine.create(HERE, IndexSpec(WIDE))
        killed = kill_children(monkeypatch, "embedded.optimise", 2)
        await engine.upsert(HERE, points(3500))
        before = generations(engine, HERE)[:1]
        await engine.rebuilds.finished()
        assert len(killed) == 2
        assert generations(engine, HERE) != before
        assert await engine.count(HERE) == 3500

    @pytest.mark.parametrize("step", ["begin_rebuild", "catch_up", "flush_next", "adopt", "let_go"])
    async def test_a_rebuild_that_is_cancelled_leaves_the_old_index_or_the_new_one(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        """As at a stop: the worker has done the step, but nobody hears of it. Cancelled while it was adopted, the new
        index was removed for not having been, and the old one was gone already."""
        call = EngineWorkerProcess.call

        async def cancelled(worker: EngineWorkerProcess, method: str, folder: Path, *args: Any) -> Any:
            result = await call(worker, method, folder, *args)
            if method == step:
                raise asyncio.CancelledError
            return result

        monkeypatch.setattr(EngineWorkerProcess, "call", cancelled)
        engine = EmbeddedEngine(root, stale_bytes=12_000_000, quiet_seconds=0)
        await engine.create(HERE, IndexSpec(WIDE))
        await engine.upsert(HERE, points(3500))
        await engine.rebuilds.finished()
        assert await engine.count(HERE) == 3500
        await engine.upsert(HERE, [Point("more", points(1)[0].values)])
        await engine.close()
        again = EmbeddedEngine(root)
        try:
            assert await again.count(HERE) == 3501
            assert len(generations(again, HERE)) == 1
        finally:
            await again.close()

    async def test_dropping_and_closing_end_a_rebuild(self, root: Path) -> None:
        engine = EmbeddedEngine(root, stale_bytes=12_000_000, quiet_seconds=0)
        for at in (HERE, OTHER):
            await engine.create(at, IndexSpec(WIDE))
            await engine.upsert(at, points(3500))
        await engine.drop(HERE)
        with pytest.raises(NotFound):
            await engine.count(HERE)
        await engine.close()
        again = EmbeddedEngine(root)
        try:
            assert await again.count(OTHER) == 3500
            assert len(generations(again, OTHER)) == 1
        finally:
            await again.close()


class TestLargeIndexes:
    """One with an HNSW index has a process of its own, so that nobody waits for what is done to it."""

    async def test_it_moves_out_and_is_opened_by_itself_after_a_restart(self, root: Path) -> None:
        for turn in range(2):
            async with opened(root) as engine:
                if not turn:
                    await large(engine, HERE)
                    await engine.create(OTHER, IndexSpec(8))
                assert await engine.count(HERE) == 3500
                assert await engine.count(OTHER) == 0
                own = await engine.pool.of(engine._folder(HERE))
                assert own not in engine.pool.shared
                assert await engine.pool.of(engine._folder(OTHER)) in engine.pool.shared
                assert len(pids(engine)) <= 3

    async def test_no_more_than_so_many_are_open_and_none_by_two(self, root: Path) -> None:
        locations = [IndexLocation(Project(Tenant("red"), "p1"), f"i{n}") for n in range(4)]
        async with opened(root, large_indexes=2) as engine:
            for at in locations:
                await large(engine, at)
            assert len(engine.pool.processes) == 2 + 2

            async def use(at: IndexLocation, turn: int) -> None:
                await engine.upsert(at, [Point(f"new{turn}", points(1)[0].values)])
                assert await engine.query(at, Query(points(1)[0].values))

            await asyncio.gather(*(use(at, turn) for turn in range(5) for at in locations))
            for at in locations:
                assert await engine.count(at) == 3505
            assert len(engine.pool.processes) == 2 + 2

    async def test_one_that_dies_is_started_again(self, root: Path) -> None:
        async with opened(root) as engine:
            await large(engine, HERE)
            own = await engine.pool.of(engine._folder(HERE))
            await engine.count(HERE)
            assert own.pid is not None
            waiting = asyncio.create_task(engine.count(HERE))
            os.kill(own.pid, signal.SIGKILL)
            await asyncio.wait({waiting})
            with contextlib.suppress(Unavailable):  # or it was answered before
                await waiting
            assert await engine.count(HERE) == 3500

    async def test_a_dropped_one_leaves_no_process(self, root: Path) -> None:
        async with opened(root) as engine:
            await large(engine, HERE)
            await engine.count(HERE)
            pid = (await engine.pool.of(engine._folder(HERE))).pid
            assert pid is not None
            await engine.drop(HERE)
            with pytest.raises(NotFound):
                await engine.count(HERE)
            async with asyncio.timeout(10):
                while alive(pid):
                    await asyncio.sleep(0.01)

    async def test_others_do_not_wait_for_it(self, root: Path) -> None:
        """While one process does nothing at all, as when it opens a large index, the others answer."""
        async with opened(root, workers=1) as engine:
            await large(engine, HERE)
            await engine.create(OTHER, IndexSpec(8))
            await engine.count(HERE)
            pid = (await engine.pool.of(engine._folder(HERE))).pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            try:
                waiting = asyncio.create_task(engine.count(HERE))
                await engine.upsert(OTHER, points(10, 8))
                assert await engine.count(OTHER) == 10
                assert not waiting.done()
            finally:
                os.kill(pid, signal.SIGCONT)
            assert await waiting == 3500


@contextlib.asynccontextmanager
async def opened(root: Path, **options: Any) -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine(root, stale_bytes=12_000_000, quiet_seconds=0, **options)
    try:
        yield engine
    finally:
        await engine.close()


async def large(engine: EmbeddedEngine, at: IndexLocation) -> None:
    await engine.create(at, IndexSpec(WIDE))
    await engine.upsert(at, points(3500))
    await engine.rebuilds.finished()


THIRD = {"third": 1}


def generations(engine: EmbeddedEngine, at: IndexLocation) -> list[str]:
    return sorted(path.name for path in engine._folder(at).iterdir() if path.is_dir())
