"""The document store on SQLite: `portico_main.sqlite` and a `tenant_<slug>.sqlite` per tenant in one folder.

Several processes may use the folder at once. Each statement is a transaction of its own, durable on return
(WAL, synchronous=FULL); reads go beside writes on a connection of their own.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import aiosqlite

from core.errors import Unavailable
from core.offload import in_turns
from core.storage import page_tokens, schema, sqlite_files, statements
from core.storage.checks import MAX_TOTALS, check_listing, check_prepare, check_totals, fitting
from core.storage.conditions import conditions
from core.storage.documents import check_changes, check_text, decode, encode, escape, stored
from core.storage.migrations import NO_MIGRATIONS, Migrations, migrate, with_records
from core.storage.ports import Collection, Document, Order, Page, Where, check_level
from core.storage.sqlite_errors import NotPrepared, translated
from core.storage.sqlite_handles import Database, Databases
from core.storage.where_sql import Clause, column, filtered, joined
from core.tenancy import EveryProject, Main, Project, Scope, Tenant


class SqliteStore:
    """`max_open` bounds how many databases are open at once; an open one has two threads."""

    def __init__(self, data_dir: Path, *, max_open: int = 64, migrations: Migrations = NO_MIGRATIONS) -> None:
        self._data_dir = data_dir
        self._migrations = migrations
        self._databases = Databases(max_open)
        self._prepared: dict[Path, tuple[int, frozenset[Collection]]] = {}
        self._preparing: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()
        logging.getLogger("aiosqlite").setLevel(logging.INFO)  # at DEBUG it logs statements with their values

    async def prepare(self, scope: Main | Tenant, collections: Sequence[Collection]) -> None:
        path, wanted = self._path(scope), frozenset(collections)
        if isinstance(scope, Main | Tenant) and self._is_prepared(path, wanted):
            return
        check_prepare(scope, collections)
        one_at_a_time = self._preparing.setdefault(path, asyncio.Lock())
        async with one_at_a_time:
            if self._is_prepared(path, wanted):
                return
            with translated(path.name):
                await asyncio.to_thread(sqlite_files.create, path)
            await self._define(scope, with_records(self._migrations, scope, collections), only_new=True)
            await migrate(self, scope, self._migrations)
            await self._define(scope, collections, only_new=False)
            _, known = self._prepared.get(path, (None, frozenset()))
            if (inode := sqlite_files.inode(path)) is not None:
                self._prepared[path] = inode, wanted | known

    def _is_prepared(self, path: Path, wanted: frozenset[Collection]) -> bool:
        inode, known = self._prepared.get(path, (None, frozenset()))
        if inode is None or inode != sqlite_files.inode(path):
            self._prepared.pop(path, None)
            return False
        return wanted <= known

    async def _define(self, scope: Main | Tenant, collections: Sequence[Collection], *, only_new: bool) -> None:
        """Asks first, so that a database that is as declared is not locked for writing."""

        async def missing(connection: aiosqlite.Connection) -> list[str]:
            tables = {row[0] for row in await connection.execute_fetchall(schema.LIST_TABLES)}
            existing = [tuple(row) for row in await connection.execute_fetchall(schema.LIST_INDEXES)]
            return list(schema.statements(collections, tables, existing, only_new=only_new))

        async def define(connection: aiosqlite.Connection) -> None:
            for statement in await missing(connection):
                await connection.execute(statement)

        async with self._use(scope) as database:
            if await missing(database.reader):
                await database.transact(define)

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None:
        check_level(scope, collection, write=True)
        async with self._use(scope) as database:
            await database.write(Clause(statements.insert(collection), _row(scope, collection, document)))

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        check_level(scope, collection, write=True)
        rows = [_row(scope, collection, document) for document in documents]
        async with self._use(scope) as database:
            return await database.insert_all(statements.insert(collection, skip_known=True), rows) if rows else 0

    async def get(self, scope: Scope, collection: Collection, id: str) -> Document | None:
        check_level(scope, collection, write=False)
        found = await self._read(scope, statements.select_one(collection, _record(scope, id)))
        return decode(found[0][0]) if found else None

    async def find_one(self, scope: Scope, collection: Collection, where: Where) -> Document | None:
        check_level(scope, collection, write=False)
        found = await self._read(scope, statements.select_one(collection, _rows(scope, collection, where)))
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
        check_level(scope, collection, write=False)
        check_listing(order, page_size)
        conds = conditions(where)
        bound_to = page_tokens.binding(scope, collection, conds, order)
        rows = joined([_within(scope), filtered(collection, conds)])
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
        check_level(scope, collection, write=False)
        found = await self._read(scope, statements.count(collection, _rows(scope, collection, where)))
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
        check_level(scope, collection, write=True)
        check_changes(collection, changes)
        values = {name: None if value is None else encode(value) for name, value in changes.items()}
        rows = joined([_record(scope, id), filtered(collection, conditions(where))])
        async with self._use(scope) as database:
            found = await database.write(statements.update(collection, values, rows))
        return decode(found[0][0]) if found else None

    async def delete(self, scope: Scope, collection: Collection, id: str) -> bool:
        check_level(scope, collection, write=False)
        return await self._delete(scope, collection, _record(scope, id)) > 0

    async def delete_where(self, scope: Scope, collection: Collection, where: Where) -> int:
        check_level(scope, collection, write=False)
        return await self._delete(scope, collection, _rows(scope, collection, where))

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
        check_level(scope, collection, write=False)
        check_totals(group_by, sums)
        asked = statements.totals(collection, group_by, sums, _rows(scope, collection, where), MAX_TOTALS)
        names = (*group_by, "count", *sums)
        groups = len(group_by)

        def total(row: tuple[Any, ...]) -> Document:
            return dict(zip(names, (*map(decode, row[:groups]), *row[groups:]), strict=True))

        return await in_turns(total, await self._read(scope, asked))

    async def drop_tenant(self, tenant: Tenant) -> None:
        path = self._path(tenant)
        self._prepared.pop(path, None)
        await asyncio.to_thread(sqlite_files.remove, path)
        await self._databases.forget(path)

    async def scrub(self, tenant: Tenant) -> None:
        """Deleted content is overwritten as it is deleted (`secure_delete`), but the log of earlier writes still holds
        it: this empties the log into the database."""
        async with self._use(tenant) as database:
            ((busy, *_),) = await database.write(Clause("PRAGMA wal_checkpoint(TRUNCATE)"))
        if busy:
            raise Unavailable("The store is busy: try again shortly.", retry_after=1.0)

    async def check(self) -> None:
        """The folder can be written, and the main database, if it is in use here, can be read."""
        await asyncio.to_thread(self._check_folder)
        if sqlite_files.inode(self._path(Main())) is not None:
            await self._read(Main(), Clause(schema.LIST_TABLES))

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
            case Tenant(slug) | Project(Tenant(slug)) | EveryProject(Tenant(slug)):
                name = f"tenant_{slug}"
        return self._data_dir / f"{name}.sqlite"

    @asynccontextmanager
    async def _use(self, scope: Scope) -> AsyncIterator[Database]:
        path = self._path(scope)
        try:
            with translated(path.name):
                async with self._databases.use(path) as database:
                    yield database
        except NotPrepared:  # the file was made anew by somebody else: the next `prepare` looks again
            self._prepared.pop(path, None)
            raise

    async def _read(self, scope: Scope, asked: Clause) -> list[tuple[Any, ...]]:
        async with self._use(scope) as database:
            return await database.read(asked)


def _row(scope: Scope, collection: Collection, document: Document) -> tuple[str, str, str]:
    project = scope.id if isinstance(scope, Project) else ""
    id, text = stored(collection, project, document)
    return project, escape(id), text


def _within(scope: Scope) -> Clause:
    """The rows of the scope. Records that belong to no project have an empty one."""
    match scope:
        case EveryProject():
            return Clause("1")
        case Project(_, id):
            return Clause("project=?", (id,))
    return Clause("project=''")


def _record(scope: Scope, id: str) -> Clause:
    check_text(id, "id")
    return joined([_within(scope), Clause("id=?", (escape(id),))])


def _rows(scope: Scope, collection: Collection, where: Where | None) -> Clause:
    return joined([_within(scope), filtered(collection, conditions(where))])
