"""The port's meaning, in the plainest Python: what the contract suite holds every engine against, and what stands in
for one in tests of what stands around engines."""

import math
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from core.errors import Conflict, InvalidInput, NotFound
from core.http.origin import Origin
from core.providers.drivers import Field, Host, Values
from core.tenancy import Project, Tenant
from services.vector.domain.filters import OPERATORS, All, AnyOf, Compare, Comparison, Exists, Filter, Not, Number, Some
from services.vector.domain.points import IndexSpec, Match, Metric, Point, Vector, check_lengths
from services.vector.ports import EngineCapabilities, IndexLocation, PointPage, Query, VectorDriver

_MISSING = object()


def matches(filter: Filter | None, metadata: Mapping[str, Any]) -> bool:
    match filter:
        case None:
            return True
        case AnyOf(path, values):
            found = _value(metadata, path)
            if None in values and found is _MISSING:
                return True
            return any(_equal(item, value) for item in _items(found) for value in values)
        case Compare(path, order, value):
            return any(_is_number(item) and _stands(item, order, value) for item in _items(_value(metadata, path)))
        case Exists(path):
            return _value(metadata, path) is not _MISSING
        case All(of):
            return all(matches(part, metadata) for part in of)
        case Some(of):
            return any(matches(part, metadata) for part in of)
        case Not(part):
            return not matches(part, metadata)


def _value(metadata: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = metadata
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return _MISSING
        value = value[name]
    return value


def _items(value: Any) -> list[Any]:
    if value is _MISSING:
        return []
    return value if isinstance(value, list) else [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(item: Any, value: Any) -> bool:
    if _is_number(item) and _is_number(value):
        return bool(item == value)
    return type(item) is type(value) and not isinstance(item, dict | list) and item == value


def _stands(item: Number, order: Comparison, value: Number) -> bool:
    return {
        Comparison.GT: item > value,
        Comparison.GTE: item >= value,
        Comparison.LT: item < value,
        Comparison.LTE: item <= value,
    }[order]


def score(metric: Metric, a: Vector, b: Vector) -> float:
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    match metric:
        case Metric.DOT:
            return dot
        case Metric.COSINE:
            return dot / (math.hypot(*a) * math.hypot(*b))
        case Metric.EUCLIDEAN:
            return math.dist(a, b)


class ExactEngine:
    """In memory, without keyword search. `before` is awaited at the beginning of every call that is about points or
    places, with its name and place, and may raise."""

    def __init__(self) -> None:
        self.capabilities = EngineCapabilities(tuple(Metric), OPERATORS, hybrid=False)
        self.specs: dict[IndexLocation, IndexSpec] = {}
        self.points: dict[IndexLocation, dict[str, Point]] = {}
        self.before: Callable[[str, IndexLocation], Awaitable[None]] | None = None

    async def create(self, location: IndexLocation, spec: IndexSpec) -> None:
        await self._begin("create", location)
        if spec.hybrid and not self.capabilities.hybrid:
            raise InvalidInput("This engine has no keyword search.", field="hybrid")
        if self.specs.setdefault(location, spec) != spec:
            raise Conflict("the index is there with another dimension, metric or hybrid")
        self.points.setdefault(location, {})

    async def drop(self, location: IndexLocation) -> None:
        await self._begin("drop", location)
        self.specs.pop(location, None)
        self.points.pop(location, None)

    async def spec(self, location: IndexLocation) -> IndexSpec:
        self._at(location)
        return self.specs[location]

    async def upsert(self, location: IndexLocation, points: Sequence[Point]) -> None:
        await self._begin("upsert", location)
        self._at(location).update({point.id: point for point in points})

    async def query(self, location: IndexLocation, query: Query) -> list[Match]:
        await self._begin("query", location)
        if query.keywords is not None:
            raise InvalidInput("This engine has no keyword search.", field="text")
        points, metric = self._at(location), self.specs[location].metric
        found = [
            Match(p.id, score(metric, query.vector, p.values), dict(p.metadata), p.text, array("f", p.values))
            for p in points.values()
            if matches(query.filter, p.metadata)
        ]
        found.sort(key=lambda match: match.score, reverse=metric.higher_is_nearer)
        del found[query.top_k :]
        check_lengths((len(orjson.dumps(match.metadata)) for match in found), "topK")
        return found

    async def fetch(self, location: IndexLocation, ids: Sequence[str]) -> list[Point]:
        await self._begin("fetch", location)
        points = self._at(location)
        found = [points[id] for id in ids if id in points]
        check_lengths((len(orjson.dumps(point.metadata)) for point in found), "ids")
        return found

    async def delete_ids(self, location: IndexLocation, ids: Sequence[str]) -> int:
        await self._begin("delete_ids", location)
        points = self._at(location)
        return sum(points.pop(id, None) is not None for id in ids)

    async def delete_filter(self, location: IndexLocation, filter: Filter) -> int:
        points = self._at(location)
        return await self.delete_ids(location, [id for id, point in points.items() if matches(filter, point.metadata)])

    async def count(self, location: IndexLocation, filter: Filter | None = None) -> int:
        await self._begin("count", location)
        return sum(matches(filter, point.metadata) for point in self._at(location).values())

    async def scroll(self, location: IndexLocation, after: str = "", limit: int = 256) -> PointPage:
        await self._begin("scroll", location)
        points = self._at(location)
        page = sorted(id for id in points if id > after)[:limit]
        return PointPage([points[id] for id in page], page[-1] if len(page) == limit else "")

    async def clear_tenant(self, tenant: Tenant) -> None:
        for project in {location.scope for location in self.points if location.scope.tenant == tenant}:
            await self.clear(project)

    async def clear(self, project: Project) -> None:
        for location in [each for each in self.points if each.scope == project]:
            del self.points[location]

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def _begin(self, name: str, location: IndexLocation) -> None:
        if self.before is not None:
            await self.before(name, location)

    def _at(self, location: IndexLocation) -> dict[str, Point]:
        if location not in self.points:
            raise NotFound("no such index")
        return self.points[location]


def driver(id: str, engine: ExactEngine, *fields: Field) -> VectorDriver:
    """For tests of what stands around engines. A `url` of nonsense is refused."""

    def hosts(credentials: Values, settings: Values) -> Sequence[Host]:
        if "url" not in settings:
            return ()
        origin = Origin.parse(settings["url"], field="settings.url")
        return (Host(origin.host, origin.port, "settings.url"),)

    def open(credentials: Values, settings: Values) -> ExactEngine:
        return engine

    return VectorDriver(id, id.title(), "For tests.", fields, engine.capabilities, open, hosts=hosts)
