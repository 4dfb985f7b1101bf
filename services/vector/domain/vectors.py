"""The use cases of an index's points: checked here, stored and searched by its engine."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from core.audit import changes as audit
from core.errors import FailedPrecondition, InvalidInput, NotFound
from core.offload import offload_request
from core.quotas.rules import Dimension
from services.vector.domain.engines import Engines
from services.vector.domain.filters import Filter
from services.vector.domain.fusion import candidates
from services.vector.domain.index_resolver import IndexRef, IndexResolver, ResolvedIndex
from services.vector.domain.points import (
    MAX_POINTS,
    Match,
    Point,
    check_ids,
    check_numbers,
    check_points,
    check_top_k,
    check_vector,
    in_order,
)
from services.vector.domain.query_log import QueryLog, query_record
from services.vector.domain.quotas import VectorQuotas
from services.vector.ports import Query, VectorEngine

MAX_FETCH = 1_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallerInfo:
    """The caller, as the query log records it."""

    request_id: str
    token_id: str


class Vectors:
    """Every method raises NotFound for an index that is not there, and InvalidInput for what does not fit it."""

    def __init__(self, resolver: IndexResolver, engines: Engines, log: QueryLog, quotas: VectorQuotas) -> None:
        self._quotas = quotas
        self._resolver = resolver
        self._engines = engines
        self._log = log

    async def upsert(self, ref: IndexRef, read: Callable[[], list[Point]], size: int) -> int:
        """Write what `read` makes of the request's `size` bytes; durable on return. How many points there were.
        Raises FailedPrecondition while a migration copies the index."""

        async def write(resolved: ResolvedIndex, engine: VectorEngine) -> int:
            _begin_change(resolved)
            points = await offload_request(lambda: _checked(read(), resolved), size)
            await self._quotas.use(resolved, {Dimension.VECTORS: len(points)}, {Dimension.VECTORS: "vectors"})
            async with self._quotas.room_for_points(resolved, engine, points):
                await engine.upsert(resolved.location, points)
            return len(points)

        return await self._on(ref, write)

    async def query(self, ref: IndexRef, query: Query, caller_info: CallerInfo) -> list[Match]:
        """The nearest first."""
        check_top_k(query.top_k)

        async def search(resolved: ResolvedIndex, engine: VectorEngine) -> list[Match]:
            check_vector(query.vector, resolved.index.spec)
            await self._quotas.use(resolved, {Dimension.RESULTS: query.top_k}, {Dimension.RESULTS: "topK"})
            if query.keywords is not None and not resolved.index.spec.hybrid:
                raise InvalidInput("This index has no keyword search. Leave text out.", field="text")
            if query.include_values:
                check_numbers(
                    query.top_k if query.keywords is None else candidates(query.top_k), resolved.index.spec, "topK"
                )
            began = time.perf_counter()
            matches = in_order(await engine.query(resolved.location, query))
            took = (time.perf_counter() - began) * 1000
            location, request_id, token_id = resolved.location, caller_info.request_id, caller_info.token_id
            record = query_record(location.index_id, request_id, token_id, query, matches, took)
            self._log.add(location.scope, record)
            return matches

        return await self._on(ref, search)

    async def fetch(self, ref: IndexRef, ids: Sequence[str]) -> list[Point]:
        """Fetch the points that exist, in the order asked for."""
        check_ids(ids, MAX_FETCH)

        async def find(resolved: ResolvedIndex, engine: VectorEngine) -> list[Point]:
            check_numbers(len(ids), resolved.index.spec, "ids")
            return await engine.fetch(resolved.location, ids)

        return await self._on(ref, find)

    async def delete(self, ref: IndexRef, ids: Sequence[str], filter: Filter | None) -> int:
        """Delete points by ids or by a filter. Returns how many. Raises FailedPrecondition while a migration copies the
        index."""
        if bool(ids) is (filter is not None):
            raise InvalidInput("Give either ids or a filter that is not empty.", field="ids")
        if filter is None:
            check_ids(ids, MAX_POINTS)

        async def remove(resolved: ResolvedIndex, engine: VectorEngine) -> int:
            _begin_change(resolved)
            if filter is None:
                return await engine.delete_ids(resolved.location, list(dict.fromkeys(ids)))
            return await engine.delete_filter(resolved.location, filter)

        return await self._on(ref, remove)

    async def count(self, ref: IndexRef, filter: Filter | None) -> int:
        """Exact."""
        return await self._on(ref, lambda resolved, engine: engine.count(resolved.location, filter))

    async def _on(self, ref: IndexRef, use: Callable[[ResolvedIndex, VectorEngine], Awaitable[T]]) -> T:
        resolved = await self._resolver.of(ref)
        try:
            return await self._with_engine(resolved, use)
        except NotFound:  # another process may have deleted the index, and somebody made it anew
            now = await self._resolver.of(ref, fresh=True)
            if now.location == resolved.location:
                raise
            return await self._with_engine(now, use)

    async def _with_engine(
        self, resolved: ResolvedIndex, use: Callable[[ResolvedIndex, VectorEngine], Awaitable[T]]
    ) -> T:
        with await self._engines.use(resolved.location.scope, resolved.provider) as engine:
            return await use(resolved, engine)


def _begin_change(resolved: ResolvedIndex) -> None:
    """Check that points may be changed. Raises FailedPrecondition."""
    audit.change().resource_id = resolved.index.path
    if resolved.migrating:
        raise FailedPrecondition(
            "A migration copies this index. It takes writes again when that has ended or been cancelled.",
            reason="MIGRATING",
        )


def _checked(points: list[Point], resolved: ResolvedIndex) -> list[Point]:
    check_points(points, resolved.index.spec)
    return points
