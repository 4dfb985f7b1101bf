"""The document store on SQLite: `portico_main.sqlite` and a `tenant_<slug>.sqlite` per tenant in one folder.

Several processes may use the folder at once. Each statement is a transaction of its own, durable on return
(WAL, synchronous=FULL); reads go beside writes on a connection of their own.
"""

import asyncio
import copy
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiosqlite

from core import logs
from core.errors import Conflict, FailedPrecondition, InvalidInput, Unavailable
from core.offload import in_turns
from core.storage import page_tokens, sqlite_files, sqlite_schema, statements
from core.storage.checks import MAX_TOTALS, check_counted, check_listing, check_totals, fitting
from core.storage.conditions import conditions
from core.storage.documents import (
    check_amounts,
    check_changes,
    check_size,
    check_text,
    decode,
    encode,
    escape,
    stored,
)
from core.storage.migrations import migrate, with_records
from core.storage.ports import Collection, Counting, Document, Order, Page, Where
from core.storage.schema import Schema, database_of
from core.storage.sqlite_counting import CountedInsert, counted_rows
from core.storage.sqlite_errors import translated
from core.storage.sqlite_handles import Database, Databases
from core.storage.where_sql import Clause, alive, column, expired, filtered, joined
from core.tenancy import AllProjects, Main, Project, Scope, Tenant

_log = logs.get(__name__)


class SqliteStore:
    """`max_open` bounds how many databases are open at once; an open one has two threads."""

    def __init__(
        self, data_dir: Path, schema: Schema, *, max_open: int = 64, clock: Callable[[], float] = time.time
    ) -> None:
        self._data_dir = data_dir
        self._schema = schema
        self._clock = clock
        self._databases = Databases(max_open)
        self._main_created = False
        logging.getLogger("aiosqlite").setLevel(logging.INFO)  # at DEBUG it logs statements with their values

    async def create_tenant(self, tenant: Tenant) -> None:
        await self._create(self._path(tenant))

    async def drop_tenant(self, tenant: Tenant) -> None:
        path = self._path(tenant)
        await asyncio.to_thread(sqlite_files.remove, path)
        await self._databases.forget(path)

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None:
        self._schema.check(scope, collection, write=True)
        row = Clause(statements.insert(collection), _row(scope, collection, document))
        async with self._use(scope) as database:
            await self._write(database, collection, row)

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        self._schema.check(scope, collection, write=True)
        rows = [_row(scope, collection, document) for document in documents]
        if not rows:
            return 0
        async with self._use(scope) as database:
            await self._delete_expired(database, collection)
            return await database.insert_all(statements.insert(collection, skip_known=True), rows)

    async def insert_counted(
        self,
        scope: Scope,
        collection: Collection,
        documents: Sequence[Document],
        counters: Collection,
        counting: Counting,
        *,
        texts: Sequence[str] | None = None,
    ) -> int:
        for each in (collection, counters):
            self._schema.check(scope, each, write=True)
        check_counted(collection, counters)
        project = scope.id if isinstance(scope, Project) else ""
        rows = counted_rows(collection, project, documents, texts)
        work = CountedInsert(collection, counters, rows, counting, _within(scope), project)
        async with self._use(scope) as database:
            return await database.transact_whole(work.run) if rows else 0

    async def get(self, scope: Scope, collection: Collection, id: str) -> Document | None:
        self._schema.check(scope, collection, write=False)
        found = await self._read(scope, statements.select_one(collection, self._record(scope, collection, id)))
        return decode(found[0][0]) if found else None

    async def find_one(self, scope: Scope, collection: Collection, where: Where) -> Document | None:
        self._schema.check(scope, collection, write=False)
        found = await self._read(scope, statements.select_one(collection, self._rows(scope, collection, where)))
        return decode(found[0][0]) if found else None

    async def find(
        self,
        scope: Scope,
        collection: Collection,
        where: Where | None = None,
        *,
        order: Order = Order(),
        page_size: int = 50,
        page_token: str = "",
    ) -> Page:
        self._schema.check(scope, collection, write=False)
        check_listing(collection, order, page_size)
        bound_to = page_tokens.binding(scope, collection, conditions(collection, where), order)
        rows = self._rows(scope, collection, where)
        by = column(collection, order.field)
        found: list[tuple[Any, ...]] = []
        position = page_tokens.decode(bound_to, page_token)
        for segment in statements.segments_after(by, order.descending, position):
            limit = page_size + 1 - len(found)
            found += await self._read(scope, statements.select_page(collection, by, rows, segment, limit))
            if len(found) > page_size:
                break
        kept = fitting(len(row[0]) for row in found[:page_size])
        next_token = ""
        if kept < len(found):
            _, value, id, project = found[kept - 1]
            next_token = page_tokens.encode(bound_to, (value, id, project))
        return Page(await in_turns(lambda row: decode(row[0]), found[:kept]), next_token)

    async def count(self, scope: Scope, collection: Collection, where: Where | None = None) -> int:
        self._schema.check(scope, collection, write=False)
        found = await self._read(scope, statements.count(collection, self._rows(scope, collection, where)))
        return int(found[0][0])

    async def update(
        self,
        scope: Scope,
        collection: Collection,
        id: str,
        changes: Mapping[str, Any],
        *,
        where: Where | None = None,
    ) -> Document | None:
        self._schema.check(scope, collection, write=True)
        check_changes(collection, changes)
        values = {name: None if value is None else encode(value) for name, value in changes.items()}
        check_size(collection, changes, sum(len(text) for text in values.values() if text is not None))
        rows = joined([self._record(scope, collection, id), filtered(collection, conditions(collection, where))])
        async with self._use(scope) as database:
            found = await self._write(database, collection, statements.update(collection, values, rows))
        return decode(found[0][0]) if found else None

    async def increment(
        self,
        scope: Scope,
        collection: Collection,
        id: str,
        amounts: Mapping[str, int],
        *,
        initial: Mapping[str, Any] | None = None,
    ) -> Document:
        self._schema.check(scope, collection, write=True)
        check_amounts(collection, amounts, initial or {})
        row = _row(scope, collection, {**(initial or {}), **amounts, "id": id})
        async with self._use(scope) as database:
            await self._delete_expired(database, collection)
            found = await database.write(statements.increment(collection, amounts, row))
        if not found:
            raise InvalidInput("A sum must fit into 64 bits.", field=next(iter(amounts)))
        document: Document = decode(found[0][0])
        return document

    async def delete(self, scope: Scope, collection: Collection, id: str) -> bool:
        self._schema.check(scope, collection, write=False)
        return await self._delete(scope, collection, self._record(scope, collection, id)) > 0

    async def delete_where(self, scope: Scope, collection: Collection, where: Where) -> int:
        self._schema.check(scope, collection, write=False)
        return await self._delete(scope, collection, self._rows(scope, collection, where))

    async def _delete(self, scope: Scope, collection: Collection, rows: Clause) -> int:
        async with self._use(scope) as database:
            return await database.write_counting(statements.delete(collection, rows))

    async def totals(
        self,
        scope: Scope,
        collection: Collection,
        where: Where | None,
        *,
        group_by: Sequence[str],
        sums: Sequence[str],
    ) -> list[Document]:
        self._schema.check(scope, collection, write=False)
        check_totals(collection, group_by, sums)
        asked = statements.totals(collection, group_by, sums, self._rows(scope, collection, where), MAX_TOTALS)
        names = (*group_by, "count", *sums)
        groups = len(group_by)

        def total(row: tuple[Any, ...]) -> Document:
            return dict(zip(names, (*map(decode, row[:groups]), *row[groups:]), strict=True))

        return await in_turns(total, await self._read(scope, asked))

    async def sweep(self) -> int:
        count = 0
        for scope in self._databases.owners():
            for collection in self._schema.of(scope):
                if collection.expiry:
                    with suppress(FailedPrecondition):  # the tenant has just been dropped
                        async with self._use(scope) as database:
                            count += await self._delete_expired(database, collection)
        return count

    async def scrub(self, database: Main | Tenant) -> None:
        """Deleted content is overwritten as it is deleted (`secure_delete`), but the log of earlier writes still holds
        it: this empties the log into the database."""
        async with self._use(database) as used:
            ((busy, *_),) = await used.write(Clause("PRAGMA wal_checkpoint(TRUNCATE)"))
        if busy:
            raise Unavailable("The store is busy: try again shortly.", retry_after=1.0)

    async def check(self) -> None:
        """The folder can be written, and the main database, if it is in use here, can be read."""
        await asyncio.to_thread(self._check_folder)
        if sqlite_files.inode(self._path(Main())) is not None:
            await self._read(Main(), Clause(sqlite_schema.LIST_TABLES))

    def _check_folder(self) -> None:
        probe = self._data_dir / ".probe"
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe.touch(mode=0o600)
        except OSError as error:
            raise Unavailable("The data folder cannot be written.") from error

    async def close(self) -> None:
        await self._databases.close()

    def _path(self, scope: Scope) -> Path:
        match scope:
            case Main():
                name = "portico_main"
            case Tenant(slug) | Project(Tenant(slug)) | AllProjects(Tenant(slug)):
                name = f"tenant_{slug}"
        return self._data_dir / f"{name}.sqlite"

    @asynccontextmanager
    async def _use(self, scope: Scope) -> AsyncIterator[Database]:
        path = self._path(scope)
        if isinstance(scope, Main) and not self._main_created:
            await self._create(path)
            self._main_created = True
        with translated(path.name):
            async with self._databases.use(path) as database:
                if self._schema.applies and database.owner is None:
                    await self._apply(database_of(scope), database)
                yield database

    async def _create(self, path: Path) -> None:
        with translated(path.name):
            await asyncio.to_thread(sqlite_files.create, path)

    async def _apply(self, scope: Main | Tenant, database: Database) -> None:
        """Apply what is declared to the database. Others who want this handle wait; other processes are kept out by
        transactions, and by the lease of the migrations."""
        async with database.applying:
            if database.owner is not None:
                return
            declared, migrations = self._schema.of(scope), self._schema.migrations
            try:
                await _define(database, with_records(migrations, scope, declared), only_new=True)
                await migrate(self._as_it_is(), scope, migrations)
                await _define(database, declared, only_new=False)
            except (Conflict, sqlite3.IntegrityError) as error:  # of records that are there: no caller can mend that
                _log.error("database not brought to what is declared", database=database.path.name, error=str(error))
                raise Unavailable("The store cannot be brought up to date. Its log says why.") from error
            database.owner = scope

    def _as_it_is(self) -> "SqliteStore":
        """This store for a migration: it takes a database as it is, whatever is declared."""
        view = copy.copy(self)
        view._schema = self._schema.as_it_is()
        return view

    async def _write(self, database: Database, collection: Collection, statement: Clause) -> list[tuple[Any, ...]]:
        """One statement. What has expired stands in nobody's way."""
        try:
            return await database.write(statement)
        except sqlite3.IntegrityError:
            if not await self._delete_expired(database, collection):
                raise
        return await database.write(statement)

    async def _delete_expired(self, database: Database, collection: Collection) -> int:
        """Delete the expired documents, and return their number."""
        if not collection.expiry:
            return 0
        return await database.write_counting(statements.delete(collection, expired(collection, self._clock())))

    def _record(self, scope: Scope, collection: Collection, id: str) -> Clause:
        check_text(id, "id")
        return joined([_within(scope), Clause("id=?", (escape(id),)), *self._alive(collection)])

    def _rows(self, scope: Scope, collection: Collection, where: Where | None) -> Clause:
        conds = filtered(collection, conditions(collection, where))
        return joined([_within(scope), conds, *self._alive(collection)])

    def _alive(self, collection: Collection) -> list[Clause]:
        return [alive(collection, self._clock())] if collection.expiry else []

    async def _read(self, scope: Scope, asked: Clause) -> list[tuple[Any, ...]]:
        async with self._use(scope) as database:
            return await database.read(asked)


async def _define(database: Database, collections: Sequence[Collection], *, only_new: bool) -> None:
    """Ask first, so that a database that is as declared is not locked for writing."""

    async def missing(connection: aiosqlite.Connection) -> list[str]:
        tables = {row[0] for row in await connection.execute_fetchall(sqlite_schema.LIST_TABLES)}
        existing = [tuple(row) for row in await connection.execute_fetchall(sqlite_schema.LIST_INDEXES)]
        return list(sqlite_schema.statements(collections, tables, existing, only_new=only_new))

    async def define(connection: aiosqlite.Connection) -> None:
        for statement in await missing(connection):
            await connection.execute(statement)

    if await missing(database.reader):
        await database.transact(define)


def _row(scope: Scope, collection: Collection, document: Document) -> tuple[str, str, str]:
    project = scope.id if isinstance(scope, Project) else ""
    id, text = stored(collection, project, document)
    return project, escape(id), text


def _within(scope: Scope) -> Clause:
    """The rows of the scope. Records that belong to no project have an empty one."""
    match scope:
        case AllProjects():
            return Clause("1")
        case Project(_, id):
            return Clause("project=?", (id,))
    return Clause("project=''")
