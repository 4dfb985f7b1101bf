"""Compilation of filters to a Qdrant server's."""

from collections.abc import Sequence
from typing import Any

from qdrant_client import models

from services.vector.adapters import qdrant_payload as stored
from services.vector.adapters.compiled import compiled
from services.vector.domain.filters import Comparison, Filter
from services.vector.ports import IndexLocation

LOCATION = "place"
_RANGES = {Comparison.GT: "gt", Comparison.GTE: "gte", Comparison.LT: "lt", Comparison.LTE: "lte"}


def name_of(location: IndexLocation) -> str:
    return f"{location.scope.tenant.slug}/{location.scope.id}/{location.index_id}"


def registry_id(location: IndexLocation) -> str:
    return stored.engine_id("", name_of(location))


def within(location: IndexLocation, filter: Filter | None = None, ids: Sequence[str] | None = None) -> models.Filter:
    """The filter for the points of this location, of them those that meet the filter and have one of the ids. What
    every request on points carries; nothing else makes a filter for one."""
    must: list[Any] = [models.FieldCondition(key=LOCATION, match=models.MatchValue(value=name_of(location)))]
    if filter is not None:
        must.append(compiled(filter, _Qdrant()))
    if ids is not None:
        must.append(models.HasIdCondition(has_id=[stored.engine_id(id, name_of(location)) for id in ids]))
    return models.Filter(must=must)


_Condition = models.FieldCondition | models.Filter


class _Qdrant:
    """Conditions of a Qdrant server."""

    def term(self, terms: Sequence[int]) -> _Condition:
        return models.FieldCondition(key=stored.TERMS, match=models.MatchAny(any=list(terms)))

    def number(self, path: str, order: Comparison, value: float) -> _Condition:
        return models.FieldCondition(key=stored.number_key(path), range=models.Range(**{_RANGES[order]: value}))

    def every(self, of: Sequence[_Condition]) -> _Condition:
        return models.Filter(must=list(of))

    def some(self, of: Sequence[_Condition]) -> _Condition:
        return models.Filter(should=list(of))

    def none(self, of: _Condition) -> _Condition:
        return models.Filter(must_not=[of])
