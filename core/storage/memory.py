"""The document store in memory, for tests and trials: the same answers as the others, gone with the process."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from core.errors import Conflict, FailedPrecondition
from core.storage import page_tokens
from core.storage.checks import MAX_TOTALS, check_listing, check_prepare, check_totals, fitting
from core.storage.conditions import conditions, matches, order_key, sortable
from core.storage.documents import check_changes, check_text, decode, encode, stored
from core.storage.migrations import NO_MIGRATIONS, Migrations, migrate, with_records
from core.storage.ports import Collection, Document, Order, Page, Where, check_level
from core.storage.statements import Position
from core.tenancy import EveryProject, Main, Project, Scope, Tenant

Key = tuple[str, str]
"""Project and id. Records that belong to no project have an empty one."""
Table = dict[Key, Document]


class MemoryStore:
    """No method gives up control half-way, so each is atomic."""

    def __init__(self, *, migrations: Migrations = NO_MIGRATIONS) -> None:
        self._migrations = migrations
        self._databases: dict[Main | Tenant, dict[str, Table]] = {}

    async def prepare(self, scope: Main | Tenant, collections: Sequence[Collection]) -> None:
        check_prepare(scope, collections)
        tables = self._databases.setdefault(scope, {})
        for collection in with_records(self._migrations, scope, collections):
            tables.setdefault(collection.name, {})
        await migrate(self, scope, self._migrations)

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None:
        check_level(scope, collection, write=True)
        key, new = _new(scope, collection, document)
        table = self._table(scope, collection)
        if key in table:
            raise _conflict("id")
        _check_unique(table, collection, key, new)
        table[key] = new

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        check_level(scope, collection, write=True)
        rows = [_new(scope, collection, document) for document in documents]
        table = self._table(scope, collection)
        whole = dict(table)
        for key, new in rows:
            if key not in whole:
                _check_unique(whole, collection, key, new)
                whole[key] = new
        added = len(whole) - len(table)
        table.update(whole)
        return added

    async def get(self, scope: Scope, collection: Collection, id: str) -> Document | None:
        check_level(scope, collection, write=False)
        check_text(id, "id")
        return next((_copy(document) for document in self._documents(scope, collection, {"id": id})), None)

    async def find_one(self, scope: Scope, collection: Collection, where: Where) -> Document | None:
        check_level(scope, collection, write=False)
        return next((_copy(document) for document in self._documents(scope, collection, where)), None)

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
        bound_to = page_tokens.binding(scope, collection, conditions(where), order)
        after = page_tokens.decode(bound_to, page_token)
        rows = ((_position(order, key, document), document) for key, document in self._rows(scope, collection, where))
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
        check_level(scope, collection, write=False)
        return sum(1 for _ in self._rows(scope, collection, where))

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
        check_text(id, "id")
        new_values, conds = _copy(dict(changes)), conditions(where)
        table, key = self._table(scope, collection), (_project(scope), id)
        if key not in table or not matches(table[key], conds):
            return None
        both = table[key] | new_values
        changed = {name: value for name, value in both.items() if value is not None or name not in new_values}
        _check_unique(table, collection, key, changed)
        table[key] = changed
        return _copy(changed)

    async def delete(self, scope: Scope, collection: Collection, id: str) -> bool:
        check_level(scope, collection, write=False)
        check_text(id, "id")
        return self._delete(scope, collection, {"id": id}) > 0

    async def delete_where(self, scope: Scope, collection: Collection, where: Where) -> int:
        check_level(scope, collection, write=False)
        return self._delete(scope, collection, where)

    def _delete(self, scope: Scope, collection: Collection, where: Where) -> int:
        table = self._table(scope, collection)
        keys = [key for key, _ in self._rows(scope, collection, where)]
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
        check_level(scope, collection, write=False)
        check_totals(group_by, sums)
        groups: dict[tuple[str, ...], Document] = {}
        if not group_by:
            groups[()] = {"count": 0, **dict.fromkeys(sums, 0)}
        for document in self._documents(scope, collection, where):
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

    async def drop_tenant(self, tenant: Tenant) -> None:
        self._databases.pop(tenant, None)

    async def scrub(self, tenant: Tenant) -> None:
        """Nothing is on a disk."""

    async def check(self) -> None:
        """Always serves."""

    async def close(self) -> None:
        """Keeps its data, so that a test may open it again."""

    def _table(self, scope: Scope, collection: Collection) -> Table:
        of: Main | Tenant = scope.tenant if isinstance(scope, Project | EveryProject) else scope
        if of not in self._databases:
            raise FailedPrecondition("This tenant is not known here.", reason="UNKNOWN_TENANT")
        if collection.name not in self._databases[of]:
            raise FailedPrecondition("This collection has not been prepared in this store.", reason="NOT_PREPARED")
        return self._databases[of][collection.name]

    def _rows(self, scope: Scope, collection: Collection, where: Where | None) -> Iterator[tuple[Key, Document]]:
        conds = conditions(where)
        for key, document in list(self._table(scope, collection).items()):
            if (isinstance(scope, EveryProject) or key[0] == _project(scope)) and matches(document, conds):
                yield key, document

    def _documents(self, scope: Scope, collection: Collection, where: Where | None) -> Iterator[Document]:
        return (document for _, document in self._rows(scope, collection, where))


def _project(scope: Scope) -> str:
    return scope.id if isinstance(scope, Project) else ""


def _new(scope: Scope, collection: Collection, document: Document) -> tuple[Key, Document]:
    id, text = stored(collection, _project(scope), document)
    return (_project(scope), id), decode(text)


def _copy(document: Document) -> Document:
    """Nobody shares a stored document: what is done to an answer must not change the store."""
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
