"""The filter language: MongoDB's, over metadata of scalars, arrays of scalars and nested objects.

    {"lang": "en", "year": {"$gte": 2020, "$lt": 2024}, "$or": [{"tags": {"$in": ["a", "b"]}}, {"draft": false}]}

Fields. `a.b` is field `b` of the object `a`; arrays are not entered, so a path through one is missing, and so is a key
that itself holds a dot. Several fields, and several operators of one field, must all be met.

Equality. {"f": x} and {"f": {"$eq": x}} hold where the value is x or is an array with x among its elements. Types never
mix: true is not 1 and "1" is not 1, but 1 is 1.0: numbers are compared by value, integers of up to 64 bits exactly.
Null is met by null, by an array with null in it, and by a missing field. Objects, and arrays in arrays, equal nothing.
`$in` holds where one of its values is equal so. `$ne`, `$nin`: the opposite of `$eq`, `$in`, so missing meets them.

Order. `$gt $gte $lt $lte` take a number and hold where the value, or one element of an array, is such a number. Each
stands alone: [1, 9] meets {"$gt": 5, "$lt": 3}. A missing field, null, text and booleans meet none.

`$exists`: whether the field is there, null and empty arrays included.
`$and`, `$or` take lists of filters, `$not` one filter; behind a field, `$not` takes operators.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from core.errors import InvalidInput

MAX_DEPTH = 8
MAX_CLAUSES = 200
MAX_VALUES = 1_000
"""Most values of one `$in` or `$nin`."""
MAX_ALL_VALUES = 10_000
"""Most values of all of them together: each is hashed where the filter is run."""
MAX_FILTER_BYTES = 256 * 1024
"""Most bytes of a filter's JSON: a longer one is not read."""
MAX_PATH = 512
MAX_LARGE_BOUNDS = 16
"""Bounds beyond EXACT in one filter; each costs an engine up to a thousand terms (`terms.rounded_alike`)."""
EXACT = 2**53
"""Integers below it are 64-bit floats without rounding."""
INT64 = 2**63

OPERATORS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$and", "$or", "$not")

_NAME = re.compile(r'[^$."\\\x00-\x1f][^."\\\x00-\x1f]*')

Number = int | float
"""Whole numbers within 64 bits are `int`, others `float`, so that equal numbers are the same value of one type."""
Scalar = None | bool | Number | str
FieldPath = tuple[str, ...]


class Comparison(Enum):
    GT = "$gt"
    GTE = "$gte"
    LT = "$lt"
    LTE = "$lte"

    @property
    def strict(self) -> "Comparison":
        """The same without equality."""
        return Comparison.GT if self in (Comparison.GT, Comparison.GTE) else Comparison.LT

    def holds(self, number: Number, value: Number) -> bool:
        """Exact: Python compares integers with floats by value."""
        return _HOLDS[self](number, value)


_HOLDS: Mapping[Comparison, Callable[[Number, Number], bool]] = {
    Comparison.GT: operator.gt,
    Comparison.GTE: operator.ge,
    Comparison.LT: operator.lt,
    Comparison.LTE: operator.le,
}


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A condition: the value is one of `values`, or an array that holds one; None among them is met by a missing field
    too."""

    path: FieldPath
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison: the value, or an element of the array, is a number that compares so with `value`."""

    path: FieldPath
    order: Comparison
    value: Number


@dataclass(frozen=True, slots=True)
class Exists:
    path: FieldPath


@dataclass(frozen=True, slots=True)
class All:
    """A conjunction: every condition holds; without any it always holds."""

    of: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Some:
    of: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: "Filter"


Filter = AnyOf | Compare | Exists | All | Some | Not


def filterable(name: str) -> bool:
    """Return whether a filter can name this key: not empty, no `.`, `"`, backslash or control character, no `$` in
    front."""
    return _NAME.fullmatch(name) is not None


def parse(raw: Any) -> Filter | None:
    """Parse a filter from its JSON object; None for one that is absent or empty, which every point meets. Raises
    InvalidInput whose field is the place of the mistake: `filter.year.$gte`."""
    if raw is None or raw == {}:
        return None
    return _Parser().filter(raw, "filter", 1)


class _Parser:
    """Counts clauses and values while it reads, so a filter too large is refused before it is built."""

    def __init__(self) -> None:
        self._clauses = 0
        self._large_bounds = self._values = 0

    def filter(self, raw: Any, at: str, depth: int) -> Filter:
        if not isinstance(raw, Mapping):
            raise InvalidInput(f"{at} must be an object", field=at)
        self._enter(at, depth)
        return _all([self._entry(key, value, f"{at}.{key}", depth) for key, value in raw.items()])

    def _entry(self, key: str, value: Any, at: str, depth: int) -> Filter:
        self._count(at)
        if key in ("$and", "$or"):
            if not isinstance(value, list | tuple) or not value:
                raise InvalidInput(f"{at} takes a list of one or more filters", field=at)
            parts = [self.filter(part, f"{at}[{index}]", depth + 1) for index, part in enumerate(value)]
            return _all(parts) if key == "$and" else Some(tuple(parts))
        if key == "$not":
            return Not(self.filter(value, at, depth + 1))
        if key.startswith("$"):
            raise InvalidInput(f"{at}: unknown operator, or one that belongs behind a field; {_KNOWN}", field=at)
        return self._field(_path(key, at), value, at, depth)

    def _field(self, path: FieldPath, value: Any, at: str, depth: int) -> Filter:
        if not isinstance(value, Mapping):
            return AnyOf(path, (_scalar(value, at),))
        self._enter(at, depth)
        if not value:
            raise InvalidInput(f"{at}: an object here holds operators; reach nested fields with dots", field=at)
        return _all([self._operator(path, name, operand, f"{at}.{name}", depth) for name, operand in value.items()])

    def _operator(self, path: FieldPath, name: str, operand: Any, at: str, depth: int) -> Filter:
        self._count(at)
        if name == "$not":
            if not isinstance(operand, Mapping):
                raise InvalidInput(f"{at} behind a field takes operators", field=at)
            return Not(self._field(path, operand, at, depth + 1))
        build = _FIELD_OPERATORS.get(name)
        if build is None:
            hint = _KNOWN if name.startswith("$") else "reach nested fields with dots"
            raise InvalidInput(f"{at}: unknown operator; {hint}", field=at)
        if isinstance(operand, list | tuple):
            self._values += len(operand)
            if self._values > MAX_ALL_VALUES:
                raise InvalidInput(f"{at}: the lists of a filter have at most {MAX_ALL_VALUES} values", field=at)
        built = build(path, operand, at)
        if isinstance(built, Compare) and abs(built.value) >= EXACT:
            self._large_bounds += 1
            if self._large_bounds > MAX_LARGE_BOUNDS:
                raise InvalidInput(f"{at}: a filter has at most {MAX_LARGE_BOUNDS} bounds beyond 2^53", field=at)
        return built

    def _enter(self, at: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise InvalidInput(f"{at}: filters nest at most {MAX_DEPTH} deep", field=at)

    def _count(self, at: str) -> None:
        self._clauses += 1
        if self._clauses > MAX_CLAUSES:
            raise InvalidInput(f"{at}: a filter has at most {MAX_CLAUSES} clauses", field=at)


_KNOWN = f"known are {' '.join(OPERATORS)}"


def _all(parts: list[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _path(key: str, at: str) -> FieldPath:
    names = tuple(key.split(".")) if len(key) <= MAX_PATH else ()
    if not names or not all(map(filterable, names)):
        raise InvalidInput(
            f"{at}: a field is names joined by dots, at most {MAX_PATH} characters; a name is not empty, does not "
            f"begin with $ and has no quotation mark, backslash or control character",
            field=at,
        )
    return names


def _scalar(value: Any, at: str) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value, at)
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidInput(f"{at} holds a NUL character", field=at)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidInput(f"{at} is not valid Unicode", field=at) from None
        return value
    raise InvalidInput(f"{at} takes text, a number, true, false or null", field=at)


def number(value: Number) -> Number:
    """The canonical form of a finite number: -0.0 becomes 0, and 1.0 becomes 1."""
    if isinstance(value, float) and value.is_integer() and -INT64 <= value < INT64:
        return int(value)
    return value


def _number(value: Any, at: str) -> Number:
    if isinstance(value, int) and not isinstance(value, bool):
        if not -INT64 <= value < INT64:
            raise InvalidInput(f"{at} is an integer beyond 64 bits; keep such numbers as text", field=at)
        return value
    if isinstance(value, float) and math.isfinite(value):
        return number(value)
    raise InvalidInput(f"{at} takes a finite number (keep times as seconds)", field=at)


def _scalars(value: Any, at: str) -> tuple[Scalar, ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_VALUES:
        raise InvalidInput(f"{at} takes a list of at most {MAX_VALUES} values", field=at)
    return tuple(_scalar(item, f"{at}[{index}]") for index, item in enumerate(value))


def _exists(path: FieldPath, operand: Any, at: str) -> Filter:
    if not isinstance(operand, bool):
        raise InvalidInput(f"{at} takes true or false", field=at)
    return Exists(path) if operand else Not(Exists(path))


def _comparison(order: Comparison) -> "_Build":
    return lambda path, operand, at: Compare(path, order, _number(operand, at))


_Build = Callable[[FieldPath, Any, str], Filter]
_FIELD_OPERATORS: Mapping[str, _Build] = {
    "$eq": lambda path, operand, at: AnyOf(path, (_scalar(operand, at),)),
    "$ne": lambda path, operand, at: Not(AnyOf(path, (_scalar(operand, at),))),
    "$in": lambda path, operand, at: AnyOf(path, _scalars(operand, at)),
    "$nin": lambda path, operand, at: Not(AnyOf(path, _scalars(operand, at))),
    "$exists": _exists,
    **{order.value: _comparison(order) for order in Comparison},
}
