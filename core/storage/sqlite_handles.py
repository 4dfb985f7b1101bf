"""Open databases: a bounded number, the least recently used closed first, and only when nobody uses it."""

import asyncio
import sqlite3
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite

from core.errors import FailedPrecondition, Unavailable
from core.storage import sqlite_files
from core.storage.where_sql import Clause
from core.tenancy import Main, Tenant

T = TypeVar("T")
Row = tuple[Any, ...]


@dataclass(eq=False)
class Database:
    """One open file: a connection that writes, one write at a time, and one that reads beside it."""

    path: Path
    inode: int
    writer: aiosqlite.Connection
    reader: aiosqlite.Connection
    users: int = 0
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    owner: Main | Tenant | None = None
    """Owner, set once the database holds what is declared. That is looked at for every handle, so that a new file is
    never taken for one that was looked at."""
    applying: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def open(cls, path: Path) -> "Database":
        """Open the database. Raises FileNotFoundError if there is no such file."""
        writer, inode = await _connect(path, query_only=False)
        try:
            reader, same = await _connect(path, query_only=True)
        except BaseException:
            await writer.close()
            raise
        opened = cls(path, inode, writer, reader)
        if same != inode:  # replaced between the two
            await opened.close()
            raise FileNotFoundError(path)
        return opened

    async def close(self) -> None:
        await self.reader.close()
        await self.writer.close()  # the last connection to close moves the WAL into the file

    async def read(self, statement: Clause) -> list[Row]:
        return cast(list[Row], await self.reader.execute_fetchall(statement.sql, statement.values))

    async def write(self, statement: Clause) -> list[Row]:
        """One statement, durable on return."""
        async with self.writing:
            return cast(list[Row], await self.writer.execute_fetchall(statement.sql, statement.values))

    async def write_counting(self, statement: Clause) -> int:
        """One statement, durable on return. How many rows it touched."""
        async with self.writing, self.writer.execute(statement.sql, statement.values) as cursor:
            return cursor.rowcount

    async def transact(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """All of `work` or nothing, durable on return."""
        async with self.writing:
            try:
                await self.writer.execute("BEGIN IMMEDIATE")
                done = await work(self.writer)
                await self.writer.execute("COMMIT")
            except BaseException:
                await self.writer.rollback()
                raise
            return done

    async def transact_whole(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do as `transact`, with work that runs in the writer's thread from beginning to end: each statement of
        `transact` costs two switches of threads."""

        def run() -> T:
            connection: sqlite3.Connection = self.writer._conn
            connection.execute("BEGIN IMMEDIATE")
            try:
                done = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise
            return done

        async with self.writing:
            return cast(T, await self.writer._execute(run))  # type: ignore[no-untyped-call]

    async def insert_all(self, sql: str, rows: Sequence[Row]) -> int:
        """Insert the rows, and return the number of new ones. Where some break a unique group, the others are inserted
        and the error is raised."""

        async def insert(connection: aiosqlite.Connection) -> int:
            before = connection.total_changes
            async with connection.executemany(sql, rows):
                return connection.total_changes - before

        try:
            return await self.transact(insert)
        except sqlite3.IntegrityError:
            count, refused = await self.transact(lambda connection: _insert_each(connection, sql, rows))
        if refused is not None:
            raise refused
        return count


async def _insert_each(
    connection: aiosqlite.Connection, sql: str, rows: Sequence[Row]
) -> tuple[int, sqlite3.IntegrityError | None]:
    """Insert the rows one by one. Return the number of new ones, and the first error. A statement that breaks a
    constraint undoes itself alone."""
    before = connection.total_changes
    first: sqlite3.IntegrityError | None = None
    for row in rows:
        try:
            await connection.execute(sql, row)
        except sqlite3.IntegrityError as error:
            first = first or error
    return connection.total_changes - before, first


async def _connect(path: Path, *, query_only: bool) -> tuple[aiosqlite.Connection, int]:
    found: list[int] = []

    def connector() -> sqlite3.Connection:
        connection, inode = sqlite_files.connect(path, query_only=query_only)
        found.append(inode)
        return connection

    connection = aiosqlite.Connection(connector, iter_chunk_size=64)
    connection._thread.daemon = True  # or a process that fails before it closes its store never ends
    return await connection, found[0]


class Databases:
    """The open databases of a folder. Use one only inside `async with databases.use(path)`."""

    def __init__(self, max_open: int) -> None:
        if max_open < 1:
            raise ValueError("max_open is at least 1")
        self._max_open = max_open
        self._open: OrderedDict[Path, Database] = OrderedDict()
        self._replaced: list[Database] = []
        self._opening = asyncio.Lock()
        self._idle = asyncio.Event()
        self._closed = False

    @property
    def count(self) -> int:
        return len(self._open) + len(self._replaced)

    def owners(self) -> list[Main | Tenant]:
        """List the owners of the open databases."""
        return [database.owner for database in self._open.values() if database.owner is not None]

    @asynccontextmanager
    async def use(self, path: Path) -> AsyncIterator[Database]:
        """Use the database for a block. Raises FailedPrecondition if there is no such file."""
        database = self._take(path) or await self._load_undisturbed(path)
        try:
            yield database
        finally:
            self._give_back(database)

    async def forget(self, path: Path) -> None:
        """Close the database once those who use it are done. The file must be gone already, or it is opened again."""
        self._set_aside(path)
        async with self._opening:
            while any(database.path == path for database in self._replaced):
                await self._close_replaced()
                if any(database.path == path for database in self._replaced):
                    await self._someone_done()

    async def close(self) -> None:
        self._closed = True
        for path in list(self._open):
            self._set_aside(path)
        async with self._opening:
            while self._replaced:
                await self._close_replaced()
                if self._replaced:
                    await self._someone_done()

    def _take(self, path: Path) -> Database | None:
        """The open handle, unless the file has been removed or replaced since, perhaps by another process."""
        if self._closed:
            raise Unavailable("The store is shutting down.")
        number = sqlite_files.inode(path)
        database = self._open.get(path)
        if database is not None and database.inode != number:
            self._set_aside(path)
            database = None
        if number is None:
            raise FailedPrecondition("This tenant is not known here.", reason="UNKNOWN_TENANT")
        if database is not None:
            database.users += 1
            self._open.move_to_end(path)
        return database

    def _give_back(self, database: Database) -> None:
        database.users -= 1
        if not database.users:
            self._idle.set()

    def _set_aside(self, path: Path) -> None:
        if database := self._open.pop(path, None):
            self._replaced.append(database)

    async def _load_undisturbed(self, path: Path) -> Database:
        """A caller that is cancelled does not stop the opening half-way; what it opened is kept for the next."""
        loading = asyncio.ensure_future(self._load(path))
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            loading.add_done_callback(self._abandon)
            raise

    def _abandon(self, loading: "asyncio.Future[Database]") -> None:
        if not loading.cancelled() and loading.exception() is None:
            self._give_back(loading.result())

    async def _load(self, path: Path) -> Database:
        async with self._opening:
            await self._close_replaced()
            while (database := self._take(path)) is None:
                if self.count >= self._max_open:
                    await self._close_one()
                else:
                    with suppress(FileNotFoundError):  # removed meanwhile: looking again says so
                        self._open[path] = await Database.open(path)
            return database

    async def _close_one(self) -> None:
        idle = next((database for database in self._open.values() if not database.users), None)
        if idle is not None:
            del self._open[idle.path]
            await idle.close()
        else:
            await self._someone_done()
            await self._close_replaced()

    async def _someone_done(self) -> None:
        self._idle.clear()
        await self._idle.wait()

    async def _close_replaced(self) -> None:
        for database in [each for each in self._replaced if not each.users]:
            self._replaced.remove(database)
            await database.close()
