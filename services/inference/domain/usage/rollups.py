"""Roll-ups of usage: sums of the calls of an hour and of a day, kept in the transaction that writes their records.

A roll-up is a document of ROLLUPS: its `kind`, which is a cube and a span such as "calls.hour", the `start` of its hour
or day in Unix seconds, the cube's dimensions, and the sums. All sums are of integers, so totals equal the sums of the
records exactly. Callers may choose values without end for some dimensions; what is too much counts as OTHER.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson

from core.bounded import BoundedDict
from core.storage.ports import Document, Increment
from services.inference.domain.tables import MEASURES

HOUR, DAY = 3600, 86_400

_MODEL = ("model", "providerKey", "operation", "status", "currency")
CALLS, MODELS, TAGS, LATENCY = "calls", "models", "tags", "latency"
CUBES: Mapping[str, tuple[str, ...]] = {
    CALLS: (*_MODEL, "tokenId", "userId", "agent"),
    MODELS: _MODEL,
    TAGS: (*_MODEL, "tagKey", "tagValue"),
    LATENCY: (*_MODEL, "bucket"),
}
"""Dimensions of each cube. The latter three answer most questions from far fewer documents than the first."""

OTHER = "(other)"
MAX_UNKNOWN_MODELS = 100
MAX_AGENTS = 500
MAX_TAG_KEYS = 16
MAX_TAG_VALUES = 250
"""Values that roll-ups tell apart, per project and day, of each tag; a process that starts begins to count anew."""
_MAX_PROJECT_DAYS = 1_000

_STEPS = 8
"""Latency buckets for each doubling: their bounds are 9 % apart."""
MAX_BUCKET = 300

Seen = dict[str, set[int]]
"""Hashes of the values that were seen, by dimension."""
Cell = tuple[Any, ...]
"""Start and dimensions of a roll-up."""
Groups = defaultdict[Cell, list[tuple[int, ...]]]
"""Amounts, in the order of MEASURES, of the records of each cell."""
Cells = dict[Cell, tuple[int, ...]]
"""Sums of each cell."""
_keyed, _summed = itemgetter(*_MODEL, "tokenId", "userId"), itemgetter(*MEASURES[1:-1])


def bucket_of(milliseconds: float) -> int:
    """The latency bucket: the n-th ends at 2^(n/8) microseconds."""
    return min(MAX_BUCKET, math.ceil(math.log2(milliseconds * 1000) * _STEPS)) if milliseconds > 0.001 else 0


def bound_of(bucket: float) -> float:
    """The upper bound of a latency bucket, in milliseconds."""
    return float(2 ** (bucket / _STEPS) / 1000)


def day_of(seconds: float) -> str:
    """The date, in UTC."""
    return _date(seconds // DAY)


@lru_cache(maxsize=1024)
def _date(days: float) -> str:
    return datetime.fromtimestamp(days * DAY, UTC).strftime("%Y-%m-%d")


class Rollups:
    """Makes the increments of roll-ups. Remembers which values it has seen of dimensions that are bounded."""

    def __init__(self) -> None:
        self._seen: BoundedDict[tuple[Hashable, int], Seen] = BoundedDict(_MAX_PROJECT_DAYS)

    def increments(self, scope: Hashable, records: Sequence[Document]) -> list[Increment]:
        """The increments of all roll-ups by new usage records of a project."""
        found, tags = Groups(list), Groups(list)
        for record in records:
            hour = int(record["createdAt"] // HOUR) * HOUR
            milliseconds = record["latencyMs"]
            amounts = (1, *_summed(record), round(milliseconds * 1000))
            key = _keyed(record)
            agent = record.get("agent") or ""
            if agent or not record["providerKey"]:  # else all of it is what there is
                key, agent = self._bounded(scope, hour, key, agent)
            found[(hour, *key, agent, bucket_of(milliseconds))].append(amounts)
            if given := record.get("tags"):
                for tag in self._tags(scope, hour, given):
                    tags[(hour, *key[: len(_MODEL)], *tag)].append(amounts)
        return [
            increment
            for cube, cells in _cubes(_sums(found), _sums(tags)).items()
            for increment in _of_cube(cube, cells)
        ]

    def _bounded(self, scope: Hashable, hour: int, key: Cell, agent: str) -> tuple[Cell, str]:
        """A key and an agent among those that are told apart."""
        seen = self._seen_on(scope, hour // DAY)
        model, provider = key[:2]
        if not provider:  # there may be no such model
            key = (_kept(seen, "model", model, MAX_UNKNOWN_MODELS), *key[1:])
        return key, _kept(seen, "agent", agent, MAX_AGENTS) if agent else agent

    def _tags(self, scope: Hashable, hour: int, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        seen = self._seen_on(scope, hour // DAY)
        for key, value in given.items():
            key = _kept(seen, "tagKey", key, MAX_TAG_KEYS)
            yield key, OTHER if key == OTHER else _kept(seen, f"tag {key}", value, MAX_TAG_VALUES)

    def _seen_on(self, scope: Hashable, day: int) -> Seen:
        seen = self._seen.get((scope, day))
        if seen is None:
            seen = self._seen[scope, day] = {}
        return seen


def _kept(seen: Seen, dimension: str, value: str, limit: int) -> str:
    """The value, or OTHER where there are enough others."""
    values, number = seen.setdefault(dimension, set()), hash(value)
    if number not in values:
        if len(values) >= limit:
            return OTHER
        values.add(number)
    return value


def _cubes(found: Cells, tags: Cells) -> dict[str, Cells]:
    """The cells of each cube. Those that are found end with the agent and the bucket."""
    calls, latency, models = Groups(list), Groups(list), Groups(list)
    for (*key, bucket), sums in found.items():
        model = tuple(key[: 1 + len(_MODEL)])
        calls[tuple(key)].append(sums)
        models[model].append(sums)
        latency[(*model, bucket)].append(sums[:1])
    return {CALLS: _sums(calls), MODELS: _sums(models), LATENCY: _sums(latency), TAGS: tags}


def _sums(groups: Groups) -> Cells:
    return {key: tuple(map(sum, zip(*amounts, strict=True))) for key, amounts in groups.items()}


def _of_cube(cube: str, hours: Cells) -> Iterator[Increment]:
    days = Groups(list)
    for (start, *dimensions), sums in hours.items():
        days[(start // DAY * DAY, *dimensions)].append(sums)
    for span, cells in (("hour", hours), ("day", _sums(days))):
        for (start, *values), sums in cells.items():
            yield _increment(f"{cube}.{span}", start, dict(zip(CUBES[cube], values, strict=True)), sums)


def _increment(kind: str, start: int, dimensions: dict[str, Any], sums: Iterable[int]) -> Increment:
    day = day_of(start)
    digest = hashlib.blake2b(orjson.dumps(list(dimensions.values())), digest_size=16).hexdigest()
    initial = {"kind": kind, "start": start, "day": day, "month": day[:7], **dimensions}
    return Increment(f"{kind}.{start}.{digest}", dict(zip(MEASURES, sums, strict=False)), initial)
