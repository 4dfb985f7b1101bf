"""Tables and indexes of the declared collections."""

from collections.abc import Iterable, Iterator
from typing import Any

from core.storage.ports import Collection
from core.storage.statements import table
from core.storage.where_sql import column

_PREFIXES = ("unique ", "index ", "expiry ")
LIST_INDEXES = "SELECT tbl_name, name FROM sqlite_master WHERE type='index' AND sql IS NOT NULL"
LIST_TABLES = "SELECT name FROM sqlite_master WHERE type='table'"


def create_table(collection: Collection) -> str:
    return (
        f"CREATE TABLE IF NOT EXISTS {table(collection)} ("
        "project TEXT NOT NULL, id TEXT NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (project, id))"
    )


def indexes(collection: Collection) -> dict[str, str]:
    """Name -> statement. The name says what the index is, so another declaration has another name."""
    return {
        **{_name("unique ", collection, group): _create("UNIQUE INDEX", "unique ", collection, group, "")
           for group in collection.unique},
        **{_name("index ", collection, group): _create("INDEX", "index ", collection, group, ", id")
           for group in collection.indexes},
        **_expiry(collection),
    }  # fmt: skip


def _expiry(collection: Collection) -> dict[str, str]:
    """The index for the sweep of expired documents of all projects."""
    if not collection.expiry:
        return {}
    name = _name("expiry ", collection, (collection.expiry,))
    of = column(collection, collection.expiry).value
    return {name: f'CREATE INDEX IF NOT EXISTS "{name}" ON {table(collection)} ({of})'}


def _create(kind: str, prefix: str, collection: Collection, group: tuple[str, ...], tie: str) -> str:
    fields = ", ".join(column(collection, field).value for field in group)
    return (
        f'CREATE {kind} IF NOT EXISTS "{_name(prefix, collection, group)}" '
        f"ON {table(collection)} (project, {fields}{tie})"
    )


def _name(prefix: str, collection: Collection, group: tuple[str, ...]) -> str:
    return f"{prefix}{collection.name}({','.join(group)})"


def fields_of_index(message: str) -> str:
    """The fields that SQLite's message about a broken constraint names, for people."""
    if "index 'unique " in message:
        return message.rpartition("(")[2].rstrip(")'").replace(",", ", ")
    return "id"


def statements(
    collections: Iterable[Collection],
    tables: set[str],
    existing: Iterable[tuple[Any, ...]],
    *,
    only_new: bool,
) -> Iterator[str]:
    """Return the statements that apply what is declared. `only_new` leaves the indexes of existing tables as they
    are."""
    have: dict[str, set[str]] = {}
    for of, name in existing:
        have.setdefault(of, set()).add(name)
    for collection in collections:
        is_new = collection.name not in tables
        if is_new:
            yield create_table(collection)
        if is_new or not only_new:
            declared, present = indexes(collection), have.get(collection.name, set())
            yield from (f'DROP INDEX IF EXISTS "{name}"' for name in sorted(present - declared.keys()) if _ours(name))
            yield from (sql for name, sql in declared.items() if name not in present)


def _ours(name: str) -> bool:
    return name.startswith(_PREFIXES)
