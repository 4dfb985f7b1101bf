"""A Qdrant server or cluster, over gRPC.

Indexes of one dimension, metric and kind share a collection, as Qdrant advises for many tenants: thousands of small
indexes cost one collection. What keeps them apart is `_within`: every request on points names the place, in a filter
that is written there and nowhere else, and a point's id is made from the place as well. A further collection holds one
entry per index, so that an empty index and none are two things.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import grpc
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from core.errors import Conflict, InsufficientStorage, InvalidInput, NotFound, PorticoError, Unavailable, UpstreamFailed
from core.offload import in_turns
from services.vector.adapters import qdrant_payload as stored
from services.vector.adapters.bm25 import Bm25
from services.vector.adapters.compiled import compiled
from services.vector.domain.filters import OPERATORS, Filter, Order
from services.vector.domain.fusion import candidates, fuse_matches
from services.vector.domain.points import IndexSpec, Match, Metric, Point, check_lengths, normalised
from services.vector.ports import Capabilities, Page, Place, Query

CAPABILITIES = Capabilities(tuple(Metric), OPERATORS, hybrid=True)

_PLACE = "place"
_PIECE = 200
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
_RANGES = {Order.GT: "gt", Order.GTE: "gte", Order.LT: "lt", Order.LTE: "lte"}

_INDEXED: Mapping[str, Any] = {
    _PLACE: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    stored.TERMS: models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=True, range=False),
}

T = TypeVar("T")


class QdrantEngine:
    """`prefix` begins the names of the collections. Closes the client with itself."""

    capabilities = CAPABILITIES

    def __init__(self, client: AsyncQdrantClient, prefix: str = "portico") -> None:
        self._client = client
        self._prefix = prefix
        self._registry = f"{prefix}-indexes"
        self._specs: dict[Place, IndexSpec] = {}
        self._bm25 = Bm25()

    # Indexes

    async def create(self, place: Place, spec: IndexSpec) -> None:
        known = await self._registered(place)
        if known is not None:
            if known != spec:
                raise Conflict("the index is there with another dimension, metric or hybrid")
            return
        await self._make_collection(spec)
        await self._make_registry()
        entry = {
            _PLACE: _name(place), "dimension": spec.dimension, "metric": spec.metric.value, "hybrid": spec.hybrid
        }  # fmt: skip
        point = models.PointStruct(id=_registry_id(place), vector=[1.0], payload=entry)
        await self._do(lambda: self._client.upsert(self._registry, [point], wait=True))

    async def drop(self, place: Place) -> None:
        self._specs.pop(place, None)
        spec = await self._registered(place)
        if spec is None:
            return
        points = models.FilterSelector(filter=_within(place))
        await self._do(lambda: self._client.delete(self._collection(spec), points, wait=True))
        entry = models.PointIdsList(points=[_registry_id(place)])
        await self._do(lambda: self._client.delete(self._registry, entry, wait=True))
        self._specs.pop(place, None)

    async def spec(self, place: Place) -> IndexSpec:
        spec = self._specs.get(place) or await self._registered(place)
        if spec is None:
            raise NotFound("no such index")
        if len(self._specs) >= _KNOWN:
            self._specs.clear()
        self._specs[place] = spec
        return spec

    async def _still_there(self, place: Place) -> None:
        """Another process may have dropped what this one remembers; nothing found is the sign to look."""
        if await self._registered(place) is None:
            self._specs.pop(place, None)
            raise NotFound("no such index")

    async def _registered(self, place: Place) -> IndexSpec | None:
        try:
            entries = await self._do(lambda: self._client.retrieve(self._registry, [_registry_id(place)]))
        except NotFound:  # nobody has made an index yet
            return None
        if not entries:
            return None
        entry = _fields(entries[0])
        return IndexSpec(entry["dimension"], Metric(entry["metric"]), entry["hybrid"])

    async def _make_registry(self) -> None:
        vectors = models.VectorParams(size=1, distance=models.Distance.DOT)
        await self._make(self._registry, lambda: self._client.create_collection(self._registry, vectors))

    async def _make_collection(self, spec: IndexSpec) -> None:
        """A graph per place, none over all of them; the place's index is how the server keeps tenants together."""
        name = self._collection(spec)
        dense = models.VectorParams(size=spec.dimension, distance=_DISTANCES[spec.metric])
        sparse = {stored.WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)} if spec.hybrid else None
        graphs = models.HnswConfigDiff(m=0, payload_m=16)

        async def make() -> None:
            await self._client.create_collection(
                name, {stored.DENSE: dense}, sparse_vectors_config=sparse, hnsw_config=graphs
            )

        await self._make(name, make)
        for field, params in _INDEXED.items():
            await self._do(partial(self._client.create_payload_index, name, field, params, wait=True))

    async def _make(self, collection: str, make: Callable[[], Awaitable[object]]) -> None:
        if await self._do(lambda: self._client.collection_exists(collection)):
            return
        try:
            await self._do(make)
        except PorticoError:
            if not await self._do(lambda: self._client.collection_exists(collection)):  # or another was first
                raise

    def _collection(self, spec: IndexSpec) -> str:
        return f"{self._prefix}-{spec.dimension}-{spec.metric.value}{'-words' if spec.hybrid else ''}"

    # Points

    async def upsert(self, place: Place, points: Sequence[Point]) -> None:
        spec = await self.spec(place)
        for start in range(0, len(points), _PIECE):
            piece = await in_turns(partial(self._entry, place, spec), points[start : start + _PIECE])
            await self._do(partial(self._client.upsert, self._collection(spec), piece, wait=True))

    def _entry(self, place: Place, spec: IndexSpec, point: Point) -> models.PointStruct:
        dense, fields = stored.entry(point, spec)
        vectors: dict[str, Any] = {stored.DENSE: dense}
        if spec.hybrid and point.text:
            words = self._bm25.document(point.text)
            if words.indices:
                vectors[stored.WORDS] = models.SparseVector(indices=words.indices, values=words.values)
        payload = {_PLACE: _name(place), **fields}
        return models.PointStruct(id=stored.engine_id(point.id, _name(place)), vector=vectors, payload=payload)

    async def query(self, place: Place, query: Query) -> list[Match]:
        spec = await self.spec(place)
        vector = normalised(query.vector, spec.metric).tolist()
        if query.words is None:
            found = await self._nearest(place, spec, vector, stored.DENSE, query, query.top_k)
        elif not spec.hybrid:
            raise InvalidInput("this index does not rank by words: create it with hybrid", field="text")
        else:
            depth = candidates(query.top_k)
            dense = await self._nearest(place, spec, vector, stored.DENSE, query, depth)
            words = self._bm25.query(query.words.text)
            asked = models.SparseVector(indices=words.indices, values=words.values)
            sparse = await self._nearest(place, spec, asked, stored.WORDS, query, depth) if words.indices else []
            found = fuse_matches(dense, sparse, query.words)[: query.top_k]
        if not found:
            await self._still_there(place)
        return found

    async def _nearest(
        self, place: Place, spec: IndexSpec, vector: Any, name: str, query: Query, limit: int
    ) -> list[Match]:
        ef = max(_EF_FILTERED if query.filter else _EF, limit)
        # Words are weighed by how rare they are in this index; other tenants' texts have no part in it.
        idf: Any = {"corpus": _within(place)} if name == stored.WORDS else None
        response = await self._do(
            lambda: self._client.query_points(
                self._collection(spec),
                query=vector,
                using=name,
                query_filter=_within(place, query.filter),
                limit=limit,
                with_payload=[stored.POINT],
                with_vectors=[stored.DENSE] if query.include_values else False,
                search_params=models.SearchParams(hnsw_ef=ef, idf=idf),
            )
        )
        lengths = (stored.length(_fields(found)) for found in response.points)
        check_lengths(lengths, "topK", candidates=query.words is not None)
        return await in_turns(partial(_match, query), response.points)

    async def fetch(self, place: Place, ids: Sequence[str]) -> list[Point]:
        wanted = list(dict.fromkeys(ids))
        page = await self._page(place, _within(place, ids=wanted), len(wanted), check="ids")
        points = {point.id: point for point in page.points}
        if not points:
            await self._still_there(place)
        return [points[id] for id in ids if id in points]

    async def scroll(self, place: Place, after: str = "", limit: int = 256) -> Page:
        page = await self._page(place, _within(place), limit, stored.cursor(after))
        if not page.points:
            await self._still_there(place)
        return page

    async def _page(
        self, place: Place, within: models.Filter, limit: int, offset: str | None = None, *, check: str = ""
    ) -> Page:
        """`check`: the field that InvalidInput names where the points are too large for one answer."""
        collection = self._collection(await self.spec(place))
        records, following = await self._do(
            lambda: self._client.scroll(
                collection, within, limit=limit, offset=offset, with_payload=[stored.POINT], with_vectors=[stored.DENSE]
            )
        )
        if check:
            check_lengths((stored.length(_fields(record)) for record in records), check)
        points = await in_turns(_point, records)
        return Page(points, "" if following is None else str(following))

    async def delete_ids(self, place: Place, ids: Sequence[str]) -> int:
        gone = 0
        for start in range(0, len(ids), _PIECE):
            gone += await self._delete(place, _within(place, ids=ids[start : start + _PIECE]))
        return gone

    async def delete_filter(self, place: Place, filter: Filter) -> int:
        return await self._delete(place, _within(place, filter))

    async def _delete(self, place: Place, within: models.Filter) -> int:
        """The server does not say how many went, so they are counted first."""
        collection = self._collection(await self.spec(place))
        count = await self._count(place, within)
        if count:
            points = models.FilterSelector(filter=within)
            await self._do(lambda: self._client.delete(collection, points, wait=True))
        return count

    async def count(self, place: Place, filter: Filter | None = None) -> int:
        return await self._count(place, _within(place, filter))

    async def _count(self, place: Place, within: models.Filter) -> int:
        collection = self._collection(await self.spec(place))
        count = (await self._do(lambda: self._client.count(collection, within, exact=True))).count
        if not count:
            await self._still_there(place)
        return count

    # The server

    async def check(self) -> None:
        await self._do(self._client.get_collections)

    async def close(self) -> None:
        await self._client.close()

    async def _do(self, request: Callable[[], Awaitable[T]]) -> T:
        try:
            return await request()
        except (grpc.aio.AioRpcError, ApiException, ValueError, OSError) as error:
            raise _translated(error) from error


def _name(place: Place) -> str:
    return f"{place.scope.tenant.slug}/{place.scope.id}/{place.index_id}"


def _registry_id(place: Place) -> str:
    return stored.engine_id("", _name(place))


def _within(place: Place, filter: Filter | None = None, ids: Sequence[str] | None = None) -> models.Filter:
    """The points of this place, of them those that meet the filter and have one of the ids. What every request on
    points carries; nothing else in this module makes a filter for one."""
    must: list[Any] = [models.FieldCondition(key=_PLACE, match=models.MatchValue(value=_name(place)))]
    if filter is not None:
        must.append(compiled(filter, _Qdrant()))
    if ids is not None:
        must.append(models.HasIdCondition(has_id=[stored.engine_id(id, _name(place)) for id in ids]))
    return models.Filter(must=must)


_Condition = models.FieldCondition | models.Filter


class _Qdrant:
    """Conditions of a Qdrant server."""

    def term(self, terms: Sequence[int]) -> _Condition:
        return models.FieldCondition(key=stored.TERMS, match=models.MatchAny(any=list(terms)))

    def number(self, path: str, order: Order, value: float) -> _Condition:
        return models.FieldCondition(key=stored.number_key(path), range=models.Range(**{_RANGES[order]: value}))

    def every(self, of: Sequence[_Condition]) -> _Condition:
        return models.Filter(must=list(of))

    def some(self, of: Sequence[_Condition]) -> _Condition:
        return models.Filter(should=list(of))

    def none(self, of: _Condition) -> _Condition:
        return models.Filter(must_not=[of])


def _match(query: Query, found: models.ScoredPoint) -> Match:
    return stored.to_match(_fields(found), found.score, _dense(found) if query.include_values else None)


def _point(record: models.Record) -> Point:
    return stored.to_point(_fields(record), _dense(record))


def _fields(record: models.Record | models.ScoredPoint) -> Mapping[str, Any]:
    assert record.payload is not None
    return record.payload


def _dense(record: models.Record | models.ScoredPoint) -> Sequence[float]:
    assert isinstance(record.vector, dict)
    return record.vector[stored.DENSE]  # type: ignore[return-value]


def _not_qdrant() -> PorticoError:
    return UpstreamFailed("what answers at settings.url does not speak Qdrant's gRPC; its gRPC port is mostly 6334")


_REFUSALS: Mapping[grpc.StatusCode, Callable[[], PorticoError]] = {
    grpc.StatusCode.NOT_FOUND: lambda: NotFound("no such index"),
    grpc.StatusCode.UNAUTHENTICATED: lambda: UpstreamFailed("the Qdrant server refuses the API key"),
    grpc.StatusCode.PERMISSION_DENIED: lambda: UpstreamFailed("the Qdrant server refuses the API key"),
    grpc.StatusCode.INVALID_ARGUMENT: lambda: UpstreamFailed("the Qdrant server refuses the request"),
    grpc.StatusCode.UNIMPLEMENTED: _not_qdrant,
}
_STATUSES = {404: grpc.StatusCode.NOT_FOUND, 401: grpc.StatusCode.UNAUTHENTICATED,
             403: grpc.StatusCode.PERMISSION_DENIED, 400: grpc.StatusCode.INVALID_ARGUMENT}  # fmt: skip


def _translated(error: Exception) -> PorticoError:
    """What the server says is for its owner, not for the caller: it goes to the log as the cause."""
    text = str(error).lower()
    if "no space left" in text or "disk is full" in text or "out of disk" in text:
        return InsufficientStorage("the disk of the Qdrant server is full")
    if isinstance(error, ValueError) and "not found" in text:  # as local mode says it
        return NotFound("no such index")
    if "failed parsing http/2" in text:  # as gRPC says of a server that answers in HTTP/1.1
        return _not_qdrant()
    code = None
    if isinstance(error, grpc.aio.AioRpcError):
        code = error.code()
    elif isinstance(error, UnexpectedResponse):
        code = _STATUSES.get(error.status_code or 0)
    elif isinstance(error, ValueError) and not isinstance(error, ResponseHandlingException):
        code = grpc.StatusCode.INVALID_ARGUMENT
    refusal = None if code is None else _REFUSALS.get(code)
    return Unavailable("the Qdrant server cannot be reached now", retry_after=1.0) if refusal is None else refusal()
