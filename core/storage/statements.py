"""The statements of the SQLite store over a table (project, id, doc). Pure; values are only ever bound parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.storage.conditions import Sortable
from core.storage.documents import INT64, check_collection_name
from core.storage.ports import Collection
from core.storage.where_sql import NUMBER, Clause, Column, column

_PAIRS_IN_A_CALL = 40
"""SQLite functions take at most 127 arguments."""

_LEAST, _MOST = INT64.start, INT64.stop - 1

Position = tuple[Sortable, str, str]
"""Position of the last document of a page: its order value, id and project."""


def table(collection: Collection) -> str:
    check_collection_name(collection.name)
    return f'"{collection.name}"'


def insert(collection: Collection, *, skip_known: bool = False, replace: bool = False) -> str:
    sql = f"INSERT INTO {table(collection)} (project, id, doc) VALUES (?, ?, ?)"
    if replace:
        return f"{sql} ON CONFLICT (project, id) DO UPDATE SET doc=excluded.doc"
    return f"{sql} ON CONFLICT (project, id) DO NOTHING" if skip_known else sql


def select_ids(collection: Collection, rows: Clause) -> Clause:
    """The columns are the id, twice."""
    return Clause(f"SELECT id, id FROM {table(collection)} WHERE {rows.sql}", rows.values)


def select_documents(collection: Collection, rows: Clause) -> Clause:
    """The columns are the id and the document."""
    return Clause(f"SELECT id, doc FROM {table(collection)} WHERE {rows.sql}", rows.values)


def select_one(collection: Collection, rows: Clause) -> Clause:
    return Clause(f"SELECT doc FROM {table(collection)} WHERE {rows.sql} LIMIT 1", rows.values)


def count(collection: Collection, rows: Clause) -> Clause:
    return Clause(f"SELECT count(*) FROM {table(collection)} WHERE {rows.sql}", rows.values)


def delete(collection: Collection, rows: Clause) -> Clause:
    return Clause(f"DELETE FROM {table(collection)} WHERE {rows.sql}", rows.values)


def update(collection: Collection, changes: Mapping[str, str | None], rows: Clause) -> Clause:
    new = _changed(changes)
    return Clause(
        f"UPDATE {table(collection)} SET doc={new.sql} WHERE {rows.sql} RETURNING doc", new.values + rows.values
    )


def increment(collection: Collection, amounts: Mapping[str, int], row: tuple[str, str, str]) -> Clause:
    """Inserts the row or, where there is one of its id, adds the amounts to it. Changes nothing, and returns nothing,
    where a sum would not fit into 64 bits."""
    pairs = [f"'$.{name}',{_number(collection, name)}+?" for name in amounts]
    changed = "doc"
    for start in range(0, len(pairs), _PAIRS_IN_A_CALL):
        changed = f"json_set({changed},{','.join(pairs[start : start + _PAIRS_IN_A_CALL])})"
    fits = " AND ".join(f"{_number(collection, name)} BETWEEN ? AND ?" for name in amounts)
    bounds = [bound for n in amounts.values() for bound in (max(_LEAST, _LEAST - n), min(_MOST, _MOST - n))]
    return Clause(
        f"{insert(collection)} ON CONFLICT (project, id) DO UPDATE SET doc={changed} WHERE {fits} RETURNING doc",
        (*row, *amounts.values(), *bounds),
    )


def _number(collection: Collection, name: str) -> str:
    return f"coalesce({column(collection, name).value},0)"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of an order: its rows, and how they are ordered."""

    rows: Clause
    order: str


def select_page(collection: Collection, by: Column, rows: Clause, segment: Segment, limit: int) -> Clause:
    """The columns are the document and its `Position`."""
    return Clause(
        f"SELECT doc, {by.value}, id, project FROM {table(collection)} WHERE {rows.sql} AND {segment.rows.sql} "
        f"ORDER BY {segment.order} LIMIT {limit}",
        rows.values + segment.rows.values,
    )


def segments_after(by: Column, descending: bool, position: Position | None) -> list[Segment]:
    """Return the segments after the position, to be read one after the other.

    Rows without the field come first in an ascending order and last in a descending one. One condition for both would
    be an OR, for which no index is used.
    """
    way, past = ("DESC", "<") if descending else ("ASC", ">")
    ties = f"id {way}, project {way}"
    whole = f"{by.value} {way}, {ties}"
    if position is None:
        return [Segment(Clause("1"), whole)]
    value, id, project = position
    tie = Clause(f"(id{past}=? AND (id{past}? OR project{past}?))", (id, id, project))
    missing = f"{by.value} IS NULL"
    if value is None:
        rest = [Segment(Clause(f"{missing} AND {tie.sql}", tie.values), ties)]
        return rest if descending else [*rest, Segment(Clause(f"{by.value} IS NOT NULL"), whole)]
    later = Clause(f"{by.value}{past}=? AND ({by.value}{past}? OR {tie.sql})", (value, value, *tie.values))
    rest = [Segment(later, whole)]
    return [*rest, Segment(Clause(missing), ties)] if descending else rest


def _changed(changes: Mapping[str, str | None]) -> Clause:
    """The new document, as an expression. The values are JSON text; None removes the field."""
    removed = [f"'$.{name}'" for name, text in changes.items() if text is None]
    sets = [(name, text) for name, text in changes.items() if text is not None]
    expression = "doc"
    for start in range(0, len(removed), _PAIRS_IN_A_CALL):
        expression = f"json_remove({expression},{','.join(removed[start : start + _PAIRS_IN_A_CALL])})"
    for start in range(0, len(sets), _PAIRS_IN_A_CALL):
        pairs = ",".join(f"'$.{name}',json(?)" for name, _ in sets[start : start + _PAIRS_IN_A_CALL])
        expression = f"json_set({expression},{pairs})"
    return Clause(expression, tuple(text for _, text in sets))


def totals(collection: Collection, group_by: Sequence[str], sums: Sequence[str], rows: Clause, limit: int) -> Clause:
    """Groups are given as JSON text, which keeps true apart from 1."""
    groups = [(column(collection, name), _json(collection, name)) for name in group_by]
    keys = [key for _, key in groups]
    selected = ",".join([*keys, "count(*)", *(_sum(column(collection, name)) for name in sums)])
    sql = f"SELECT {selected} FROM {table(collection)} WHERE {rows.sql}"
    if groups:
        ordered = ",".join(f"{of.value},{key}" for of, key in groups)
        sql += f" GROUP BY {','.join(keys)} ORDER BY {ordered} LIMIT {limit}"
    return Clause(sql, rows.values)


def _json(collection: Collection, field: str) -> str:
    of = column(collection, field)
    return f"json_quote({of.value})" if of.value == field else f"coalesce(doc->'$.{field}','null')"


def _sum(of: Column) -> str:
    return f"coalesce(sum(CASE WHEN {of.kind} IN {NUMBER} THEN {of.value} END),0)"
