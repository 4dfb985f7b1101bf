"""A Qdrant server or cluster, over gRPC.

Indexes of one dimension, metric and kind share a collection, as Qdrant advises for many tenants: thousands of small
indexes cost one collection. What keeps them apart is `qdrant_filters.within`: every request on points names the place,
in a filter that is written there and nowhere else, and a point's id is made from the location as well. A further
collection holds one entry per index, so that an empty index and none are two things.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import grpc
from qdrant_client import models
from qdrant_client.async_client_base import AsyncQdrantBase
from qdrant_client.http.exceptions import ApiException

from core.bounded import BoundedDict
from core.errors import Conflict, InvalidInput, NotFound, PorticoError, Unavailable
from core.offload import in_turns
from services.vector.adapters import qdrant_payload as stored
from services.vector.adapters.answers import MAX_POINT_BYTES, checked, page_that_fits, readable, unreadable
from services.vector.adapters.bm25 import Bm25
from services.vector.adapters.qdrant_errors import translated
from services.vector.adapters.qdrant_filters import LOCATION, name_of, registry_id, within
from services.vector.domain.filters import OPERATORS, Filter
from services.vector.domain.fusion import candidates, fuse_matches
from services.vector.domain.points import IndexSpec, Match, Metric, Point, check_lengths, normalised
from services.vector.ports import EngineCapabilities, IndexLocation, PointPage, Query

CAPABILITIES = EngineCapabilities(tuple(Metric), OPERATORS, hybrid=True)

_BATCH = 200
"""Points written per request; some MB at the largest dimensions."""

_KNOWN = 10_000
"""Places whose spec is remembered."""

_EF = 128
_EF_FILTERED = 512
_DISTANCES = {
    Metric.COSINE: models.Distance.COSINE,
    Metric.DOT: models.Distance.DOT,
    Metric.EUCLIDEAN: models.Distance.EUCLID,
}

_INDEXED: Mapping[str, Any] = {
    LOCATION: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    stored.TERMS: models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=True, range=False),
}

T = TypeVar("T")


class Server(Protocol):
    """The server that holds the collections."""

    max_answer_bytes: int

    async def client(self) -> AsyncQdrantBase:
        """The client for one call. Raises Unavailable."""

    def failed(self) -> None:
        """A call could not reach it."""

    async def close(self) -> None: ...


class QdrantEngine:
    """`prefix` begins the names of the collections. Closes the server's connections with itself."""

    capabilities = CAPABILITIES

    def __init__(self, server: Server, prefix: str = "portico") -> None:
        self._server = server
        self._prefix = prefix
        self._registry = f"{prefix}-indexes"
        self._specs: BoundedDict[IndexLocation, IndexSpec] = BoundedDict(_KNOWN)
        self._bm25 = Bm25()

    # Indexes

    async def create(self, location: IndexLocation, spec: IndexSpec) -> None:
        known = await self._registered(location)
        if known is not None:
            if known != spec:
                raise Conflict("The index exists with another dimension, metric or hybrid setting.")
            return
        await self._make_collection(spec)
        await self._make_registry()
        entry = {
            LOCATION: name_of(location), "dimension": spec.dimension, "metric": spec.metric.value, "hybrid": spec.hybrid
        }  # fmt: skip
        point = models.PointStruct(id=registry_id(location), vector=[1.0], payload=entry)
        await self._do(lambda client: client.upsert(self._registry, [point], wait=True))

    async def drop(self, location: IndexLocation) -> None:
        self._specs.pop(location, None)
        spec = await self._registered(location)
        if spec is None:
            return
        points = models.FilterSelector(filter=within(location))
        await self._do(lambda client: client.delete(self._collection(spec), points, wait=True))
        entry = models.PointIdsList(points=[registry_id(location)])
        await self._do(lambda client: client.delete(self._registry, entry, wait=True))
        self._specs.pop(location, None)

    async def spec(self, location: IndexLocation) -> IndexSpec:
        spec = self._specs.get(location)
        if spec is None:
            spec = await self._registered(location)
            if spec is None:
                raise NotFound("There is no such index.")
            self._specs[location] = spec
        return spec

    async def _still_there(self, location: IndexLocation) -> None:
        """Another process may have dropped what this one remembers; nothing found is the sign to look."""
        if await self._registered(location) is None:
            self._specs.pop(location, None)
            raise NotFound("There is no such index.")

    async def _registered(self, location: IndexLocation) -> IndexSpec | None:
        try:
            entries = await self._do(lambda client: client.retrieve(self._registry, [registry_id(location)]))
        except NotFound:  # nobody has made an index yet
            return None
        if not entries:
            return None
        with readable("qdrant"):
            entry = _fields(entries[0])
            return IndexSpec(entry["dimension"], Metric(entry["metric"]), entry["hybrid"])

    async def _make_registry(self) -> None:
        vectors = models.VectorParams(size=1, distance=models.Distance.DOT)
        await self._make(self._registry, lambda client: client.create_collection(self._registry, vectors))

    async def _make_collection(self, spec: IndexSpec) -> None:
        """Create a collection with an HNSW index per location and none over all; the location's payload index keeps
        tenants together."""
        name = self._collection(spec)
        dense = models.VectorParams(size=spec.dimension, distance=_DISTANCES[spec.metric])
        sparse = {stored.KEYWORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)} if spec.hybrid else None
        hnsw = models.HnswConfigDiff(m=0, payload_m=16)

        async def make(client: AsyncQdrantBase) -> None:
            await client.create_collection(name, {stored.DENSE: dense}, sparse_vectors_config=sparse, hnsw_config=hnsw)

        await self._make(name, make)
        for field, params in _INDEXED.items():
            await self._do(partial(_index_payload, name, field, params))

    async def _make(self, collection: str, make: Callable[[AsyncQdrantBase], Awaitable[object]]) -> None:
        if await self._do(lambda client: client.collection_exists(collection)):
            return
        try:
            await self._do(make)
        except PorticoError:
            if not await self._do(lambda client: client.collection_exists(collection)):  # or another was first
                raise

    def _collection(self, spec: IndexSpec) -> str:
        return f"{self._prefix}-{spec.dimension}-{spec.metric.value}{'-words' if spec.hybrid else ''}"

    # Points

    async def upsert(self, location: IndexLocation, points: Sequence[Point]) -> None:
        spec = await self.spec(location)
        for start in range(0, len(points), _BATCH):
            batch = await in_turns(partial(self._entry, location, spec), points[start : start + _BATCH])
            await self._do(partial(_write, self._collection(spec), batch))

    def _entry(self, location: IndexLocation, spec: IndexSpec, point: Point) -> models.PointStruct:
        dense, fields = stored.entry(point, spec)
        vectors: dict[str, Any] = {stored.DENSE: dense}
        if spec.hybrid and point.text:
            keywords = self._bm25.document(point.text)
            if keywords.indices:
                vectors[stored.KEYWORDS] = models.SparseVector(indices=keywords.indices, values=keywords.values)
        payload = {LOCATION: name_of(location), **fields}
        return models.PointStruct(id=stored.engine_id(point.id, name_of(location)), vector=vectors, payload=payload)

    async def query(self, location: IndexLocation, query: Query) -> list[Match]:
        spec = await self.spec(location)
        vector = normalised(query.vector, spec.metric).tolist()
        if query.keywords is None:
            found = await self._nearest(location, spec, vector, stored.DENSE, query, query.top_k)
        elif not spec.hybrid:
            raise InvalidInput("This index has no keyword search. Create it with hybrid.", field="text")
        else:
            depth = candidates(query.top_k)
            dense = await self._nearest(location, spec, vector, stored.DENSE, query, depth)
            keywords = self._bm25.query(query.keywords.text)
            asked = models.SparseVector(indices=keywords.indices, values=keywords.values)
            sparse = (
                await self._nearest(location, spec, asked, stored.KEYWORDS, query, depth) if keywords.indices else []
            )
            found = fuse_matches(dense, sparse, query.keywords)[: query.top_k]
        if not found:
            await self._still_there(location)
        return found

    async def _nearest(
        self, location: IndexLocation, spec: IndexSpec, vector: Any, name: str, query: Query, limit: int
    ) -> list[Match]:
        ef = max(_EF_FILTERED if query.filter else _EF, limit)
        # Words are weighed by how rare they are in this index; other tenants' texts have no part in it.
        idf: Any = {"corpus": within(location)} if name == stored.KEYWORDS else None
        response = await self._do(
            lambda client: client.query_points(
                self._collection(spec),
                query=models.NearestQuery(nearest=vector),
                using=name,
                query_filter=within(location, query.filter),
                limit=limit,
                with_payload=[stored.POINT],
                with_vectors=[stored.DENSE] if query.include_values else False,
                search_params=models.SearchParams(hnsw_ef=ef, idf=idf),
            )
        )
        _check_lengths(response.points, "topK", candidates=query.keywords is not None)

        def match(found: models.ScoredPoint) -> Match:
            fields = _point(found)
            values = _dense(found, spec) if query.include_values else None
            return checked(stored.to_match(fields, found.score, values), fields[stored.POINT])

        with readable("qdrant"):
            return await in_turns(match, response.points)

    async def fetch(self, location: IndexLocation, ids: Sequence[str]) -> list[Point]:
        wanted = list(dict.fromkeys(ids))
        page = await self._page(location, within(location, ids=wanted), len(wanted), check="ids")
        points = {point.id: point for point in page.points}
        if not points:
            await self._still_there(location)
        return [points[id] for id in ids if id in points]

    async def scroll(self, location: IndexLocation, after: str = "", limit: int = 256) -> PointPage:
        cursor, spec = stored.cursor(after), await self.spec(location)
        page = await page_that_fits(
            lambda size: self._page(location, within(location), size, cursor),
            limit,
            spec.dimension,
            self._server.max_answer_bytes,
        )
        if not page.points:
            await self._still_there(location)
        return page

    async def _page(
        self, location: IndexLocation, within: models.Filter, limit: int, offset: str | None = None, *, check: str = ""
    ) -> PointPage:
        """`check`: the field that InvalidInput names where the points are too large for one answer."""
        spec = await self.spec(location)
        collection = self._collection(spec)
        records, following = await self._do(
            lambda client: client.scroll(
                collection, within, limit=limit, offset=offset, with_payload=[stored.POINT], with_vectors=[stored.DENSE]
            )
        )
        if check:
            _check_lengths(records, check)

        def point(record: models.Record) -> Point:
            fields = _point(record)
            return checked(stored.to_point(fields, _dense(record, spec)), fields[stored.POINT])

        with readable("qdrant"):
            points = await in_turns(point, records)
        return PointPage(points, "" if following is None else str(following))

    async def delete_ids(self, location: IndexLocation, ids: Sequence[str]) -> int:
        gone = 0
        for start in range(0, len(ids), _BATCH):
            gone += await self._delete(location, within(location, ids=ids[start : start + _BATCH]))
        return gone

    async def delete_filter(self, location: IndexLocation, filter: Filter) -> int:
        return await self._delete(location, within(location, filter))

    async def _delete(self, location: IndexLocation, within: models.Filter) -> int:
        """The server does not say how many went, so they are counted first."""
        collection = self._collection(await self.spec(location))
        count = await self._count(location, within)
        if count:
            points = models.FilterSelector(filter=within)
            await self._do(lambda client: client.delete(collection, points, wait=True))
        return count

    async def count(self, location: IndexLocation, filter: Filter | None = None) -> int:
        return await self._count(location, within(location, filter))

    async def _count(self, location: IndexLocation, within: models.Filter) -> int:
        collection = self._collection(await self.spec(location))
        count = (await self._do(lambda client: client.count(collection, within, exact=True))).count
        if not count:
            await self._still_there(location)
        return count

    # The server

    async def check(self) -> None:
        await self._do(lambda client: client.collection_exists(self._registry))

    async def close(self) -> None:
        await self._server.close()

    async def _do(self, request: Callable[[AsyncQdrantBase], Awaitable[T]]) -> T:
        client = await self._server.client()
        try:
            return await request(client)
        except PorticoError:
            raise
        except (grpc.aio.AioRpcError, ApiException, ValueError, OSError) as error:
            refusal = translated(error)
            if isinstance(refusal, Unavailable):
                self._server.failed()
            raise refusal from None
        except Exception as error:  # the client's own reading of an answer
            raise unreadable("qdrant", error) from None


async def _write(collection: str, points: Sequence[models.PointStruct], client: AsyncQdrantBase) -> None:
    await client.upsert(collection, points, wait=True)


async def _index_payload(collection: str, field: str, params: Any, client: AsyncQdrantBase) -> None:
    await client.create_payload_index(collection, field, params, wait=True)


def _fields(record: models.Record | models.ScoredPoint) -> Mapping[str, Any]:
    assert record.payload is not None
    return record.payload


def _point(record: models.Record | models.ScoredPoint) -> Mapping[str, Any]:
    """The fields of a point, before its text is read as JSON."""
    fields = _fields(record)
    if len(fields[stored.POINT]) > MAX_POINT_BYTES:
        raise ValueError("a point of such a length was not written here")
    return fields


def _check_lengths(
    records: Sequence[models.Record | models.ScoredPoint], field: str, *, candidates: bool = False
) -> None:
    """Check the lengths of points before they are read. Raises InvalidInput where they are too large for one answer."""
    with readable("qdrant"):
        lengths = [stored.length(_fields(record)) for record in records]
    check_lengths(lengths, field, candidates=candidates)


def _dense(record: models.Record | models.ScoredPoint, spec: IndexSpec) -> Sequence[float]:
    assert isinstance(record.vector, dict)
    numbers: Any = record.vector[stored.DENSE]
    if len(numbers) != spec.dimension:
        raise ValueError("a vector of another dimension")
    return numbers  # type: ignore[no-any-return]
