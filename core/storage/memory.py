"""The document store in memory, for tests and trials: the same answers as the others, gone with the process."""

import asyncio
import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from core.errors import Conflict, FailedPrecondition, InvalidInput
from core.storage import page_tokens
from core.storage.checks import MAX_TOTALS, added, by_ids, check_counted, check_listing, check_totals, fitting
from core.storage.conditions import conditions, matches, order_key, sortable
from core.storage.documents import INT64, check_amounts, check_changes, check_size, check_text, decode, encode, stored
from core.storage.migrations import migrate, with_records
from core.storage.ports import Collection, Counting, Document, Order, Page, Where
from core.storage.schema import Schema, database_of
from core.storage.statements import Position
from core.tenancy import MAIN, AllProjects, Main, Project, Scope, Tenant

Key = tuple[str, str]
"""Project and id. Records that belong to no project have an empty one."""
Table = dict[Key, Document]


Database = dict[str, Table]


class MemoryStore:
    """Each method is atomic: once it has its table, it gives up control no more. `tenants` are there from the start."""

    def __init__(
        self, schema: Schema, *, tenants: Iterable[Tenant] = (), clock: Callable[[], float] = time.time
    ) -> None:
        self._schema = schema
        self._clock = clock
        self._databases: dict[Main | Tenant, Database] = {MAIN: {}, **{tenant: {} for tenant in tenants}}
        self._applied: dict[Main | Tenant, Database] = {}
        self._applying = asyncio.Lock()

    async def create_tenant(self, tenant: Tenant) -> None:
        self._databases.setdefault(tenant, {})

    async def drop_tenant(self, tenant: Tenant) -> None:
        self._databases.pop(tenant, None)

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None:
        self._schema.check(scope, collection, write=True)
        key, new = _new(scope, collection, document)
        table = await self._table(scope, collection)
        if key in table:
            raise _conflict("id")
        _check_unique(table, collection, key, new)
        table[key] = new

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        self._schema.check(scope, collection, write=True)
        rows = [_new(scope, collection, document) for document in documents]
        table = await self._table(scope, collection)
        before = len(table)
        refused: Conflict | None = None
        for key, new in rows:
            if key not in table:
                try:
                    _check_unique(table, collection, key, new)
                except Conflict as error:
                    refused = refused or error
                else:
                    table[key] = new
        if refused is not None:
            raise refused
        return len(table) - before

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
        rows = dict(_new(scope, collection, document) for document in by_ids(documents).values())
        table, counts = await self._table(scope, collection), await self._table(scope, counters)
        new = {key: document for key, document in rows.items() if key not in table}
        changed: Table = {}
        for increment in counting(list(new.values())):
            old = counts.get((_project(scope), increment.id))
            changed.update([_new(scope, counters, added(counters, old, increment))])
        table.update(new)
        counts.update(changed)
        return len(new)

    async def get(self, scope: Scope, collection: Collection, id: str) -> Document | None:
        self._schema.check(scope, collection, write=False)
        check_text(id, "id")
        return await self._first(scope, collection, {"id": id})

    async def find_one(self, scope: Scope, collection: Collection, where: Where) -> Document | None:
        self._schema.check(scope, collection, write=False)
        return await self._first(scope, collection, where)

    async def _first(self, scope: Scope, collection: Collection, where: Where) -> Document | None:
        table = await self._table(scope, collection)
        return next((_copy(document) for document in _documents(scope, collection, table, where)), None)

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
        after = page_tokens.decode(bound_to, page_token)
        table = await self._table(scope, collection)
        rows = ((_position(order, key, document), document) for key, document in _rows(scope, collection, table, where))
        ordered = sorted(rows, key=lambda row: _sort_key(row[0]), reverse=order.descending)
        if after is not None:
            bound = _sort_key(after)
            ordered = [
                row for row in ordered if (_sort_key(row[0]) < bound if order.descending else _sort_key(row[0]) > bound)
            ]
        page = ordered[: fitting(len(encode(document)) for _, document in ordered[:page_size])]
        next_token = page_tokens.encode(bound_to, page[-1][0]) if len(ordered) > len(page) else ""
        return Page([_copy(document) for _, document in page], next_token)

    async def count(self, scope: Scope, collection: Collection, where: Where | None = None) -> int:
        self._schema.check(scope, collection, write=False)
        table = await self._table(scope, collection)
        return sum(1 for _ in _rows(scope, collection, table, where))

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
        check_text(id, "id")
        text = encode(dict(changes))
        check_size(collection, changes, len(text))
        new_values, conds = decode(text), conditions(collection, where)
        table, key = await self._table(scope, collection), (_project(scope), id)
        if key not in table or not matches(table[key], conds):
            return None
        both = table[key] | new_values
        changed = {name: value for name, value in both.items() if value is not None or name not in new_values}
        check_size(collection, changed, len(encode(changed)))
        _check_unique(table, collection, key, changed)
        table[key] = changed
        return _copy(changed)

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
        key, new = _new(scope, collection, {**(initial or {}), **amounts, "id": id})
        table = await self._table(scope, collection)
        if key in table:
            old = table[key]
            new = old | {name: old.get(name, 0) + amount for name, amount in amounts.items()}
            if any(new[name] not in INT64 for name in amounts):
                raise InvalidInput("A sum must fit into 64 bits.", field=next(iter(amounts)))
        _check_unique(table, collection, key, new)
        table[key] = new
        return _copy(new)

    async def delete(self, scope: Scope, collection: Collection, id: str) -> bool:
        self._schema.check(scope, collection, write=False)
        check_text(id, "id")
        return await self._delete(scope, collection, {"id": id}) > 0

    async def delete_where(self, scope: Scope, collection: Collection, where: Where) -> int:
        self._schema.check(scope, collection, write=False)
        return await self._delete(scope, collection, where)

    async def _delete(self, scope: Scope, collection: Collection, where: Where) -> int:
        table = await self._table(scope, collection)
        keys = [key for key, _ in _rows(scope, collection, table, where)]
        for key in keys:
            del table[key]
        return len(keys)

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
        table = await self._table(scope, collection)
        groups: dict[tuple[str, ...], Document] = {}
        if not group_by:
            groups[()] = {"count": 0, **dict.fromkeys(sums, 0)}
        for document in _documents(scope, collection, table, where):
            values = [document.get(name) for name in group_by]
            zero = {**dict(zip(group_by, values, strict=True)), "count": 0, **dict.fromkeys(sums, 0)}
            total = groups.setdefault(tuple(map(encode, values)), zero)
            total["count"] += 1
            for name in sums:
                value = document.get(name)
                if isinstance(value, int | float) and not isinstance(value, bool):
                    total[name] += value
        ordered = sorted(
            groups.items(), key=lambda group: [(*order_key(sortable(decode(text))), text) for text in group[0]]
        )
        return [_copy(total) for _, total in islice(ordered, MAX_TOTALS)]

    async def sweep(self) -> int:
        return sum(
            self._delete_expired(collection, tables[collection.name])
            for database, tables in self._databases.items()
            for collection in self._schema.of(database)
            if collection.name in tables
        )

    async def scrub(self, database: Main | Tenant) -> None:
        """Do nothing: no document is on a disk."""
        self._database(database)

    async def check(self) -> None:
        """Do nothing: memory always serves."""

    async def close(self) -> None:
        """Keep its data, so that a test may open it again."""

    async def _table(self, scope: Scope, collection: Collection) -> Table:
        database = database_of(scope)
        if self._schema.applies and self._applied.get(database) is not self._database(database):
            await self._apply(database)
        table = self._database(database)[collection.name]
        self._delete_expired(collection, table)
        return table

    def _delete_expired(self, collection: Collection, table: Table) -> int:
        """Delete the expired documents, and return their number."""
        if not collection.expiry:
            return 0
        now = self._clock()
        times = ((key, document.get(collection.expiry)) for key, document in table.items())
        gone = [key for key, at in times if at is not None and at <= now]
        for key in gone:
            del table[key]
        return len(gone)

    def _database(self, of: Main | Tenant) -> Database:
        if of not in self._databases:
            raise FailedPrecondition("This tenant is not known here.", reason="UNKNOWN_TENANT")
        return self._databases[of]

    async def _apply(self, of: Main | Tenant) -> None:
        async with self._applying:
            tables = self._database(of)
            if self._applied.get(of) is tables:
                return
            declared, migrations = self._schema.of(of), self._schema.migrations
            for collection in with_records(migrations, of, declared):
                tables.setdefault(collection.name, {})
            view = copy.copy(self)
            view._schema = self._schema.as_it_is()  # a migration takes a database as it is, whatever is declared
            await migrate(view, of, migrations)
            self._applied[of] = tables


def _rows(scope: Scope, collection: Collection, table: Table, where: Where | None) -> Iterator[tuple[Key, Document]]:
    conds = conditions(collection, where)
    for key, document in list(table.items()):
        if (isinstance(scope, AllProjects) or key[0] == _project(scope)) and matches(document, conds):
            yield key, document


def _documents(scope: Scope, collection: Collection, table: Table, where: Where | None) -> Iterator[Document]:
    return (document for _, document in _rows(scope, collection, table, where))


def _project(scope: Scope) -> str:
    return scope.id if isinstance(scope, Project) else ""


def _new(scope: Scope, collection: Collection, document: Document) -> tuple[Key, Document]:
    id, text = stored(collection, _project(scope), document)
    return (_project(scope), id), decode(text)


def _copy(document: Document) -> Document:
    """Copy a document, so that a change of an answer does not change the store."""
    copied: Document = decode(encode(document))
    return copied


def _check_unique(table: Table, collection: Collection, key: Key, new: Document) -> None:
    for group in collection.unique:
        values = [new.get(name) for name in group]
        if None in values:
            continue
        for other, document in table.items():
            if other != key and other[0] == key[0] and [document.get(name) for name in group] == values:
                raise _conflict(", ".join(group))


def _conflict(field: str) -> Conflict:
    return Conflict(f"There is one with this {field} already.", field=field)


def _position(order: Order, key: Key, document: Document) -> Position:
    project, id = key
    return sortable(document.get(order.field)), id, project


def _sort_key(position: Position) -> tuple[tuple[int, Any], str, str]:
    value, id, project = position
    return order_key(value), id, project
