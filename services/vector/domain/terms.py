"""Terms and numbers derived from metadata, so that every engine answers a filter alike.

Engines differ in what null, missing, mixed types, booleans and arrays mean to them. So each point carries, beside its
metadata, two things made from it. `terms`: one says that the field `lang` is there, another that it is, or holds, "en";
one index over them answers `$eq $ne $in $nin $exists` for every field, also for those nobody declared. `numbers`: the
numbers that each field holds as 64-bit floats, for `$gt $gte $lt $lte`; where integers are too large for those to tell
apart, `rounded_alike` names them and their terms do.

A term is a hash of 63 bits, so that a field of prose costs an index no more than a flag, and every engine keeps it as a
whole number. Two of a million different terms are the same with a chance of one in twenty million.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from services.vector.domain.filters import EXACT, INT64, FieldPath, Number, Scalar, filterable, number

NO_TERM = -1
"""A term that no point has."""


@dataclass(frozen=True, slots=True)
class Derived:
    """`numbers` by path, its names joined by dots."""

    terms: list[int]
    numbers: dict[str, list[float]]


def derive(metadata: Mapping[str, Any]) -> Derived:
    """All terms, each once, and all numbers. Keys that no filter can name have none."""
    terms: dict[int, None] = {}
    numbers: dict[str, list[float]] = {}
    for path, items in _fields(metadata, ""):
        terms[_field_term(path)] = None
        for item in items:
            if item is None or isinstance(item, bool | str):
                terms[_term(path, item)] = None
            elif isinstance(item, int | float):
                terms[_term(path, number(item))] = None
                numbers.setdefault(path, []).append(float(item) + 0.0)  # -0.0 becomes 0.0, as which it is equal
    return Derived(list(terms), numbers)


def exists_term(path: FieldPath) -> int:
    return _field_term(".".join(path))


def value_term(path: FieldPath, value: Scalar) -> int:
    return _term(".".join(path), value)


def rounded_alike(rounded: float) -> Iterator[Number]:
    """Every number that is `rounded` as a 64-bit float, itself included: above 2**53 several integers."""
    if abs(rounded) > INT64:
        yield rounded
        return
    low, high = (int(math.nextafter(rounded, end)) for end in (-math.inf, math.inf))
    for candidate in range(max(low, -INT64), min(high, INT64 - 1) + 1):
        if float(candidate) == rounded:
            yield candidate
    if rounded == INT64:
        yield rounded


def _fields(fields: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, list[Any] | tuple[Any, ...]]]:
    for name, value in fields.items():
        if not filterable(name):
            continue
        path = prefix + name
        if isinstance(value, Mapping):
            yield path, ()
            yield from _fields(value, f"{path}.")
        else:
            yield path, value if isinstance(value, list | tuple) else (value,)


@lru_cache(4096)
def _field_term(path: str) -> int:
    return _term(path)


def _term(*parts: Scalar) -> int:
    if type(value := parts[-1]) is int and abs(value) < EXACT:
        parts = (*parts[:-1], float(value))  # as all numbers were once written; terms are on disk
    digest = blake2b(orjson.dumps(parts), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
