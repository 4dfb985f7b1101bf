"""One index, open: the engine's shard, and what we keep beside it. Synchronous; only an engine worker calls it."""

import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import qdrant_edge as edge

from core.errors import InvalidInput, NotFound
from services.vector.adapters import qdrant_payload as stored
from services.vector.adapters.bm25 import Bm25
from services.vector.adapters.compiled import compiled
from services.vector.adapters.embedded.layout import IndexFile, read_index, read_tuning, write_index
from services.vector.adapters.embedded.tuning import params
from services.vector.domain.filters import Comparison, Filter
from services.vector.domain.fusion import candidates, fuse_matches
from services.vector.domain.points import IndexSpec, Match, Metric, Point, Vector, check_lengths, normalised
from services.vector.ports import PointPage, Query

MAX_NUMBER_FIELDS = 32
"""Fields of numbers that get an index; a range over a further one is answered all the same, only more slowly."""

FLUSH_EVERY = 10_000
"""Points written between flushes: bounds how much log is read again when the index is opened after a crash."""

INDEXING_KB = 10_000
"""Vectors of this size are worth an HNSW index; below, comparing with each is as fast."""

_MAPPED = edge.Memory.Cached
"""Indexes of fields are mapped files, and as fast. Otherwise they are built anew in memory when an index is opened: for
100,000 points 0.15 s of 0.27 s, in which the worker answers nobody."""

_DISTANCES = {
    Metric.COSINE: edge.Distance.Cosine,
    Metric.DOT: edge.Distance.Dot,
    Metric.EUCLIDEAN: edge.Distance.Euclid,
}
_POINT = [stored.POINT]
"""The one field of the payload that is read back."""

_RANGES = {Comparison.GT: "gt", Comparison.GTE: "gte", Comparison.LT: "lt", Comparison.LTE: "lte"}


def create(folder: Path, spec: IndexSpec) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted creation left
    generation = uuid.uuid4().hex
    (folder / generation).mkdir(parents=True)
    sparse = {stored.KEYWORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)} if spec.hybrid else None
    config = edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(spec.dimension, _DISTANCES[spec.metric]),
        sparse_vectors=sparse,
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=INDEXING_KB),
        max_search_threads=1,
    )
    engine = edge.EdgeShard.create(str(folder / generation), config)
    try:
        engine.update(
            edge.UpdateOperation.create_field_index(
                stored.TERMS,
                edge.IntegerIndexParams(lookup=True, range=False, enable_hnsw=False, memory=_MAPPED),
            )
        )
    finally:
        engine.close()
    write_index(folder, IndexFile(generation, **asdict(spec)))


def drop(folder: Path) -> None:
    (folder / "index.json").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_others(folder: Path, generation: str) -> None:
    """Remove what an interrupted rebuild has left."""
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != generation:
            shutil.rmtree(entry, ignore_errors=True)


class Shard:
    """An open index. Raises NotFound where there is none."""

    def __init__(self, folder: Path, generation: str = "") -> None:
        """`generation`: the one that a rebuild has made; otherwise the one that counts, and others are removed."""
        index = read_index(folder)
        if index is None:
            raise NotFound("There is no such index.")
        if generation:
            index = msgspec.structs.replace(index, generation=generation)
        else:
            _remove_others(folder, index.generation)
        self.index = index
        self.spec = index.spec
        self._engine = edge.EdgeShard.load(str(folder / index.generation))
        self._tuning = read_tuning(folder / index.generation)
        info = self._engine.info()
        self._number_fields = {key.strip('"') for key in info.payload_schema} - {stored.TERMS}
        self._unflushed = 0
        self._bm25 = Bm25()
        self.unindexed = max(0, info.points_count - info.indexed_vectors_count)
        self.touched: dict[str, None] | None = None
        """Ids written while a rebuild goes on; None when none does."""

    @property
    def stale_bytes(self) -> int:
        """Size of the vectors that are not in the HNSW index. A point that is written twice since then counts twice,
        but there are never more than there are points."""
        return min(self.unindexed, self._engine.info().points_count) * self.spec.dimension * 4

    def close(self) -> None:
        self._engine.close()

    def flush(self) -> None:
        self._engine.flush()
        self._unflushed = 0

    def upsert(self, points: Sequence[Point]) -> None:
        entries = [self._entry(point) for point in points]
        self._engine.update(edge.UpdateOperation.upsert_points(entries))
        self._wrote([point.id for point in points])

    def _entry(self, point: Point) -> edge.Point:
        dense, fields = stored.entry(point, self.spec)
        self._index_numbers(fields)
        return edge.Point(stored.engine_id(point.id), self._vectors(point, dense), fields)

    def _vectors(self, point: Point, dense: list[float]) -> Any:
        """The dense vector has no name, which is converted in half the time."""
        if self.spec.hybrid and point.text:
            keywords = self._bm25.document(point.text)
            if keywords.indices:
                return {"": dense, stored.KEYWORDS: keywords}
        return dense

    def _index_numbers(self, fields: Iterable[str]) -> None:
        """A field gets its index with its first number, while that costs nothing."""
        for name in fields:
            if not name.startswith(stored.NUMBER) or name in self._number_fields:
                continue
            if len(self._number_fields) < MAX_NUMBER_FIELDS:
                key = stored.number_key(name.removeprefix(stored.NUMBER))
                index = edge.FloatIndexParams(enable_hnsw=False, memory=_MAPPED)
                self._engine.update(edge.UpdateOperation.create_field_index(key, index))
                self._number_fields.add(name)

    def delete(self, ids: Sequence[str]) -> int:
        known = self._engine.retrieve([stored.engine_id(id) for id in ids], False, False)
        if known:
            self._engine.update(edge.UpdateOperation.delete_points([record.id for record in known]))
            self._wrote(ids)
        return len(known)

    def _wrote(self, ids: Sequence[str]) -> None:
        self.unindexed += len(ids)
        if self.touched is not None:
            self.touched.update(dict.fromkeys(ids))
        self._unflushed += len(ids)
        if self._unflushed >= FLUSH_EVERY:
            self.flush()

    def ids(self, filter: Filter, limit: int) -> list[str]:
        """Ids of some points that meet the filter."""
        request = edge.ScrollRequest(limit=limit, filter=_filter(filter), with_payload=_POINT, with_vector=False)
        return [stored.to_id(_fields(record)) for record in self._engine.scroll(request)[0]]

    def count(self, filter: Filter | None) -> int:
        return self._engine.count(edge.CountRequest(exact=True, filter=_filter(filter)))

    def fetch(self, ids: Sequence[str]) -> list[Point]:
        """Points by id. Raises InvalidInput where they are too large for one answer."""
        records = self._retrieve(ids)
        check_lengths((stored.length(_fields(record)) for record in records), "ids")
        return _in_order(ids, records)

    def points(self, ids: Sequence[str]) -> list[Point]:
        """Fetch as `fetch`, however large they are."""
        return _in_order(ids, self._retrieve(ids))

    def _retrieve(self, ids: Sequence[str]) -> list[edge.Record]:
        return self._engine.retrieve([stored.engine_id(id) for id in dict.fromkeys(ids)], _POINT, True)

    def scroll(self, after: str, limit: int) -> PointPage:
        request = edge.ScrollRequest(offset=stored.cursor(after), limit=limit, with_payload=_POINT, with_vector=True)
        records, following = self._engine.scroll(request)
        return PointPage([_point(record) for record in records], "" if following is None else str(following))

    def query(self, query: Query) -> list[Match]:
        asked = normalised(query.vector, self.spec.metric).tolist()
        if query.keywords is None:
            return self._nearest(asked, None, query, query.top_k)
        if not self.spec.hybrid:
            raise InvalidInput("This index has no keyword search. Create it with hybrid.", field="text")
        depth = candidates(query.top_k)
        dense = self._nearest(asked, None, query, depth)
        keywords = self._bm25.query(query.keywords.text)
        sparse = self._nearest(keywords, stored.KEYWORDS, query, depth) if keywords.indices else []
        return fuse_matches(dense, sparse, query.keywords)[: query.top_k]

    def _nearest(self, vector: Any, using: str | None, query: Query, limit: int) -> list[Match]:
        request = edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(vector, using=using),
            filter=_filter(query.filter),
            with_payload=_POINT,
            with_vector=query.include_values,
            params=params(self._tuning, query.filter is not None, limit),
        )
        answer = self._engine.query(request)
        check_lengths(
            (stored.length(_fields(found)) for found in answer), "topK", candidates=query.keywords is not None
        )
        return [
            stored.to_match(_fields(found), found.score, _dense(found) if query.include_values else None)
            for found in answer
        ]


def _fields(record: edge.Record | edge.ScoredPoint) -> dict[str, Any]:
    assert record.payload is not None
    return record.payload


def _dense(record: edge.Record | edge.ScoredPoint) -> Vector:
    vector: Any = record.vector
    return vector[""] if isinstance(vector, dict) else vector  # type: ignore[no-any-return]


def _point(record: edge.Record) -> Point:
    return stored.to_point(_fields(record), _dense(record))


def _in_order(ids: Sequence[str], records: Sequence[edge.Record]) -> list[Point]:
    points = {point.id: point for point in map(_point, records)}
    return [points[id] for id in ids if id in points]


def _filter(filter: Filter | None) -> edge.Filter | None:
    if filter is None:
        return None
    condition = compiled(filter, _Edge())
    return condition if isinstance(condition, edge.Filter) else edge.Filter(must=[condition])


_Condition = edge.FieldCondition | edge.Filter


class _Edge:
    """Conditions of the embedded engine."""

    def term(self, terms: Sequence[int]) -> _Condition:
        return edge.FieldCondition(stored.TERMS, match=edge.MatchAny(list(terms)))

    def number(self, path: str, order: Comparison, value: float) -> _Condition:
        return edge.FieldCondition(stored.number_key(path), range=edge.RangeFloat(**{_RANGES[order]: value}))

    def every(self, of: Sequence[_Condition]) -> _Condition:
        return edge.Filter(must=list(of))

    def some(self, of: Sequence[_Condition]) -> _Condition:
        return edge.Filter(should=list(of))

    def none(self, of: _Condition) -> _Condition:
        return edge.Filter(must_not=[of])
