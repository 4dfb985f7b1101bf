"""A `where`, checked and taken apart, and what it means: the Python evaluation that every engine must agree with.

- None equals a field that is missing or null; NE is exactly what EQ is not, so it holds for missing fields.
- true and false are not 1 and 0; 1 and 1.0 are equal; a list or object equals no scalar.
- GT, GTE, LT, LTE compare numbers with numbers and texts with texts (by code point); anything else does not match.
- In an order: missing and null, then numbers with false as 0 and true as 1, then texts, lists and objects as JSON.
"""

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from core.errors import InvalidInput
from core.storage.documents import INT64, check_field, check_text, check_typed
from core.storage.ports import JSON, Collection, Cond, FieldType, Op, Where

Condition = tuple[str, Op, Any]

_ORDERED: Mapping[Op, Callable[[Any, Any], bool]] = {
    Op.GT: operator.gt,
    Op.GTE: operator.ge,
    Op.LT: operator.lt,
    Op.LTE: operator.le,
}


def conditions(collection: Collection, where: Where | None) -> list[Condition]:
    """All must hold. Raises TypeError for what no condition can be, InvalidInput for a value that cannot be, or that
    the field cannot have."""
    return [
        (name, cond.op, _checked(name, cond, collection.types.get(name)))
        for name, given in (where or {}).items()
        for cond in _conds(name, given)
    ]


def _conds(name: str, given: Any) -> Sequence[Cond]:
    check_field(name)
    if isinstance(given, Cond):
        return (given,)
    if isinstance(given, tuple):
        if not given or not all(isinstance(cond, Cond) for cond in given):
            raise TypeError(f"a tuple in a where holds Conds ({name})")
        return given
    return (Cond(Op.EQ, given),)


def _checked(name: str, cond: Cond, type_: FieldType | None) -> Any:
    if type_ is JSON:
        raise TypeError(f"{name} holds free JSON, into which no condition can look")
    if type_ is not None and cond.op is Op.CONTAINS:
        raise TypeError(f"{name} is no list")
    if cond.op is Op.IN:
        if isinstance(cond.value, str) or not isinstance(cond.value, Iterable):
            raise TypeError(f"IN takes a list of values ({name})")
        values = sorted(cond.value, key=repr) if isinstance(cond.value, set | frozenset) else list(cond.value)
        for value in values:
            _check_scalar(name, value, type_)
        return values
    _check_scalar(name, cond.value, type_)
    if cond.op in _ORDERED and (cond.value is None or isinstance(cond.value, bool)):
        raise TypeError(f"{cond.op.value} takes a number or a text ({name})")
    return cond.value


def _check_scalar(name: str, value: Any, type_: FieldType | None) -> None:
    match value:
        case str():
            check_text(value, name)
        case None | bool():
            pass
        case int() if value not in INT64:
            raise InvalidInput("An integer must fit into 64 bits.", field=name)
        case float() if not math.isfinite(value):
            raise InvalidInput("A number must be finite.", field=name)
        case int() | float():
            pass
        case _:
            raise TypeError(f"a where compares with a text, a number, a boolean or None, not {type(value).__name__}")
    if type_ is not None:
        check_typed(name, type_, value)


def matches(document: Mapping[str, Any], conds: Iterable[Condition]) -> bool:
    return all(_holds(document.get(name), op, value) for name, op, value in conds)


def _holds(found: Any, op: Op, value: Any) -> bool:
    match op:
        case Op.EQ:
            return equal(found, value)
        case Op.NE:
            return not equal(found, value)
        case Op.IN:
            return any(equal(found, each) for each in value)
        case Op.CONTAINS:
            return isinstance(found, list) and any(equal(item, value) for item in found)
    return _comparable(found, value) and _ORDERED[op](found, value)


def equal(found: Any, value: Any) -> bool:
    if found is None or value is None:
        return found is value
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    return _comparable(found, value) and bool(found == value)


def _comparable(a: Any, b: Any) -> bool:
    if isinstance(a, str):
        return isinstance(b, str)
    return _is_number(a) and _is_number(b)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


Sortable = int | float | str | None


def sortable(value: Any) -> Sortable:
    """A field's value as what it is ordered by."""
    match value:
        case bool():
            return int(value)
        case None | int() | float() | str():
            return value
    return orjson.dumps(value).decode()


def order_key(value: Sortable) -> tuple[int, Any]:
    match value:
        case None:
            return 0, 0
        case str():
            return 2, value
    return 1, value
