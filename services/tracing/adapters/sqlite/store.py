"""The trace store on SQLite: a file for each tenant, whose writes share a flush to the disk."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from core.errors import FailedPrecondition, Unavailable
from core.storage import sqlite_files
from core.storage.sqlite_errors import translated
from core.storage.sqlite_handles import Database, Databases
from core.storage.where_sql import Clause
from core.tenancy import Project, Tenant
from services.tracing.adapters.sqlite import reading, transfer
from services.tracing.adapters.sqlite.schema import define
from services.tracing.adapters.sqlite.writing import SqliteRows, delete_session
from services.tracing.adapters.write_queues import Outcome, Request, WriteQueues, merged
from services.tracing.domain.records import Patch, Session
from services.tracing.ports import (
    EventPage,
    Exported,
    Group,
    Position,
    SessionFilter,
    SessionPage,
    StoredEvent,
    Written,
)

_NAME = "traces"
_MIB = 1024 * 1024
_CLEARED = 200
"""Sessions removed in one transaction."""
_EXPORTED = 200
"""Records that are exported or restored at a time."""

T = TypeVar("T")
CheckTenant = Callable[[Tenant], Awaitable[object]]


class SqliteTraceStore:
    """`waiting_mb` bounds what waits to be written for a tenant; `max_open` the files that are open at once. Where
    documents lie elsewhere than in files beside these, `check_tenant` is asked before a file is made: it raises
    FailedPrecondition for a tenant that is not there."""

    def __init__(
        self, data_dir: Path, *, waiting_mb: int, max_open: int = 64, check_tenant: CheckTenant | None = None
    ) -> None:
        self._data_dir = data_dir
        self._check_tenant = check_tenant
        self._databases = Databases(max_open)
        self._queues = WriteQueues(waiting_mb * _MIB, self._write_batch)
        self._defined: dict[Path, int] = {}
        """Inodes of the files whose tables are made."""

    async def write(self, project: Project, patches: Sequence[Patch]) -> list[Written]:
        return await self._queues.write(project, patches)

    async def _write_batch(self, tenant: Tenant, batch: Sequence[Request]) -> list[Outcome]:
        return await self._transact(tenant, lambda connection: merged(SqliteRows(connection), batch))

    async def session(self, project: Project, id: str) -> Session | None:
        rows = await self._read(project, reading.session(project.id, id))
        return reading.session_of(rows[0][0]) if rows else None

    async def sessions(
        self, project: Project, filter: SessionFilter, limit: int, after: Position | None = None
    ) -> SessionPage:
        rows = await self._read(project, reading.sessions(project.id, filter, limit + 1, after))
        return reading.session_page(rows, limit)

    async def events(
        self, project: Project, session_id: str, limit: int, after: Position | None = None, *, content: bool
    ) -> EventPage | None:
        number = await self._number(project, session_id)
        if number is None:
            return None
        rows = await self._read(project, reading.events(number, limit + 1, after))
        page = reading.event_page(rows, limit, content=content)
        if not content:
            return page
        numbers = [row[2] for row in rows[: len(page.events)]]
        contents = dict(await self._read(project, reading.contents(numbers)))
        return reading.with_contents(page, numbers, contents)

    async def event(self, project: Project, session_id: str, id: str, type: str = "") -> StoredEvent | None:
        number = await self._number(project, session_id)
        if number is None:
            return None
        rows = await self._read(project, reading.event(number, id, type))
        return reading.stored_event(*rows[0]) if rows else None

    async def delete(self, project: Project, session_id: str) -> bool:
        def remove(connection: sqlite3.Connection) -> bool:
            clause = reading.number(project.id, session_id)
            found = connection.execute(clause.sql, clause.values).fetchone()
            if found is not None:
                _delete(connection, found[0])
            return found is not None

        return await self._transact(project.tenant, remove)

    async def threads(self, project: Project, filter: SessionFilter, limit: int, skip: int) -> tuple[list[Group], int]:
        rows = await self._read(project, reading.groups(project.id, filter, "thread", limit, skip))
        ((count,),) = await self._read(project, reading.count_groups(project.id, filter, "thread"))
        found = await self._read(project, reading.beginnings(project.id, filter, [row[0] for row in rows]))
        began = {name: more for name, *more in found}
        return [reading.group(row, *began.get(row[0], ())) for row in rows], count

    async def agents(self, project: Project, filter: SessionFilter, limit: int, skip: int) -> list[Group]:
        rows = await self._read(project, reading.groups(project.id, filter, "agent", limit, skip))
        return [reading.group(row) for row in rows]

    async def expire(self, tenant: Tenant, before: float, limit: int) -> int:
        if not sqlite_files.companion(self._owner(tenant), _NAME).exists():
            return 0
        return await self._delete_some(tenant, Clause("updated<?", (before,)), limit)

    async def clear(self, project: Project) -> None:
        while await self._delete_some(project.tenant, Clause("project=?", (project.id,)), _CLEARED):
            pass
        async with self._use(project.tenant) as database:
            ((busy, *_),) = await database.write(Clause("PRAGMA wal_checkpoint(TRUNCATE)"))
        if busy:
            raise Unavailable("The store is busy: try again shortly.", retry_after=1.0)

    async def export(self, tenant: Tenant) -> AsyncGenerator[Exported, None]:
        if not sqlite_files.companion(self._owner(tenant), _NAME).exists():
            return
        number = 0
        while rows := await self._rows(tenant, Clause(transfer.SESSIONS, (number, _EXPORTED))):
            for number, project, record in rows:
                traces = await self._rows(tenant, Clause(transfer.TRACES, (number,)))
                yield transfer.exported_session(project, record, traces)
                after = 0
                while events := await self._rows(tenant, Clause(transfer.EVENTS, (number, after, _EXPORTED))):
                    for _, event, content in events:
                        yield transfer.exported_event(event, content)
                    after = events[-1][0]

    async def restore(self, tenant: Tenant, records: AsyncIterator[Exported]) -> int:
        restoring, count = transfer.Restoring(), 0
        batch: list[Exported] = []
        async for record in records:
            batch.append(record)
            if len(batch) == _EXPORTED:
                count += await self._restore(tenant, restoring, batch)
                batch = []
        return count + (await self._restore(tenant, restoring, batch) if batch else 0)

    async def _restore(self, tenant: Tenant, restoring: transfer.Restoring, batch: Sequence[Exported]) -> int:
        return await self._transact(tenant, lambda connection: restoring.write(connection, batch))

    async def drop(self, tenant: Tenant) -> None:
        path = sqlite_files.companion(self._owner(tenant), _NAME)
        await asyncio.to_thread(sqlite_files.remove, path)
        await self._databases.forget(path)
        self._defined.pop(path, None)  # the next file may get the same inode

    async def _rows(self, tenant: Tenant, asked: Clause) -> list[tuple[Any, ...]]:
        async with self._use(tenant) as database:
            return await database.read(asked)

    async def _delete_some(self, tenant: Tenant, which: Clause, limit: int) -> int:
        def remove(connection: sqlite3.Connection) -> int:
            numbers = connection.execute(
                f"SELECT number FROM sessions WHERE {which.sql} LIMIT ?", (*which.values, limit)
            ).fetchall()
            for (number,) in numbers:
                _delete(connection, number)
            return len(numbers)

        return await self._transact(tenant, remove)

    async def check(self) -> None:
        if not await asyncio.to_thread(self._data_dir.exists):
            raise Unavailable("The data folder is not there.")

    async def close(self) -> None:
        await self._queues.drained()
        await self._databases.close()

    def _owner(self, tenant: Tenant) -> Path:
        """The file of the tenant's documents."""
        return self._data_dir / f"tenant_{tenant.slug}.sqlite"

    @asynccontextmanager
    async def _use(self, tenant: Tenant) -> AsyncIterator[Database]:
        owner = self._owner(tenant)
        path = sqlite_files.companion(owner, _NAME)
        with translated(path.name):
            if sqlite_files.inode(path) is None:
                await self._create(tenant, owner, path)
            async with self._databases.use(path) as database:
                if self._defined.get(path) != database.inode:
                    await database.transact_whole(define)
                    self._defined[path] = database.inode
                yield database

    async def _create(self, tenant: Tenant, owner: Path, path: Path) -> None:
        if self._check_tenant is not None:
            await self._check_tenant(tenant)
            await asyncio.to_thread(sqlite_files.create, path)
            return
        try:
            await asyncio.to_thread(sqlite_files.create_companion, owner, _NAME)
        except FileNotFoundError:
            raise FailedPrecondition("This tenant is not known here.", reason="UNKNOWN_TENANT") from None

    async def _transact(self, tenant: Tenant, work: Callable[[sqlite3.Connection], T]) -> T:
        async with self._use(tenant) as database:
            return await database.transact_whole(work)

    async def _read(self, project: Project, asked: Clause) -> list[tuple[Any, ...]]:
        return await self._rows(project.tenant, asked)

    async def _number(self, project: Project, session_id: str) -> int | None:
        rows = await self._read(project, reading.number(project.id, session_id))
        return rows[0][0] if rows else None


def _delete(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM traces WHERE session=?", (number,))
    delete_session(connection, number)
