"""Metadata as words and numbers: how every engine answers a filter alike.

Engines differ in what null, missing, mixed types, booleans and arrays mean to them. So each point carries, beside its
metadata, two things made from it. `terms`: `["lang"]` says that the field is there, `["lang","en"]` that it is, or
holds, "en"; one keyword index over them answers `$eq $ne $in $nin $exists` for every field, also for those nobody
declared. `numbers`: the numbers that each field holds, for `$gt $gte $lt $lte`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from services.vector.domain.filters import FieldPath, Scalar, filterable

_LONGEST = 120
"""Bytes of a term; a longer one is kept as its hash, so a field of prose costs an index no more than a flag."""

NO_TERM = ""
"""A term that no point has."""


@dataclass(frozen=True, slots=True)
class Derived:
    """`numbers` by path, its names joined by dots."""

    terms: list[str]
    numbers: dict[str, list[float]]


def derive(metadata: Mapping[str, Any]) -> Derived:
    """All terms, each once, and all numbers. Keys that no filter can name have none."""
    terms: dict[str, None] = {}
    numbers: dict[str, list[float]] = {}
    for path, items in _fields(metadata, ""):
        terms[_term(path)] = None
        for item in items:
            if item is None or isinstance(item, bool | str):
                terms[_term(path, item)] = None
            elif isinstance(item, int | float):
                number = float(item) + 0.0  # -0.0 becomes 0.0, as which it is equal
                terms[_term(path, number)] = None
                numbers.setdefault(path, []).append(number)
    return Derived(list(terms), numbers)


def exists_term(path: FieldPath) -> str:
    return _term(".".join(path))


def value_term(path: FieldPath, value: Scalar) -> str:
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


def _term(*parts: Scalar) -> str:
    word = orjson.dumps(parts)
    return word.decode() if len(word) <= _LONGEST else f"#{blake2b(word, digest_size=16).hexdigest()}"
