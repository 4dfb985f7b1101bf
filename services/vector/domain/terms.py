"""Metadata as words and numbers: how every engine answers a filter alike.

Engines differ in what null, missing, mixed types, booleans and arrays mean to them. So each point carries, beside its
metadata, two things made from it. `terms`: one says that the field `lang` is there, another that it is, or holds, "en";
one index over them answers `$eq $ne $in $nin $exists` for every field, also for those nobody declared. `numbers`: the
numbers that each field holds, for `$gt $gte $lt $lte`.

A term is a hash of 63 bits, so that a field of prose costs an index no more than a flag, and every engine keeps it as a
whole number. Two of a million different terms are the same with a chance of one in twenty million.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from services.vector.domain.filters import FieldPath, Scalar, filterable

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
                number = float(item) + 0.0  # -0.0 becomes 0.0, as which it is equal
                terms[_term(path, number)] = None
                numbers.setdefault(path, []).append(number)
    return Derived(list(terms), numbers)


def exists_term(path: FieldPath) -> int:
    return _field_term(".".join(path))


def value_term(path: FieldPath, value: Scalar) -> int:
    return _term(".".join(path), value)


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
    digest = blake2b(orjson.dumps(parts), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
