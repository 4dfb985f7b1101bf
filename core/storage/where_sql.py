"""Conditions as SQL over a table (project, id, doc). Pure.

Values are only ever bound parameters. Names reach the text of a statement, so each is checked to be an identifier.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from core.storage.conditions import Condition
from core.storage.documents import check_field, escape
from core.storage.ports import Collection, Level, Op

NUMBER = "('integer','real')"
_COMPARE = {Op.GT: ">", Op.GTE: ">=", Op.LT: "<", Op.LTE: "<="}


@dataclass(frozen=True, slots=True)
class Clause:
    """An SQL fragment and the values it binds, in order."""

    sql: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """Two expressions: the value of a field, and its JSON type."""

    value: str
    kind: str


def column(collection: Collection, field: str) -> Column:
    if field == "id" or (field == "project" and collection.level is Level.PROJECT):
        return Column(field, "'text'")
    check_field(field)
    return Column(f"json_extract(doc,'$.{field}')", f"json_type(doc,'$.{field}')")


def joined(clauses: Iterable[Clause], word: str = " AND ", empty: str = "1") -> Clause:
    parts = list(clauses)
    sql = word.join(part.sql for part in parts) or empty
    return Clause(sql, tuple(value for part in parts for value in part.values))


def filtered(collection: Collection, conds: Iterable[Condition]) -> Clause:
    """Return the clause after WHERE; true for every document if there are no conditions."""
    return joined(_condition(collection, *each) for each in conds)


def expired(collection: Collection, now: float) -> Clause:
    """The documents whose time has come; one without a time never expires."""
    return Clause(f"{column(collection, collection.expiry).value}<=?", (now,))


def alive(collection: Collection, now: float) -> Clause:
    """The documents that have not expired."""
    return Clause(f"({column(collection, collection.expiry).value}<=?) IS NOT TRUE", (now,))


def among(ids: Iterable[str]) -> Clause:
    """The documents with these ids, in one parameter."""
    texts = orjson.dumps([escape(id) for id in ids]).decode()
    return Clause("id IN (SELECT value FROM json_each(?))", (texts,))


def _condition(collection: Collection, field: str, op: Op, value: Any) -> Clause:
    of = column(collection, field)
    match op:
        case Op.EQ:
            return _equal(of, value)
        case Op.NE:
            same = _equal(of, value)
            return Clause(f"({same.sql}) IS NOT TRUE", same.values)
        case Op.IN:
            return _any_of(of, value)
        case Op.CONTAINS:
            item = _equal(Column("item.value", "item.type"), value)
            some = f"EXISTS (SELECT 1 FROM json_each(doc,'$.{field}') AS item WHERE {item.sql})"
            return Clause(f"({of.kind}='array' AND {some})", item.values)
    bound = _bound(value)
    return Clause(f"({of.value}{_COMPARE[op]}{bound.sql} AND {of.kind}{_kind_of(value)})", bound.values)


def _equal(of: Column, value: Any) -> Clause:
    if value is None:
        return Clause(f"{of.value} IS NULL")
    if isinstance(value, bool):  # the type would do; the value is there for an index to be used
        return Clause(f"({of.value}={int(value)} AND {of.kind}='{str(value).lower()}')")
    bound = _bound(value)
    return Clause(f"({of.value}={bound.sql} AND {of.kind}{_kind_of(value)})", bound.values)


def _any_of(of: Column, values: Sequence[Any]) -> Clause:
    """Texts go into one parameter, so that a list of any length is one statement."""
    texts = [escape(value) for value in values if isinstance(value, str)]
    clauses = [_equal(of, value) for value in values if not isinstance(value, str)]
    if texts:
        listed = f"{of.value} IN (SELECT value FROM json_each(?))"
        clauses.append(Clause(f"({listed} AND {of.kind}='text')", (orjson.dumps(texts).decode(),)))
    some = joined(clauses, " OR ", empty="0")
    return Clause(f"({some.sql})", some.values)


def _kind_of(value: Any) -> str:
    return "='text'" if isinstance(value, str) else f" IN {NUMBER}"


def _bound(value: str | float) -> Clause:
    if isinstance(value, str):
        return Clause("?", (escape(value),))
    if isinstance(value, float):  # read by the parser that reads the documents, so that both round alike
        return Clause("json_extract(?,'$')", (orjson.dumps(value).decode(),))
    return Clause("?", (value,))
