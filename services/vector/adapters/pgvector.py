"""PostgreSQL with the pgvector extension.

Every index has a table of its own, named after a hash of its place: the place is in the table's name before any
condition is, dropping an index gives its space back at once, and no index pays for another's. One table for all would
need a partial graph per index, each of which PostgreSQL weighs in every plan and every write. A registry says which
table is whose. Values and names from callers are bound parameters, all of them; what is written into a statement is
made here.
"""

import asyncio
import base64
import binascii
import hashlib
import re
from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import asyncpg  # type: ignore[import-untyped]
import orjson

from core import logs
from core.errors import Conflict, InsufficientStorage, InvalidInput, NotFound, PorticoError, Unavailable, UpstreamFailed
from core.offload import in_turns
from services.vector.adapters import pgvector_codec
from services.vector.adapters.compiled import compiled
from services.vector.domain.filters import OPERATORS, Filter, Order
from services.vector.domain.points import IndexSpec, Match, Metric, Point, Vector, check_lengths, normalised
from services.vector.domain.terms import derive
from services.vector.ports import Capabilities, Page, Place, Query

CAPABILITIES = Capabilities(tuple(Metric), OPERATORS, hybrid=False)

MAX_DIMENSION = 16_000
"""What the extension can keep."""

_MAX_GRAPH_DIMENSION = 2_000
"""Beyond it the extension makes no graph, and every vector is compared."""

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_KNOWN = 10_000
_CONNECTIONS = 8
_SECONDS = 30.0
"""For which a statement may run."""

_EXACT = "exact bytea"
"""Column of the caller's vector, encoded as pgvector does, where another is compared in its place (`normalised`)."""

_EF = 200
_MAX_EF = 1_000
_SCANNED = 1_000_000
"""Points that a filtered search looks at in the graph before it takes what it has."""

log = logs.get(__name__)


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
    """`connection` is what asyncpg's `connect` takes. Connects with the first call; keeps at most 8 connections."""

    capabilities = CAPABILITIES

    def __init__(self, connection: Mapping[str, Any], schema: str = "portico_vectors") -> None:
        """Raises InvalidInput for a schema's name that would need quoting."""
        if not _SCHEMA.fullmatch(schema):
            raise InvalidInput("schema is a letter a-z, then letters, digits or _, at most 63", field="settings.schema")
        self._connection = dict(connection)
        self._schema = schema
        self._pool: asyncpg.Pool[Any] | None = None
        self._opening = asyncio.Lock()
        self._version = (0, 0)
        self._specs: dict[Place, IndexSpec] = {}

    # Indexes

    async def create(self, place: Place, spec: IndexSpec) -> None:
        if spec.hybrid:
            raise InvalidInput("pgvector does not rank by words (BM25)", field="hybrid")
        if spec.dimension > MAX_DIMENSION:
            raise InvalidInput(f"pgvector keeps at most {MAX_DIMENSION} dimensions", field="dimension")
        async with self._connected() as connection, connection.transaction():
            new = await connection.fetchval(
                f'INSERT INTO "{self._schema}".indexes VALUES ($1, $2, $3, $4, $5, $6) '  # noqa: S608
                "ON CONFLICT DO NOTHING RETURNING true",
                *(*_key(place), _table_name(place), spec.dimension, spec.metric.value),
            )
            if new:
                for statement in self._table_statements(place, spec):
                    await connection.execute(statement)
            elif await self._registered(connection, place) != spec:
                raise Conflict("the index is there with another dimension or metric")

    def _table_statements(self, place: Place, spec: IndexSpec) -> Sequence[str]:
        table = self._table(place)
        statements = [
            f'CREATE TABLE {table} (id text COLLATE "C" PRIMARY KEY, embedding vector({spec.dimension}) NOT NULL, '
            "metadata json NOT NULL, text text NOT NULL, terms bigint[] NOT NULL, numbers jsonb NOT NULL, "
            f"{_EXACT})",
            f"CREATE INDEX ON {table} USING gin (terms)",
        ]
        if spec.dimension <= _MAX_GRAPH_DIMENSION and self._version >= (0, 5):
            statements.append(f"CREATE INDEX ON {table} USING hnsw (embedding {_DISTANCES[spec.metric].operators})")
        return statements

    async def drop(self, place: Place) -> None:
        self._specs.pop(place, None)
        async with self._connected() as connection, connection.transaction():
            await connection.execute(f"DROP TABLE IF EXISTS {self._table(place)}")
            await connection.execute(
                f'DELETE FROM "{self._schema}".indexes WHERE (tenant, project, index_id) = ($1, $2, $3)',  # noqa: S608
                *_key(place),
            )

    async def spec(self, place: Place) -> IndexSpec:
        async with self._at(place) as (connection, _):
            spec = await self._registered(connection, place)
        if spec is None:
            raise NotFound("no such index")
        return spec

    async def _registered(self, connection: Any, place: Place) -> IndexSpec | None:
        row = await connection.fetchrow(
            f'SELECT dimension, metric FROM "{self._schema}".indexes '  # noqa: S608
            "WHERE (tenant, project, index_id) = ($1, $2, $3)",
            *_key(place),
        )
        return None if row is None else IndexSpec(row["dimension"], Metric(row["metric"]))

    # Points

    async def upsert(self, place: Place, points: Sequence[Point]) -> None:
        metric = await self._metric(place)
        # In one order: no deadlocks.
        rows = await in_turns(lambda point: _row(point, metric), sorted(points, key=lambda point: point.id))
        async with self._at(place) as (connection, table), connection.transaction():
            await connection.executemany(
                f"INSERT INTO {table} (id, embedding, metadata, text, terms, numbers, exact) "  # noqa: S608
                "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET "
                "(embedding, metadata, text, terms, numbers, exact) = (excluded.embedding, excluded.metadata, "
                "excluded.text, excluded.terms, excluded.numbers, excluded.exact)",
                rows,
            )

    async def query(self, place: Place, query: Query) -> list[Match]:
        if query.words is not None:
            raise InvalidInput("pgvector does not rank by words (BM25)", field="text")
        metric = await self._metric(place)
        distance = _DISTANCES[metric]
        where = _Where([normalised(query.vector, metric), query.top_k])
        condition = where.of(query.filter)
        values = ", embedding, exact" if query.include_values else ""
        async with self._at(place) as (connection, table), connection.transaction(readonly=True):
            await self._tune(connection, query)
            rows = await connection.fetch(
                f"SELECT id, embedding {distance.operator} $1 AS distance, metadata, text{values} FROM {table} "  # noqa: S608
                f"WHERE {condition} ORDER BY embedding {distance.operator} $1 LIMIT $2",
                *where.arguments,
            )
        check_lengths(map(_length, rows), "topK")

        def match(row: Any) -> Match:
            values = _values(row) if query.include_values else None
            score = distance.score(row["distance"])
            return Match(row["id"], score, orjson.loads(row["metadata"]), row["text"], values)

        return await in_turns(match, rows)

    async def _tune(self, connection: Any, query: Query) -> None:
        """A filter thins out what the graph gives. From 0.8 on the extension goes on until there is enough; before,
        such queries compare every vector that meets the filter."""
        settings = {"hnsw.ef_search": str(min(max(_EF, query.top_k), _MAX_EF))}
        if query.filter is not None:
            if self._version >= (0, 8):
                settings |= {"hnsw.iterative_scan": "strict_order", "hnsw.max_scan_tuples": str(_SCANNED)}
            else:
                settings |= {"enable_indexscan": "off"}
        for name, value in settings.items():
            await connection.execute("SELECT set_config($1, $2, true)", name, value)

    async def _metric(self, place: Place) -> Metric:
        known = self._specs.get(place)
        if known is None:
            known = await self.spec(place)
            if len(self._specs) >= _KNOWN:
                self._specs.clear()
            self._specs[place] = known
        return known.metric

    async def fetch(self, place: Place, ids: Sequence[str]) -> list[Point]:
        async with self._at(place) as (connection, table):
            rows = await connection.fetch(f"SELECT * FROM {table} WHERE id = ANY($1::text[])", list(ids))  # noqa: S608
        check_lengths(map(_length, rows), "ids")
        points = {point.id: point for point in await in_turns(_point, rows)}
        return [points[id] for id in ids if id in points]

    async def scroll(self, place: Place, after: str = "", limit: int = 256) -> Page:
        last = _decoded(after)
        async with self._at(place) as (connection, table):
            rows = await connection.fetch(
                f"SELECT * FROM {table} WHERE id > $1 ORDER BY id LIMIT $2",  # noqa: S608
                *(last, limit),
            )
        more = len(rows) == limit
        return Page(await in_turns(_point, rows), _encoded(rows[-1]["id"]) if more else "")

    async def delete_ids(self, place: Place, ids: Sequence[str]) -> int:
        async with self._at(place) as (connection, table):
            done = await connection.execute(f"DELETE FROM {table} WHERE id = ANY($1::text[])", list(ids))  # noqa: S608
        return _affected(done)

    async def delete_filter(self, place: Place, filter: Filter) -> int:
        where = _Where([])
        condition = where.of(filter)
        async with self._at(place) as (connection, table):
            done = await connection.execute(f"DELETE FROM {table} WHERE {condition}", *where.arguments)  # noqa: S608
        return _affected(done)

    async def count(self, place: Place, filter: Filter | None = None) -> int:
        where = _Where([])
        condition = where.of(filter)
        async with self._at(place) as (connection, table):
            count: int = await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE {condition}",  # noqa: S608
                *where.arguments,
            )
        return count

    # The server

    async def check(self) -> None:
        async with self._connected() as connection:
            await connection.execute("SELECT 1")

    async def close(self) -> None:
        async with self._opening:
            pool, self._pool = self._pool, None
            if pool is not None:
                await pool.close()

    def _table(self, place: Place) -> str:
        return f'"{self._schema}"."{_table_name(place)}"'

    @asynccontextmanager
    async def _at(self, place: Place) -> AsyncIterator[tuple[Any, str]]:
        async with self._connected() as connection:
            try:
                yield connection, self._table(place)
            except asyncpg.UndefinedTableError:
                self._specs.pop(place, None)
                raise NotFound("no such index") from None

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        try:
            pool = self._pool or await self._open()
            async with pool.acquire(timeout=_SECONDS) as connection:
                yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            _refuse(error)

    async def _open(self) -> "asyncpg.Pool[Any]":
        async with self._opening:
            if self._pool is None:
                await self._prepare()
                self._pool = await asyncpg.create_pool(
                    **self._connection,
                    min_size=0,
                    max_size=_CONNECTIONS,
                    command_timeout=_SECONDS,
                    init=pgvector_codec.register,
                )
            return self._pool

    async def _prepare(self) -> None:
        """Schema, extension and registry, made once; two processes may try at a time."""
        connection = await asyncpg.connect(**self._connection, timeout=_SECONDS)
        try:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext('portico_vectors'))")
                await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
                await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
                await connection.execute(
                    f'CREATE TABLE IF NOT EXISTS "{self._schema}".indexes (tenant text, project text, index_id text, '
                    '"table" text NOT NULL, dimension int NOT NULL, metric text NOT NULL, '
                    "PRIMARY KEY (tenant, project, index_id))"
                )
                await self._add_columns(connection)
            version = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
            major, minor, *_ = version.split(".")
            self._version = (int(major), int(minor))
        finally:
            await connection.close()

    async def _add_columns(self, connection: Any) -> None:
        """To tables that were made before the column was."""
        tables = await connection.fetch(
            f'SELECT "table" FROM "{self._schema}".indexes WHERE NOT EXISTS (SELECT FROM information_schema.columns '  # noqa: S608
            "WHERE table_schema = $1 AND table_name = \"table\" AND column_name = 'exact')",
            self._schema,
        )
        for row in tables:
            await connection.execute(f'ALTER TABLE IF EXISTS "{self._schema}"."{row["table"]}" ADD COLUMN {_EXACT}')


def _key(place: Place) -> tuple[str, str, str]:
    return place.scope.tenant.slug, place.scope.id, place.index_id


def _table_name(place: Place) -> str:
    """No name holds a slash, so no two places give the same text to hash."""
    return f"i_{hashlib.sha256('/'.join(_key(place)).encode()).hexdigest()[:40]}"


def _row(point: Point, metric: Metric) -> tuple[Any, ...]:
    derived = derive(point.metadata)
    compared = normalised(point.values, metric)
    return (
        point.id,
        compared,
        orjson.dumps(point.metadata).decode(),
        point.text,
        derived.terms,
        orjson.dumps(derived.numbers).decode(),
        None if compared is point.values else pgvector_codec.encoded(point.values),
    )


def _point(row: Any) -> Point:
    return Point(row["id"], _values(row), orjson.loads(row["metadata"]), row["text"])


def _values(row: Any) -> Vector:
    exact = row["exact"]
    return array("f", row["embedding"]) if exact is None else pgvector_codec.decoded(exact)


def _length(row: Any) -> int:
    return len(row["metadata"]) + len(row["text"])


def _affected(status: str) -> int:
    return int(status.rsplit(" ", 1)[1])


def _encoded(id: str) -> str:
    return base64.urlsafe_b64encode(id.encode()).decode()


def _decoded(after: str) -> str:
    try:
        id = base64.b64decode(after, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        id = "\0"
    if "\0" in id:
        raise InvalidInput("this page token was not made here", field="pageToken")
    return id


class _Where:
    """A condition with its arguments; the given ones are $1, $2 and so on."""

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.arguments = list(arguments)

    def of(self, filter: Filter | None) -> str:
        return "true" if filter is None else compiled(filter, self)

    def _bound(self, value: Any) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def term(self, terms: Sequence[int]) -> str:
        return f"terms && {self._bound(list(terms))}::bigint[]"

    def number(self, path: str, order: Order, value: float) -> str:
        field, operand = self._bound(path), self._bound(value)
        return (
            f"EXISTS (SELECT FROM jsonb_array_elements(numbers -> {field}::text) AS n "
            f"WHERE n::float8 {_SIGNS[order]} {operand}::float8)"
        )

    def every(self, of: Sequence[str]) -> str:
        return f"({' AND '.join(of)})" if of else "true"

    def some(self, of: Sequence[str]) -> str:
        return f"({' OR '.join(of)})"

    def none(self, of: str) -> str:
        return f"NOT ({of})"


_SIGNS = {Order.GT: ">", Order.GTE: ">=", Order.LT: "<", Order.LTE: "<="}

_MEANINGS: Sequence[tuple[type[Exception], type[PorticoError], str]] = (
    (asyncpg.DiskFullError, InsufficientStorage, "the disk of the PostgreSQL server is full"),
    (asyncpg.InvalidAuthorizationSpecificationError, UpstreamFailed, "the PostgreSQL server refuses user or password"),
    (asyncpg.InvalidCatalogNameError, UpstreamFailed, "the PostgreSQL server has no such database"),
    (asyncpg.InsufficientPrivilegeError, UpstreamFailed, "the PostgreSQL user may not do this: it needs to create "
        "a schema, tables and, once, the extension vector"),
    (asyncpg.FeatureNotSupportedError, UpstreamFailed, "the PostgreSQL server does not have the extension vector"),
    (asyncpg.UndefinedFileError, UpstreamFailed, "the PostgreSQL server does not have the extension vector"),
    (asyncpg.PostgresConnectionError, Unavailable, "the PostgreSQL server cannot be reached now"),
    (asyncpg.OperatorInterventionError, Unavailable, "the PostgreSQL server is stopping"),
    (asyncpg.InsufficientResourcesError, Unavailable, "the PostgreSQL server has no connection to spare"),
    (asyncpg.PostgresError, UpstreamFailed, "the PostgreSQL server could not do this"),
)  # fmt: skip


def _refuse(error: Exception) -> NoReturn:
    """What the server says is for the log: it may name hosts and users."""
    log.warning("pgvector failed", error=repr(error))
    for kind, meaning, message in _MEANINGS:
        if isinstance(error, kind):
            raise meaning(message) from error
    raise Unavailable("the PostgreSQL server cannot be reached now", retry_after=1.0) from error
