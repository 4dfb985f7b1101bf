"""PostgreSQL with the pgvector extension.

Every index has a table of its own, named after a hash of its location, so the table's name separates indexes before any
condition does, dropping one gives its space back at once, and no index pays for another's. One table for all would need
a partial HNSW index per index, each of which PostgreSQL weighs in every plan and every write. A registry says which
table is whose. Values and names from callers are bound parameters, all of them; what is written into a statement is
made here.
"""

import base64
import binascii
import hashlib
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import orjson

from core.bounded import BoundedDict
from core.errors import Conflict, InvalidInput, NotFound
from core.offload import in_turns
from services.vector.adapters import pgvector_codec
from services.vector.adapters.answers import checked, page_that_fits, readable
from services.vector.adapters.pgvector_codec import numbers_literal, register, texts_literal
from services.vector.adapters.pgvector_where import Where
from services.vector.adapters.postgres_server import PostgresServer, transaction
from services.vector.domain.filters import OPERATORS, Filter
from services.vector.domain.points import (
    MAX_METADATA_BYTES,
    IndexSpec,
    Match,
    Metric,
    Point,
    Vector,
    check_lengths,
    normalised,
)
from services.vector.domain.terms import derive
from services.vector.ports import EngineCapabilities, IndexLocation, PointPage, Query

CAPABILITIES = EngineCapabilities(tuple(Metric), OPERATORS, hybrid=False)

MAX_DIMENSION = 16_000
"""Most dimensions that the extension can keep."""

_MAX_HNSW_DIMENSION = 2_000
"""Beyond it the extension makes no HNSW index, and every vector is compared."""

_KNOWN = 10_000

_EXACT = "exact bytea"
"""Column of the caller's vector, encoded as pgvector does, where another is compared in its place (`normalised`)."""
_READ = "id, embedding, metadata, text, exact"
"""Columns of a point; the others are for filters."""
_EF = 200
_MAX_EF = 1_000
_SCANNED = 1_000_000
"""Points that a filtered search visits in the HNSW index before it takes what it has."""


@dataclass(frozen=True, slots=True)
class _Distance:
    operator: str
    operators: str
    sign: int = 1
    offset: int = 0

    def score(self, distance: float) -> float:
        return self.offset + self.sign * distance


_DISTANCES = {
    Metric.COSINE: _Distance("<=>", "vector_cosine_ops", sign=-1, offset=1),
    Metric.DOT: _Distance("<#>", "vector_ip_ops", sign=-1),  # the operator gives the negative, to sort by
    Metric.EUCLIDEAN: _Distance("<->", "vector_l2_ops"),
}


class PgvectorEngine:
    """Closes the server's connections with itself. `schema` is a name that needs no quoting."""

    capabilities = CAPABILITIES

    def __init__(self, server: PostgresServer, schema: str = "portico_vectors") -> None:
        server.prepare(self._prepare, register)
        self._server = server
        self._schema = schema
        self._version = (0, 0)
        self._specs: BoundedDict[IndexLocation, IndexSpec] = BoundedDict(_KNOWN)

    # Indexes

    async def create(self, location: IndexLocation, spec: IndexSpec) -> None:
        if spec.hybrid:
            raise InvalidInput("pgvector has no keyword search (BM25).", field="hybrid")
        if spec.dimension > MAX_DIMENSION:
            raise InvalidInput(f"dimension must be at most {MAX_DIMENSION} with pgvector.", field="dimension")
        async with self._server.operation() as connection, transaction(connection):
            new = await connection.fetchval(
                f'INSERT INTO "{self._schema}".indexes VALUES ($1, $2, $3, $4, $5, $6) '
                "ON CONFLICT DO NOTHING RETURNING true",
                *(*_key(location), _table_name(location), spec.dimension, spec.metric.value),
            )
            if new:
                for statement in self._table_statements(location, spec):
                    await connection.execute(statement)
            elif await self._registered(connection, location) != spec:
                raise Conflict("The index exists with another dimension or metric.")

    def _table_statements(self, location: IndexLocation, spec: IndexSpec) -> Sequence[str]:
        table = self._table(location)
        statements = [
            f'CREATE TABLE {table} (id text COLLATE "C" PRIMARY KEY, embedding vector({spec.dimension}) NOT NULL, '
            "metadata json NOT NULL, text text NOT NULL, terms bigint[] NOT NULL, numbers jsonb NOT NULL, "
            f"{_EXACT})",
            f"CREATE INDEX ON {table} USING gin (terms)",
        ]
        if spec.dimension <= _MAX_HNSW_DIMENSION and self._version >= (0, 5):
            statements.append(f"CREATE INDEX ON {table} USING hnsw (embedding {_DISTANCES[spec.metric].operators})")
        return statements

    async def drop(self, location: IndexLocation) -> None:
        self._specs.pop(location, None)
        async with self._server.operation() as connection, transaction(connection):
            await connection.execute(f"DROP TABLE IF EXISTS {self._table(location)}")
            await connection.execute(
                f'DELETE FROM "{self._schema}".indexes WHERE (tenant, project, index_id) = ($1, $2, $3)',
                *_key(location),
            )

    async def spec(self, location: IndexLocation) -> IndexSpec:
        async with self._at(location) as (connection, _):
            spec = await self._registered(connection, location)
        if spec is None:
            raise NotFound("There is no such index.")
        return spec

    async def _registered(self, connection: Any, location: IndexLocation) -> IndexSpec | None:
        row = await connection.fetchrow(
            f'SELECT dimension, metric FROM "{self._schema}".indexes WHERE (tenant, project, index_id) = ($1, $2, $3)',
            *_key(location),
        )
        with readable("pgvector"):
            return None if row is None else IndexSpec(row["dimension"], Metric(row["metric"]))

    # Points

    async def upsert(self, location: IndexLocation, points: Sequence[Point]) -> None:
        metric = (await self._known(location)).metric
        # In one order: no deadlocks.
        rows = await in_turns(lambda point: _row(point, metric), sorted(points, key=lambda point: point.id))
        async with self._at(location, len(points)) as (connection, table), transaction(connection):
            await connection.executemany(
                f"INSERT INTO {table} (id, embedding, metadata, text, terms, numbers, exact) "
                "VALUES ($1, $2, $3, $4, $5::text::bigint[], $6, $7) ON CONFLICT (id) DO UPDATE SET "
                "(embedding, metadata, text, terms, numbers, exact) = (excluded.embedding, excluded.metadata, "
                "excluded.text, excluded.terms, excluded.numbers, excluded.exact)",
                rows,
            )

    async def query(self, location: IndexLocation, query: Query) -> list[Match]:
        if query.keywords is not None:
            raise InvalidInput("pgvector has no keyword search (BM25).", field="text")
        metric = (await self._known(location)).metric
        distance = _DISTANCES[metric]
        where = Where([normalised(query.vector, metric), query.top_k])
        condition = where.of(query.filter)
        values = ", embedding, exact" if query.include_values else ""
        async with (
            self._at(location, query.top_k, reads=True) as (connection, table),
            transaction(connection, readonly=True),
        ):
            await self._tune(connection, query)
            rows = await connection.fetch(
                f"SELECT id, embedding {distance.operator} $1 AS distance, metadata, text{values} FROM {table} "
                f"WHERE {condition} ORDER BY embedding {distance.operator} $1 LIMIT $2",
                *where.arguments,
            )
        _check_lengths(rows, "topK")

        def match(row: Any) -> Match:
            values = _values(row) if query.include_values else None
            score = distance.score(row["distance"])
            return checked(Match(row["id"], score, _metadata(row), row["text"], values), row["metadata"])

        with readable("pgvector"):
            return await in_turns(match, rows)

    async def _tune(self, connection: Any, query: Query) -> None:
        """Tune a filtered search, as a filter thins out what the HNSW index gives. From 0.8 on the extension goes on
        until there is enough; before, such queries compare every vector that meets the filter."""
        settings = {"hnsw.ef_search": str(min(max(_EF, query.top_k), _MAX_EF))}
        if query.filter is not None:
            if self._version >= (0, 8):
                settings |= {"hnsw.iterative_scan": "strict_order", "hnsw.max_scan_tuples": str(_SCANNED)}
            else:
                settings |= {"enable_indexscan": "off"}
        for name, value in settings.items():
            await connection.execute("SELECT set_config($1, $2, true)", name, value)

    async def _known(self, location: IndexLocation) -> IndexSpec:
        known = self._specs.get(location)
        if known is None:
            known = self._specs[location] = await self.spec(location)
        return known

    async def fetch(self, location: IndexLocation, ids: Sequence[str]) -> list[Point]:
        async with self._at(location, len(ids), reads=True) as (connection, table):
            rows = await connection.fetch(
                f"SELECT {_READ} FROM {table} WHERE id = ANY($1::text::text[])",
                texts_literal(ids),
            )
        _check_lengths(rows, "ids")
        with readable("pgvector"):
            points = {point.id: point for point in await in_turns(_point, rows)}
        return [points[id] for id in ids if id in points]

    async def scroll(self, location: IndexLocation, after: str = "", limit: int = 256) -> PointPage:
        last, spec = _decoded(after), await self._known(location)
        return await page_that_fits(
            lambda size: self._page(location, last, size), limit, spec.dimension, self._server.max_answer_bytes
        )

    async def _page(self, location: IndexLocation, last: str, limit: int) -> PointPage:
        async with self._at(location, limit, reads=True) as (connection, table):
            rows = await connection.fetch(
                f"SELECT {_READ} FROM {table} WHERE id > $1 ORDER BY id LIMIT $2",
                *(last, limit),
            )
        more = len(rows) == limit
        with readable("pgvector"):
            return PointPage(await in_turns(_point, rows), _encoded(rows[-1]["id"]) if more else "")

    async def delete_ids(self, location: IndexLocation, ids: Sequence[str]) -> int:
        async with self._at(location) as (connection, table):
            done = await connection.execute(f"DELETE FROM {table} WHERE id = ANY($1::text::text[])", texts_literal(ids))
        return _affected(done)

    async def delete_filter(self, location: IndexLocation, filter: Filter) -> int:
        where = Where([])
        condition = where.of(filter)
        async with self._at(location) as (connection, table):
            done = await connection.execute(f"DELETE FROM {table} WHERE {condition}", *where.arguments)
        return _affected(done)

    async def count(self, location: IndexLocation, filter: Filter | None = None) -> int:
        where = Where([])
        condition = where.of(filter)
        async with self._at(location) as (connection, table):
            count: int = await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE {condition}",
                *where.arguments,
            )
        return count

    # The server

    async def check(self) -> None:
        async with self._server.operation() as connection:
            await connection.execute("SELECT 1")

    async def close(self) -> None:
        await self._server.close()

    def _table(self, location: IndexLocation) -> str:
        return f'"{self._schema}"."{_table_name(location)}"'

    @asynccontextmanager
    async def _at(
        self, location: IndexLocation, rows: int = 0, *, reads: bool = False
    ) -> AsyncIterator[tuple[Any, str]]:
        async with self._server.operation(rows=rows, reads=reads) as connection:
            try:
                yield connection, self._table(location)
            except asyncpg.UndefinedTableError:
                self._specs.pop(location, None)
                raise NotFound("There is no such index.") from None

    async def _prepare(self, connection: Any) -> None:
        """Schema, extension and registry, made once; two processes may try at a time."""
        async with transaction(connection):
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('portico_vectors'))")
            await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
            await connection.execute(
                f'CREATE TABLE IF NOT EXISTS "{self._schema}".indexes (tenant text, project text, index_id text, '
                '"table" text NOT NULL, dimension int NOT NULL, metric text NOT NULL, '
                "PRIMARY KEY (tenant, project, index_id))"
            )
            await connection.execute(self._add_column())
        version = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        with readable("pgvector"):
            major, minor, *_ = version.split(".")
            self._version = (int(major), int(minor))

    def _add_column(self) -> str:
        """Add the column to tables that were made before it. The server does it by itself: no answer names a table."""
        return (
            "DO $$DECLARE name text; BEGIN FOR name IN "
            f'SELECT "table" FROM "{self._schema}".indexes WHERE NOT EXISTS (SELECT FROM information_schema.columns '
            f"WHERE table_schema = '{self._schema}' AND table_name = \"table\" AND column_name = 'exact') "
            f"LOOP EXECUTE format('ALTER TABLE IF EXISTS \"{self._schema}\".%I ADD COLUMN {_EXACT}', name); "
            "END LOOP; END$$"
        )


def _key(location: IndexLocation) -> tuple[str, str, str]:
    return location.scope.tenant.slug, location.scope.id, location.index_id


def _table_name(location: IndexLocation) -> str:
    """The name of a location's table. No name holds a slash, so no two locations give the same text to hash."""
    return f"i_{hashlib.sha256('/'.join(_key(location)).encode()).hexdigest()[:40]}"


def _row(point: Point, metric: Metric) -> tuple[Any, ...]:
    derived = derive(point.metadata)
    compared = normalised(point.values, metric)
    return (
        point.id,
        compared,
        orjson.dumps(point.metadata).decode(),
        point.text,
        numbers_literal(derived.terms),
        orjson.dumps(derived.numbers).decode(),
        None if compared is point.values else pgvector_codec.encoded(point.values),
    )


def _point(row: Any) -> Point:
    return checked(Point(row["id"], _values(row), _metadata(row), row["text"]), row["metadata"])


def _values(row: Any) -> Vector:
    exact = row["exact"]
    return array("f", row["embedding"]) if exact is None else pgvector_codec.decoded(exact)


def _metadata(row: Any) -> Any:
    if len(row["metadata"]) > MAX_METADATA_BYTES:
        raise ValueError("metadata of such a length was not written here")
    return orjson.loads(row["metadata"])


def _check_lengths(rows: Sequence[Any], field: str) -> None:
    """Check the lengths of rows before they are read. Raises InvalidInput where they are too large for one answer."""
    with readable("pgvector"):
        lengths = [len(row["metadata"]) + len(row["text"]) for row in rows]
    check_lengths(lengths, field)


def _affected(status: str) -> int:
    with readable("pgvector"):
        return int(status.rsplit(" ", 1)[1])


def _encoded(id: str) -> str:
    return base64.urlsafe_b64encode(id.encode()).decode()


def _decoded(after: str) -> str:
    try:
        id = base64.b64decode(after, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        id = "\0"
    if "\0" in id:
        raise InvalidInput("pageToken must be the nextPageToken of a page of this list.", field="pageToken")
    return id
