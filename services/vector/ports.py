"""The ports of vector: the engine, and the driver that opens one.

Every method of an engine takes the place first; what lies elsewhere is not there. A place that was never created, or
was dropped, is NotFound. Engines are safe to use from many tasks at once.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.providers import drivers
from core.providers.drivers import Values
from core.tenancy import Project, Tenant
from services.vector.domain.filters import Filter
from services.vector.domain.points import IndexSpec, KeywordQuery, Match, Metric, Point, Vector

_INDEX_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class IndexLocation:
    """The location of an index. `index_id` is the index's record id, which is never used again: a dropped index and a
    later one of the same name are two locations."""

    scope: Project
    index_id: str

    def __post_init__(self) -> None:
        if not _INDEX_ID.fullmatch(self.index_id):
            raise ValueError("an index's id is 1 to 64 letters, digits, '_' or '-'")


@dataclass(frozen=True, slots=True)
class Query:
    """The `top_k` nearest to `vector` of those that meet `filter`; with `keywords`, joined with keyword search
    (BM25)."""

    vector: Vector
    top_k: int = 5
    filter: Filter | None = None
    include_values: bool = False
    keywords: KeywordQuery | None = None


@dataclass(frozen=True, slots=True)
class PointPage:
    """Some points of an index. `after` is opaque and goes into the next call; empty: there are no more."""

    points: Sequence[Point]
    after: str


@dataclass(frozen=True, slots=True)
class EngineCapabilities:
    """Features of an engine. What it cannot do is refused with InvalidInput."""

    metrics: tuple[Metric, ...]
    filter_operators: tuple[str, ...]
    hybrid: bool


class VectorEngine(Protocol):
    """Points are checked (domain.points) before they come here.

    Any method raises Unavailable where the engine cannot be reached or read; those that write raise
    InsufficientStorage where its disk is full. What a method has written when it returns survives a crash.
    """

    capabilities: EngineCapabilities

    async def create(self, location: IndexLocation, spec: IndexSpec) -> None:
        """Make an empty index; nothing happens where it is there with the same spec. Raises Conflict where it is
        there with another one, InvalidInput where the engine cannot hold such an index."""

    async def drop(self, location: IndexLocation) -> None:
        """Remove the index and its points for good. No error where there is none."""

    async def spec(self, location: IndexLocation) -> IndexSpec:
        """Return the properties that the index was made with."""

    async def upsert(self, location: IndexLocation, points: Sequence[Point]) -> None:
        """Write points; one with a known id is replaced whole. `points` repeat no id and fit the spec."""

    async def query(self, location: IndexLocation, query: Query) -> list[Match]:
        """The nearest first. Raises InvalidInput for `keywords` where the index is not hybrid."""

    async def fetch(self, location: IndexLocation, ids: Sequence[str]) -> list[Point]:
        """Points by id, in the order asked for; unknown ids are left out."""

    async def delete_ids(self, location: IndexLocation, ids: Sequence[str]) -> int:
        """Remove points by id. Returns how many there were."""

    async def delete_filter(self, location: IndexLocation, filter: Filter) -> int:
        """Remove the points that meet the filter. Returns how many there were."""

    async def count(self, location: IndexLocation, filter: Filter | None = None) -> int:
        """Count the points, exactly."""

    async def scroll(self, location: IndexLocation, after: str = "", limit: int = 256) -> PointPage:
        """Points in an order that stays: following `after` meets each point that is there all the while exactly once.
        Raises InvalidInput for an `after` that no page gave."""

    async def check(self) -> None:
        """Check that the engine can serve. Raises Unavailable."""

    async def close(self) -> None:
        """Release files and connections, after the calls in progress. May be called twice."""


class LocalVectorEngine(VectorEngine, Protocol):
    """An engine of the service's own, which all projects share."""

    async def clear(self, project: Project) -> None:
        """Remove all that the engine has of the project, with or without a record of it."""

    async def clear_tenant(self, tenant: Tenant) -> None:
        """Remove all that the engine has of the tenant. Safe to repeat."""


@dataclass(frozen=True)
class VectorDriver(drivers.Driver):
    """A kind of engine. `open` takes credentials and settings by name and connects to nothing yet."""

    capabilities: EngineCapabilities
    open: Callable[[Values, Values], VectorEngine]
