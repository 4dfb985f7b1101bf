"""Behaviour of SQLite alone: files, processes, handles, and what can be wrong with them."""

import asyncio
import logging
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog

from core.config import ConfigError, load
from core.errors import Conflict, FailedPrecondition, InsufficientStorage, Unavailable
from core.storage import sqlite_files
from core.storage.factory import StoreSettings, make_store
from core.storage.migrations import Migration, Migrations
from core.storage.ports import INTEGER, TEXT, Collection, Cond, Document, DocumentStore, Increment, Level, Op
from core.storage.schema import Schema
from core.storage.sqlite import SqliteStore
from core.tenancy import MAIN, Main, Project, Tenant
from tests.contract.store_process import ACME, COUNT, NOTES, RED

ROOT = Path(__file__).parents[2]
TENANTS = Collection("tenants", Level.MAIN)
SCHEMA = Schema([TENANTS, NOTES])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "tenant_acme.sqlite"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(folder, SCHEMA)
    await opened.create_tenant(ACME)
    await opened.count(RED, NOTES)
    yield opened
    await opened.close()


class Processes:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []

    def start(self, job: str, *names: str) -> list[subprocess.Popen[str]]:
        """All let go at once, when all are ready."""
        command = [sys.executable, "-m", "tests.contract.store_process", job, str(self.folder)]
        started = [
            subprocess.Popen([*command, name], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for name in names
        ]
        self.running += started
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.close()
        return started


@pytest.fixture
def processes(folder: Path) -> Iterator[Processes]:
    made = Processes(folder)
    yield made
    for process in made.running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def modes(folder: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


def lines(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.read().split()


class TestProcesses:
    async def test_a_writer_that_is_killed_loses_nothing_it_acknowledged(
        self, folder: Path, processes: Processes
    ) -> None:
        (writer,) = processes.start("insert", "w")
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(300)]
        writer.kill()
        acknowledged += writer.stdout.read().split("\n")[:-1]
        store = SqliteStore(folder, SCHEMA)
        found: dict[str, dict[str, Any]] = {}
        token = ""
        while True:
            page = await store.find(RED, NOTES, page_size=1000, page_token=token)
            found |= {item["id"]: item for item in page.items}
            if not (token := page.next_token):
                break
        await store.close()
        assert len(acknowledged) >= 300
        assert set(acknowledged) <= found.keys()
        batches = [item["batch"] for item in found.values() if "batch" in item]
        assert all(batches.count(batch) == 20 for batch in set(batches))

    async def test_several_at_once_lose_nothing_and_one_wins(self, store: SqliteStore, processes: Processes) -> None:
        await store.insert(RED, NOTES, {"id": "counter", "n": 0})
        started = processes.start("compete", "a", "b", "c")
        outcomes = [await asyncio.to_thread(lines, process) for process in started]
        assert [process.wait() for process in started] == [0, 0, 0]
        for i in range(COUNT):
            said = [outcome[i] for outcome in outcomes]
            assert said.count("Conflict") == 2
            (winner,) = [each for each in said if each != "Conflict"]
            assert (await store.find_one(RED, NOTES, {"key": f"key{i}"}) or {})["id"] == winner
        assert await store.get(RED, NOTES, "counter") == {"id": "counter", "n": 3 * COUNT, "project": "red"}
        assert await store.count(RED, NOTES) == 1 + 3 * COUNT + COUNT

    async def test_several_use_a_new_tenant_at_once(self, folder: Path, processes: Processes) -> None:
        started = processes.start("create", *"abcd")
        assert [lines(process) for process in started] == [["created"]] * 4
        assert [process.wait() for process in started] == [0] * 4
        assert sorted(modes(folder)) == [".lock", "tenant_acme.sqlite"]

    async def test_a_process_that_fails_with_an_open_store_ends(self, folder: Path, processes: Processes) -> None:
        """It waited for the threads of its connections for ever, so nobody started it again."""
        (failing,) = processes.start("fail", "f")
        assert failing.wait(timeout=20) == 1
        store = SqliteStore(folder, SCHEMA)
        assert await store.get(RED, NOTES, "n1") is not None
        await store.close()

    async def test_a_migration_that_is_killed_goes_on_with_its_step(self, folder: Path, processes: Processes) -> None:
        (dying,) = processes.start("migrate_and_die", "m")
        assert lines(dying)[-1] == "dies"
        ran: list[int] = []

        def step(version: int) -> Migration:
            async def run(store: DocumentStore, scope: Main | Tenant) -> None:
                ran.append(version)
                assert await store.get(RED, NOTES, "half of the second") is not None

            return Migration(version, "step", run)

        again = SqliteStore(folder, Schema([NOTES], Migrations("notes", tenant=(step(1), step(2)), lease_seconds=0.2)))
        assert await again.get(RED, NOTES, "first") is not None
        await again.close()
        assert ran == [2]


class TestFiles:
    async def test_are_for_their_owner_alone(self, folder: Path, store: SqliteStore) -> None:
        await store.insert(RED, NOTES, {"id": "n1"})
        await store.insert(MAIN, TENANTS, {"id": "t1"})
        files = modes(folder)
        assert files.keys() >= {"portico_main.sqlite", "tenant_acme.sqlite", "tenant_acme.sqlite-wal"}
        assert set(files.values()) == {0o600}
        assert modes(folder.parent)["data"] == 0o700

    async def test_are_durable_and_checked(self, store: SqliteStore, path: Path) -> None:
        async with store._databases.use(path) as database:
            for connection in (database.writer, database.reader):
                for pragma, expected in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1),
                                         ("busy_timeout", 10_000)):  # fmt: skip
                    assert [tuple(row) for row in await connection.execute_fetchall(f"PRAGMA {pragma}")] == [
                        (expected,)
                    ]

    async def test_a_stale_log_never_meets_a_new_database(self, store: SqliteStore, path: Path, folder: Path) -> None:
        """SQLite replays a WAL that it finds beside a database: a dropped tenant's records came back."""
        await store.insert(RED, NOTES, {"id": "secret"})
        left = path.with_name(path.name + "-wal").read_bytes()
        await store.drop_tenant(ACME)
        path.with_name(path.name + "-wal").write_bytes(left)
        await store.create_tenant(ACME)
        assert await store.count(RED, NOTES) == 0

    async def test_a_database_that_another_process_drops_and_makes_anew(
        self, folder: Path, store: SqliteStore, path: Path
    ) -> None:
        """An open handle went on to read and write the file that was no more."""
        other = SqliteStore(folder, SCHEMA)
        await store.insert(RED, NOTES, {"id": "old"})
        await other.drop_tenant(ACME)
        with pytest.raises(FailedPrecondition):
            await store.get(RED, NOTES, "old")
        await other.create_tenant(ACME)
        await other.insert(RED, NOTES, {"id": "new"})
        assert await store.get(RED, NOTES, "old") is None
        assert await store.get(RED, NOTES, "new") is not None
        await store.close()
        await other.insert(RED, NOTES, {"id": "newer"})
        assert path.with_name(path.name + "-wal").exists()
        await other.close()
        last = SqliteStore(folder, SCHEMA)
        assert await last.count(RED, NOTES) == 2
        await last.close()


class TestApplying:
    async def test_is_done_once_for_an_open_database(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        async def applied(*_: Any) -> None:
            raise AssertionError("looked at again")

        monkeypatch.setattr(store, "_apply", applied)
        assert await store.count(RED, NOTES) == 0

    async def test_a_database_that_is_as_declared_is_not_locked(self, folder: Path, store: SqliteStore) -> None:
        with closing(sqlite3.connect(folder / "tenant_acme.sqlite", isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            other = SqliteStore(folder, SCHEMA)
            assert await other.count(RED, NOTES) == 0
            await other.close()
            writer.execute("ROLLBACK")

    async def test_indexes_become_what_is_declared(self, folder: Path, store: SqliteStore, path: Path) -> None:
        fields = dict.fromkeys("abc", INTEGER)
        changed = Collection("notes", Level.PROJECT, fields, unique=(("a", "b"),), indexes=(("c",),))
        again = SqliteStore(folder, Schema([changed]))
        await again.insert_many(RED, changed, [{"id": "n1", "key": "k"}, {"id": "n2", "key": "k"}])
        with pytest.raises(Conflict):
            await again.insert_many(RED, changed, [{"id": f"m{i}", "a": 1, "b": 1} for i in range(2)])
        with closing(sqlite3.connect(path)) as database:
            names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%INDEX%'")]
        assert sorted(names) == ["index notes(c)", "unique notes(a,b)"]
        await again.close()

    async def test_records_that_break_a_new_unique_group_are_an_operators_matter(
        self, folder: Path, store: SqliteStore
    ) -> None:
        """A caller was told that his record conflicts with another."""
        await store.insert_many(RED, NOTES, [{"id": "n1", "kind": "k"}, {"id": "n2", "kind": "k"}])
        changed = Collection("notes", Level.PROJECT, {"kind": TEXT}, unique=(("kind",),))
        newer = SqliteStore(folder, Schema([changed]))
        with structlog.testing.capture_logs() as told, pytest.raises(Unavailable):
            await newer.count(RED, changed)
        assert [(each["event"], each["log_level"]) for each in told] == [
            ("database not brought to what is declared", "error")
        ]
        assert await store.delete(RED, NOTES, "n2")
        assert await newer.count(RED, changed) == 1
        await newer.close()


class TestHandles:
    async def fill(self, store: SqliteStore, tenants: int) -> list[Project]:
        scopes = [Project(Tenant(f"t{i}"), "p") for i in range(tenants)]
        for scope in scopes:
            await store.create_tenant(scope.tenant)
        return scopes

    async def test_are_bounded(self, folder: Path) -> None:
        store = SqliteStore(folder, SCHEMA, max_open=3)
        scopes = await self.fill(store, 10)
        most = 0

        async def use(scope: Project, id: str) -> None:
            nonlocal most
            await store.insert(scope, NOTES, {"id": id})
            most = max(most, store._databases.count)

        await asyncio.gather(*(use(scope, f"n{i}") for i in range(5) for scope in scopes))
        assert [await store.count(scope, NOTES) for scope in scopes] == [5] * 10
        assert most <= 3
        await store.close()
        assert store._databases.count == 0

    async def test_the_least_recently_used_is_closed(self, folder: Path) -> None:
        store = SqliteStore(folder, SCHEMA, max_open=2)
        a, b, c = await self.fill(store, 3)
        for scope in (a, b, a, c):
            await store.get(scope, NOTES, "n1")
        assert [each.name for each in store._databases._open] == ["tenant_t0.sqlite", "tenant_t2.sqlite"]
        await store.close()

    async def test_who_is_used_is_not_closed(self, folder: Path) -> None:
        store = SqliteStore(folder, SCHEMA, max_open=1)
        _, b = await self.fill(store, 2)
        async with store._databases.use(folder / "tenant_t0.sqlite") as database:
            waiting = asyncio.create_task(store.get(b, NOTES, "n1"))
            for _ in range(3):
                assert await database.reader.execute_fetchall("SELECT 1")
            assert not waiting.done()
        assert await waiting is None
        await store.close()

    async def test_one_file_is_opened_once(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = SqliteStore(folder, SCHEMA)
        await store.create_tenant(ACME)
        await store.close()
        opened: list[bool] = []
        connect = sqlite_files.connect

        def counting(path: Path, *, query_only: bool) -> Any:
            opened.append(query_only)
            return connect(path, query_only=query_only)

        monkeypatch.setattr(sqlite_files, "connect", counting)
        store = SqliteStore(folder, SCHEMA)
        await asyncio.gather(*(store.get(RED, NOTES, "n1") for _ in range(30)))
        await store.close()
        assert sorted(opened) == [False, True]

    async def test_a_caller_that_is_cancelled_leaves_no_handle_in_use(self, folder: Path) -> None:
        store = SqliteStore(folder, SCHEMA, max_open=1)
        a, b = await self.fill(store, 2)
        for _ in range(20):
            for scope in (a, b):
                call = asyncio.create_task(store.get(scope, NOTES, "n1"))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                call.cancel()
        async with asyncio.timeout(10):
            assert await store.get(a, NOTES, "n1") is None
            assert await store.get(b, NOTES, "n1") is None
            await store.close()

    async def test_counting_does_not_hold_the_loop(self, folder: Path) -> None:
        """A batch of usage records with many tags makes thousands of counters: it once held the loop for 0.2 s."""
        calls, counts = (Collection(name, Level.PROJECT, {"calls": INTEGER}) for name in ("calls", "counts"))
        store = SqliteStore(folder, Schema([calls, counts]))
        await store.create_tenant(ACME)
        threads: list[threading.Thread] = []

        def counting(new: Sequence[Document]) -> list[Increment]:
            threads.append(threading.current_thread())
            return [Increment("all", {"calls": len(new)}, {})]

        assert await store.insert_counted(RED, calls, [{"id": "c1"}, {"id": "c2"}], counts, counting) == 2
        assert await store.get(RED, counts, "all") == {"id": "all", "project": "red", "calls": 2}
        await store.close()
        assert threads
        assert threading.current_thread() not in threads

    async def test_a_batch_that_is_cancelled_leaves_no_transaction_open(self, folder: Path, store: SqliteStore) -> None:
        for turns in range(30):
            batch = [{"id": f"b{turns}.{i}"} for i in range(50)]
            call = asyncio.create_task(store.insert_many(RED, NOTES, batch))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            await store.insert(RED, NOTES, {"id": f"n{turns}"})
        other = SqliteStore(folder, SCHEMA)  # sees what is committed only
        assert await other.count(RED, NOTES) == await store.count(RED, NOTES)
        for turns in range(30):
            assert await other.get(RED, NOTES, f"n{turns}") is not None
            assert (await other.get(RED, NOTES, f"b{turns}.0") is None) == (
                await other.get(RED, NOTES, f"b{turns}.49") is None
            )
        await other.close()

    async def test_a_closed_store_says_so(self, store: SqliteStore) -> None:
        await store.close()
        await store.close()
        with pytest.raises(Unavailable):
            await store.get(RED, NOTES, "n1")

    def test_at_least_one(self, folder: Path) -> None:
        with pytest.raises(ValueError):
            SqliteStore(folder, SCHEMA, max_open=0)


class TestTrouble:
    async def test_a_full_disk(self, store: SqliteStore, path: Path) -> None:
        async with store._databases.use(path) as database:
            await database.writer.execute("PRAGMA max_page_count = 20")
        many = [store.insert(RED, NOTES, {"id": f"n{i}", "text": "x" * 5000}) for i in range(100)]
        with pytest.raises(InsufficientStorage):
            raise next(error for error in await asyncio.gather(*many, return_exceptions=True) if error)
        kept = await store.count(RED, NOTES)
        with pytest.raises(InsufficientStorage):
            await store.insert_many(RED, NOTES, [{"id": f"m{i}", "text": "x" * 5000} for i in range(50)])
        assert await store.count(RED, NOTES) == kept
        assert await store.delete(RED, NOTES, "n0") is True
        await store.insert(RED, NOTES, {"id": "small"})

    async def test_locked_for_too_long(self, folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite_files, "BUSY_SECONDS", 0.02)
        store = SqliteStore(folder, SCHEMA)
        await store.create_tenant(ACME)
        assert await store.get(RED, NOTES, "n1") is None
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable) as caught:
                await store.insert(RED, NOTES, {"id": "n1"})
            with pytest.raises(Unavailable):
                await store.insert_many(RED, NOTES, [{"id": "n1"}])
            assert await store.get(RED, NOTES, "n1") is None
            writer.execute("ROLLBACK")
        assert caught.value.retry_after == 1.0
        await store.insert(RED, NOTES, {"id": "n1"})
        await store.close()

    async def test_a_write_waits_for_another_process(self, store: SqliteStore, path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(store.insert(RED, NOTES, {"id": "n1"}))
            await store.count(RED, NOTES)
            assert not waiting.done()
            writer.execute("ROLLBACK")
            await waiting
        assert await store.get(RED, NOTES, "n1") is not None

    @pytest.mark.parametrize("where", [0, 4096 * 2])
    async def test_a_broken_file(self, folder: Path, store: SqliteStore, path: Path, where: int) -> None:
        await store.insert_many(RED, NOTES, [{"id": f"n{i}", "text": "x" * 500} for i in range(500)])
        await store.close()
        with path.open("r+b") as file:
            file.seek(where)
            file.write(b"\xff" * 4096 * 10)
        again = SqliteStore(folder, SCHEMA)
        with structlog.testing.capture_logs() as logged, pytest.raises(Unavailable) as caught:
            await again.find(RED, NOTES, page_size=1000)
        assert [line["event"] for line in logged] == ["store broken"]
        assert logged[0]["database"] == "tenant_acme.sqlite"
        assert str(folder) not in caught.value.message
        await again.close()

    async def test_check_notices(self, folder: Path, store: SqliteStore) -> None:
        await store.check()
        (folder / "portico_main.sqlite").write_bytes(b"not a database" * 1000)
        with pytest.raises(Unavailable):
            await store.check()

    async def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        store = SqliteStore(tmp_path / "file" / "data", SCHEMA)
        with pytest.raises(Unavailable):
            await store.check()
        with pytest.raises(Unavailable):
            await store.create_tenant(ACME)
        await store.close()

    async def test_documents_are_not_logged_by_the_driver(
        self, store: SqliteStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        """At level DEBUG it writes every statement with its values."""
        with caplog.at_level(logging.DEBUG):
            await store.insert(RED, NOTES, {"id": "n1", "text": "marked secret"})
        assert "marked secret" not in caplog.text


class TestSettings:
    async def test_the_store_that_is_named(self, folder: Path) -> None:
        store = make_store(load(StoreSettings, {"PORTICO_DATA_DIR": str(folder)}), SCHEMA)
        assert isinstance(store, SqliteStore)
        await store.create_tenant(ACME)
        assert (folder / "tenant_acme.sqlite").exists()
        await store.close()
        with pytest.raises(ConfigError, match="DB_PROVIDER"):
            load(StoreSettings, {"DB_PROVIDER": "oracle"})


def _bytes_of(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in folder.iterdir() if each.is_file())


async def test_what_was_deleted_or_replaced_is_not_in_the_files_any_more(folder: Path, store: SqliteStore) -> None:
    """Deleted rows stayed on free pages and in the log, where the files showed them."""
    others = SqliteStore(folder, SCHEMA)
    for at in range(200):
        await store.insert(RED, NOTES, {"id": f"n{at}", "text": f"planted-marker-{at} " * at, "keep": "kept-marker"})
    await others.count(RED, NOTES)
    for at in range(100):
        await store.update(RED, NOTES, f"n{at}", {"text": "short"})
    await store.delete_where(RED, NOTES, {"text": Cond(Op.NE, "short")})
    await store.scrub(ACME)
    kept = _bytes_of(folder)
    assert b"planted-marker" not in kept
    assert b"kept-marker" in kept
    assert await others.count(RED, NOTES) == 100
    await others.close()


async def test_a_scrub_waits_for_nobody_for_ever(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader needs what the log still holds."""
    monkeypatch.setattr(sqlite_files, "BUSY_SECONDS", 0.05)
    other = SqliteStore(path.parent, SCHEMA)
    await store.insert(RED, NOTES, {"id": "a"})
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        await store.insert(RED, NOTES, {"id": "b"})
        with pytest.raises(Unavailable):
            await other.scrub(ACME)
    await other.scrub(ACME)
    await other.close()
