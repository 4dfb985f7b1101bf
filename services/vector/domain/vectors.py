"""What is done with an index's vectors: checked here, stored and searched by its engine."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from core.audit import changes as audit
from core.errors import FailedPrecondition, InvalidInput, NotFound
from core.offload import offload_request
from services.vector.domain.engines import Engines
from services.vector.domain.filters import Filter
from services.vector.domain.fusion import candidates
from services.vector.domain.points import (
    MAX_POINTS,
    Match,
    Point,
    check_ids,
    check_numbers,
    check_points,
    check_top_k,
    check_vector,
)
from services.vector.domain.queries import QueryLog, QueryRecord
from services.vector.domain.targets import Address, Target, Targets
from services.vector.ports import Query, VectorEngine

MAX_FETCH = 1_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asker:
    """For the query log."""

    request_id: str
    token_id: str


class Vectors:
    """Every method raises NotFound for an index that is not there, and InvalidInput for what does not fit it."""

    def __init__(self, targets: Targets, engines: Engines, log: QueryLog) -> None:
        self._targets = targets
        self._engines = engines
        self._log = log

    async def upsert(self, address: Address, read: Callable[[], list[Point]], size: int) -> int:
        """Writes what `read` makes of the request's `size` bytes; durable on return. How many points there were.
        Raises FailedPrecondition while a migration copies the index."""

        async def write(target: Target, engine: VectorEngine) -> int:
            _begin_change(target)
            points = await offload_request(lambda: _checked(read(), target), size)
            await engine.upsert(target.place, points)
            return len(points)

        return await self._on(address, write)

    async def query(self, address: Address, query: Query, asker: Asker) -> list[Match]:
        """The nearest first."""
        check_top_k(query.top_k)

        async def search(target: Target, engine: VectorEngine) -> list[Match]:
            check_vector(query.vector, target.index.spec)
            if query.words is not None and not target.index.spec.hybrid:
                raise InvalidInput("This index does not rank by words: leave text out.", field="text")
            if query.include_values:
                check_numbers(
                    query.top_k if query.words is None else candidates(query.top_k), target.index.spec, "topK"
                )
            began = time.perf_counter()
            matches = await engine.query(target.place, query)
            took = (time.perf_counter() - began) * 1000
            self._log.add(QueryRecord(target.place, asker.request_id, asker.token_id, query, matches, took))
            return matches

        return await self._on(address, search)

    async def fetch(self, address: Address, ids: Sequence[str]) -> list[Point]:
        """Those that there are, in the order asked for."""
        check_ids(ids, MAX_FETCH)

        async def find(target: Target, engine: VectorEngine) -> list[Point]:
            check_numbers(len(ids), target.index.spec, "ids")
            return await engine.fetch(target.place, ids)

        return await self._on(address, find)

    async def delete(self, address: Address, ids: Sequence[str], filter: Filter | None) -> int:
        """By ids or by a filter. How many are gone. Raises FailedPrecondition while a migration copies the index."""
        if bool(ids) is (filter is not None):
            raise InvalidInput("Give either ids or a filter that is not empty.", field="ids")
        if filter is None:
            check_ids(ids, MAX_POINTS)

        async def remove(target: Target, engine: VectorEngine) -> int:
            _begin_change(target)
            if filter is None:
                return await engine.delete_ids(target.place, list(dict.fromkeys(ids)))
            return await engine.delete_filter(target.place, filter)

        return await self._on(address, remove)

    async def count(self, address: Address, filter: Filter | None) -> int:
        """Exact."""
        return await self._on(address, lambda target, engine: engine.count(target.place, filter))

    async def _on(self, address: Address, use: Callable[[Target, VectorEngine], Awaitable[T]]) -> T:
        target = await self._targets.of(address)
        try:
            return await self._with_engine(target, use)
        except NotFound:  # another process may have deleted the index, and somebody made it anew
            now = await self._targets.of(address, fresh=True)
            if now.place == target.place:
                raise
            return await self._with_engine(now, use)

    async def _with_engine(self, target: Target, use: Callable[[Target, VectorEngine], Awaitable[T]]) -> T:
        with await self._engines.use(target.place.scope, target.provider) as engine:
            return await use(target, engine)


def _begin_change(target: Target) -> None:
    """Raises FailedPrecondition."""
    audit.change().resource_id = target.index.path
    if target.migrating:
        raise FailedPrecondition(
            "A migration copies this index. It takes writes again when that has ended or been cancelled.",
            reason="MIGRATING",
        )


def _checked(points: list[Point], target: Target) -> list[Point]:
    check_points(points, target.index.spec)
    return points
