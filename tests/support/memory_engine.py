"""A vector engine in memory that searches exactly, for tests of what stands around engines."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from core.errors import Conflict, InvalidInput, NotFound
from core.providers.drivers import Field
from services.vector.domain.filters import OPERATORS, All, AnyOf, Compare, Exists, Filter, Not, Order, Some
from services.vector.domain.points import IndexSpec, Match, Metric, Point, Vector
from services.vector.ports import Capabilities, Driver, Page, Place, Query

CAPABILITIES = Capabilities(tuple(Metric), OPERATORS, hybrid=False)


class MemoryEngine:
    """`before` is awaited at the beginning of every call with its name and place, and may raise."""

    capabilities = CAPABILITIES

    def __init__(self) -> None:
        self.specs: dict[Place, IndexSpec] = {}
        self.points: dict[Place, dict[str, Point]] = {}
        self.before: Callable[[str, Place], Awaitable[None]] | None = None
        self.closed = False

    async def create(self, place: Place, spec: IndexSpec) -> None:
        await self._begin("create", place)
        if self.specs.setdefault(place, spec) != spec:
            raise Conflict("There is another.")
        self.points.setdefault(place, {})

    async def drop(self, place: Place) -> None:
        await self._begin("drop", place)
        self.specs.pop(place, None)
        self.points.pop(place, None)

    async def spec(self, place: Place) -> IndexSpec:
        self._at(place)
        return self.specs[place]

    async def upsert(self, place: Place, points: Sequence[Point]) -> None:
        await self._begin("upsert", place)
        self._at(place).update({point.id: point for point in points})

    async def query(self, place: Place, query: Query) -> list[Match]:
        await self._begin("query", place)
        metric = self.specs[place].metric if place in self.specs else Metric.COSINE
        found = [
            Match(each.id, _score(metric, query.vector, each.values), each.metadata,
                  values=each.values if query.include_values else None)
            for each in self._at(place).values() if _meets(each.metadata, query.filter)
        ]  # fmt: skip
        found.sort(key=lambda match: match.score, reverse=metric.higher_is_nearer)
        return found[: query.top_k]

    async def fetch(self, place: Place, ids: Sequence[str]) -> list[Point]:
        await self._begin("fetch", place)
        points = self._at(place)
        return [points[id] for id in ids if id in points]

    async def delete_ids(self, place: Place, ids: Sequence[str]) -> int:
        await self._begin("delete_ids", place)
        points = self._at(place)
        return sum(points.pop(id, None) is not None for id in ids)

    async def delete_filter(self, place: Place, filter: Filter) -> int:
        points = self._at(place)
        return await self.delete_ids(place, [id for id, point in points.items() if _meets(point.metadata, filter)])

    async def count(self, place: Place, filter: Filter | None = None) -> int:
        await self._begin("count", place)
        return sum(_meets(point.metadata, filter) for point in self._at(place).values())

    async def scroll(self, place: Place, after: str = "", limit: int = 256) -> Page:
        await self._begin("scroll", place)
        points = self._at(place)
        ids = sorted(id for id in points if id > after)
        return Page([points[id] for id in ids[:limit]], ids[limit - 1] if len(ids) > limit else "")

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        self.closed = True

    async def _begin(self, name: str, place: Place) -> None:
        if self.before is not None:
            await self.before(name, place)

    def _at(self, place: Place) -> dict[str, Point]:
        if place not in self.points:
            raise NotFound("There is nothing at this place.")
        return self.points[place]


def driver(id: str, engine: MemoryEngine, *fields: Field) -> Driver:
    def open(credentials: Mapping[str, Any], settings: Mapping[str, Any]) -> MemoryEngine:
        if settings.get("url") == "nonsense":
            raise InvalidInput("settings.url is no URL.", field="settings.url")
        return engine

    return Driver(id, id.title(), "For tests.", fields, CAPABILITIES, open)


def _score(metric: Metric, a: Vector, b: Vector) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    match metric:
        case Metric.DOT:
            return dot
        case Metric.EUCLIDEAN:
            return math.dist(a, b)
    return dot / (math.hypot(*a) * math.hypot(*b))


def _meets(metadata: Mapping[str, Any], filter: Filter | None) -> bool:
    """Flat fields alone."""
    match filter:
        case None:
            return True
        case AnyOf(path, values):
            return metadata.get(path[0]) in values
        case Compare(path, order, value):
            found = metadata.get(path[0])
            return isinstance(found, int | float) and {
                Order.GT: found > value, Order.GTE: found >= value, Order.LT: found < value, Order.LTE: found <= value
            }[order]  # fmt: skip
        case Exists(path):
            return path[0] in metadata
        case All(of):
            return all(_meets(metadata, each) for each in of)
        case Some(of):
            return any(_meets(metadata, each) for each in of)
        case Not(of):
            return not _meets(metadata, of)
