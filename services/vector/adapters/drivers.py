"""The drivers of vector providers, with the fields of each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit

from core.errors import InvalidInput
from core.http.guard import OutboundGuard
from core.http.origin import Origin
from core.providers.drivers import Field, Host, Values, whole_number
from services.vector.adapters.postgres_target import PostgresTarget, TlsMode
from services.vector.domain.filters import OPERATORS
from services.vector.domain.points import Metric
from services.vector.ports import EngineCapabilities, VectorDriver, VectorEngine

_QDRANT_PORT = 6334
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class RemoteAccess:
    """Bounds on calls to remote engines: which addresses may be, and how long an answer may be."""

    guard: OutboundGuard
    max_answer_bytes: int


def _check_url(path: str, value: str) -> None:
    try:
        _qdrant_origin(value)
    except InvalidInput:
        raise InvalidInput(
            f"{path} is http or https, a host and, if not {_QDRANT_PORT}, its gRPC port.", field=path
        ) from None


def _qdrant_origin(url: str) -> Origin:
    origin = Origin.parse(url)
    if origin.path:
        raise InvalidInput("gRPC has no paths.")
    return origin if urlsplit(url).port else replace(origin, port=_QDRANT_PORT)


def _check_prefix(path: str, value: str) -> None:
    if not _PREFIX.fullmatch(value):
        raise InvalidInput(f"{path} is 1 to 64 letters, digits, - and _.", field=path)


def _check_schema(path: str, value: str) -> None:
    """Refuse schema names that would need quoting."""
    if not _SCHEMA.fullmatch(value):
        raise InvalidInput(f"{path} is a letter a-z, then letters, digits or _, at most 63.", field=path)


def _check_connection_string(path: str, value: str) -> None:
    PostgresTarget.of({"connectionString": value}, {})


def _check_ssl(path: str, value: str) -> None:
    TlsMode.parse(value, path)


_QDRANT_FIELDS = (
    Field(
        "url",
        "URL",
        f"http or https, host and gRPC port of the server ({_QDRANT_PORT} if none is named).",
        required=True,
        check=_check_url,
        destination=True,
    ),
    Field("apiKey", "API key", "Where the server wants one.", secret=True),
    Field(
        "collectionPrefix",
        "Collection prefix",
        "How the names of our collections begin; portico.",
        check=_check_prefix,
    ),
)
_PGVECTOR_FIELDS = (
    Field(
        "connectionString",
        "Connection string",
        "postgresql://user:password@host:port/database; or the five fields below.",
        secret=True,
        check=_check_connection_string,
        unicode=True,
        destination=True,
    ),
    Field("host", "Host", "Name or address of the server.", destination=True),
    Field("port", "Port", "Its port; 5432.", check=whole_number(1, 65535), destination=True),
    Field("database", "Database", "Its database.", unicode=True),
    Field("user", "User", "Who may create a schema and tables.", unicode=True),
    Field("password", "Password", "The user's.", secret=True, unicode=True),
    Field("ssl", "TLS", f"{', '.join(TlsMode)}; default: prefer.", check=_check_ssl, destination=True),
    Field(
        "schema", "Schema", "Where our tables lie; portico_vectors. It is made if it is not there.", check=_check_schema
    ),
)


def drivers(embedded: VectorEngine, access: RemoteAccess) -> Mapping[str, VectorDriver]:
    """The drivers by id. Every provider on the driver `embedded` is served by the one engine."""
    everything = EngineCapabilities(tuple(Metric), OPERATORS, hybrid=True)
    dense_only = EngineCapabilities(tuple(Metric), OPERATORS, hybrid=False)
    known = (
        VectorDriver(
            "embedded",
            "Embedded",
            "Qdrant's engine in the gateway itself; nothing to set up.",
            (),
            everything,
            lambda credentials, settings: embedded,
        ),
        VectorDriver(
            "qdrant",
            "Qdrant",
            "A Qdrant server or cluster, over gRPC.",
            _QDRANT_FIELDS,
            everything,
            partial(_open_qdrant, access),
            hosts=_qdrant_hosts,
        ),
        VectorDriver(
            "pgvector",
            "pgvector",
            "PostgreSQL with pgvector.",
            _PGVECTOR_FIELDS,
            dense_only,
            partial(_open_pgvector, access),
            hosts=lambda credentials, settings: PostgresTarget.of(credentials, settings).hosts,
        ),
    )
    return {driver.id: driver for driver in known}


def _qdrant_hosts(credentials: Values, settings: Values) -> Sequence[Host]:
    origin = _qdrant_origin(settings["url"])
    return (Host(origin.host, origin.port, "settings.url"),)


def _open_qdrant(access: RemoteAccess, credentials: Values, settings: Values) -> VectorEngine:
    from services.vector.adapters.qdrant import QdrantEngine  # a heavy import, for those only who use it
    from services.vector.adapters.qdrant_server import QdrantServer

    origin, api_key = _qdrant_origin(settings["url"]), credentials.get("apiKey")
    server = QdrantServer(origin, access.guard, api_key, max_answer_bytes=access.max_answer_bytes)
    return QdrantEngine(server, settings.get("collectionPrefix", "portico"))


def _open_pgvector(access: RemoteAccess, credentials: Values, settings: Values) -> VectorEngine:
    from services.vector.adapters.pgvector import PgvectorEngine
    from services.vector.adapters.postgres_server import PostgresServer

    target = PostgresTarget.of(credentials, settings)
    server = PostgresServer(target, access.guard, max_answer_bytes=access.max_answer_bytes)
    return PgvectorEngine(server, settings.get("schema", "portico_vectors"))
