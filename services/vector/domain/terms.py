"""Metadata as terms: how every engine answers equality, membership and existence alike.

Engines differ in what null, missing, mixed types and arrays mean to them. So each point carries, beside its metadata,
one list of words: `["lang"]` says that the field is there, `["lang","en"]` that it is, or holds, "en". One keyword
index over that list answers `$eq $ne $in $nin $exists` for every field, also for those nobody declared.
"""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import orjson

from services.vector.domain.filters import FieldPath, Scalar, filterable

_LONGEST = 120
"""Bytes of a term; a longer one is kept as its hash, so a field of prose costs an index no more than a flag."""


def terms(metadata: Mapping[str, Any]) -> list[str]:
    """All terms of a point's metadata, each once. Keys that no filter can name have none."""
    return list(dict.fromkeys(_terms(metadata, "")))


def exists_term(path: FieldPath) -> str:
    return _term(".".join(path))


def value_term(path: FieldPath, value: Scalar) -> str:
    return _term(".".join(path), value)


def _terms(fields: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in fields.items():
        if not filterable(name):
            continue
        path = prefix + name
        yield _term(path)
        if isinstance(value, Mapping):
            yield from _terms(value, f"{path}.")
            continue
        for item in value if isinstance(value, list | tuple) else (value,):
            if item is None or isinstance(item, bool | str):
                yield _term(path, item)
            elif isinstance(item, int | float):
                yield _term(path, float(item) + 0.0)


def _term(*parts: Scalar) -> str:
    word = orjson.dumps(parts)
    return word.decode() if len(word) <= _LONGEST else f"#{blake2b(word, digest_size=16).hexdigest()}"
