"""Conditions and orders as MongoDB's filters, and totals as its aggregation. Pure.

Values stand only behind an operator, so that none is taken for one; names are checked to be fields.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.storage.checks import MAX_TOTALS
from core.storage.conditions import Condition
from core.storage.ports import BOOLEAN, TEXT, Collection, Document, Level, Op, Order
from core.storage.statements import Position
from core.tenancy import AllProjects, Project, Scope

Filter = dict[str, Any]
Sort = list[tuple[str, int]]

_COMPARE = {Op.GT: "$gt", Op.GTE: "$gte", Op.LT: "$lt", Op.LTE: "$lte"}
_MARK = "="
_NO_LIST: Filter = {"$not": {"$type": "array"}}


def within(scope: Scope, collection: Collection) -> list[Filter]:
    """The documents of the scope. AllProjects and the scopes without a project have a database of their own."""
    if collection.level is Level.PROJECT and not isinstance(scope, AllProjects):
        assert isinstance(scope, Project)
        return [{"project": {"$eq": scope.id}}]
    return []


def alive(collection: Collection, now: float) -> list[Filter]:
    """The documents that have not expired; one without a time never does."""
    return [{collection.expiry: {"$not": {"$lte": now}}}] if collection.expiry else []


def expired(collection: Collection, now: float) -> Filter:
    return {collection.expiry: {"$lte": now}}


def all_of(filters: Iterable[Filter]) -> Filter:
    parts = [each for each in filters if each]
    return parts[0] if len(parts) == 1 else {"$and": parts} if parts else {}


def filtered(collection: Collection, conds: Iterable[Condition]) -> list[Filter]:
    return [_condition(collection, *each) for each in conds]


def _condition(collection: Collection, field: str, op: Op, value: Any) -> Filter:
    match op:
        case Op.EQ:
            return _matching(collection, field, {"$eq": value})
        case Op.NE:
            return {"$nor": [_matching(collection, field, {"$eq": value})]}
        case Op.IN:
            return _matching(collection, field, {"$in": value})
        case Op.CONTAINS:
            return {field: {"$elemMatch": {"$eq": value}}}
    return _matching(collection, field, {_COMPARE[op]: value})


def _matching(collection: Collection, field: str, test: Filter) -> Filter:
    """The test of a scalar. MongoDB tries one on the items of a list, too, which only undeclared fields can hold."""
    return {field: test if field in collection.types else {**test, **_NO_LIST}}


def ordered(collection: Collection, order: Order) -> Sort:
    way = -1 if order.descending else 1
    ties = ["id", "project"] if collection.level is Level.PROJECT else ["id"]
    return [(name, way) for name in dict.fromkeys([order.field, *ties])]


def segments_after(collection: Collection, order: Order, position: Position | None) -> list[Filter]:
    """The stretches of the order behind a position, to be read one after the other. Documents without the field come
    first in an ascending order and last in a descending one."""
    if position is None:
        return [{}]
    value, id, project = position
    past = "$lt" if order.descending else "$gt"
    tie: Filter = {"id": {past: id}}
    if collection.level is Level.PROJECT:
        tie = {"$or": [tie, {"id": {"$eq": id}, "project": {past: project}}]}
    missing: Filter = {order.field: {"$eq": None}}
    if value is None:
        rest = [all_of([missing, tie])]
        return rest if order.descending else [*rest, {order.field: {"$ne": None}}]
    if collection.types.get(order.field) is BOOLEAN:
        value = bool(value)
    rest = [{"$or": [{order.field: {past: value}}, all_of([{order.field: {"$eq": value}}, tie])]}]
    return [*rest, missing] if order.descending else rest


def totals(collection: Collection, group_by: Sequence[str], sums: Sequence[str], rows: Filter) -> list[Filter]:
    """An aggregation whose rows `read_totals` reads. A field that is missing and one that is None may be two groups."""
    groups = {name: _key_of(collection, name) for name in group_by}
    counted: dict[str, Any] = {"_id": groups or None, "count": {"$sum": 1}}
    counted |= {_sum_of(name): {"$sum": f"${name}"} for name in sums}
    stages: list[Filter] = [{"$match": rows}, {"$group": counted}]
    if group_by:
        stages.append({"$sort": {f"_id.{name}": 1 for name in group_by}})
    return [*stages, {"$limit": MAX_TOTALS << len(group_by)}]


def read_totals(group_by: Sequence[str], sums: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> list[Document]:
    """The totals of the aggregation's rows, in their order."""
    found: dict[tuple[Any, ...], Document] = {}
    for row in rows:
        keys = row["_id"] or {}
        values = tuple(_value_of(keys.get(name)) for name in group_by)
        zero = {**dict(zip(group_by, values, strict=True)), "count": 0, **dict.fromkeys(sums, 0)}
        total = found.setdefault(values, zero)
        total["count"] += row["count"]
        for name in sums:
            total[name] += row[_sum_of(name)]
    if not group_by and not found:
        return [{"count": 0, **dict.fromkeys(sums, 0)}]
    return list(found.values())[:MAX_TOTALS]


def _key_of(collection: Collection, name: str) -> Any:
    """A field as the key of a group. A text is marked: servers are known that take one beginning with $ for an
    expression."""
    return {"$concat": [_MARK, f"${name}"]} if collection.types[name] is TEXT else f"${name}"


def _value_of(key: Any) -> Any:
    return key.removeprefix(_MARK) if isinstance(key, str) else key


def _sum_of(name: str) -> str:
    return f"sum_{name}"
