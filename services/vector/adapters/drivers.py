"""The drivers there are, with what each wants to know."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from core.errors import InvalidInput
from services.vector.domain.filters import OPERATORS
from services.vector.domain.points import Metric
from services.vector.ports import Capabilities, Driver, DriverField, VectorEngine

_ALL = Capabilities(tuple(Metric), OPERATORS, hybrid=True)
_DENSE_ONLY = Capabilities(tuple(Metric), OPERATORS, hybrid=False)

_QDRANT_FIELDS = (
    DriverField(
        "url", "URL", "http or https, host and gRPC port of the server (6334 if none is named).", required=True
    ),
    DriverField("apiKey", "API key", "Where the server wants one.", secret=True),
    DriverField("collectionPrefix", "Collection prefix", "How the names of our collections begin; portico."),
)
_PGVECTOR_FIELDS = (
    DriverField("connectionString", "Connection string", "postgresql://user:password@host:port/database; "
        "or the five fields below.", secret=True),
    DriverField("host", "Host", "Name or address of the server."),
    DriverField("port", "Port", "Its port; 5432."),
    DriverField("database", "Database", "Its database."),
    DriverField("user", "User", "Who may create a schema and tables."),
    DriverField("password", "Password", "The user's.", secret=True),
    DriverField("ssl", "TLS", "disable, prefer, require or verify-full; prefer."),
    DriverField("schema", "Schema", "Where our tables lie; portico_vectors. It is made if it is not there."),
)  # fmt: skip
_SSL = ("disable", "prefer", "require", "verify-full")


def drivers(embedded: VectorEngine) -> Mapping[str, Driver]:
    """By id. Every provider on the driver `embedded` is served by the one engine."""
    known = (
        Driver(
            "embedded",
            "Embedded",
            "Qdrant's engine in the gateway itself; nothing to set up.",
            (),
            _ALL,
            lambda credentials, settings: embedded,
        ),
        Driver("qdrant", "Qdrant", "A Qdrant server or cluster, over gRPC.", _QDRANT_FIELDS, _ALL, _open_qdrant),
        Driver("pgvector", "pgvector", "PostgreSQL with pgvector.", _PGVECTOR_FIELDS, _DENSE_ONLY, _open_pgvector),
    )
    return {driver.id: driver for driver in known}


def _open_qdrant(credentials: Mapping[str, Any], settings: Mapping[str, Any]) -> VectorEngine:
    from qdrant_client import AsyncQdrantClient  # a heavy import, for those only who use it

    from services.vector.adapters.qdrant import QdrantEngine

    url = urlsplit(_text(settings, "settings", "url"))
    try:
        port = url.port or 6334
    except ValueError:
        port = 0
    if url.scheme not in ("http", "https") or not url.hostname or not port or url.path.strip("/"):
        raise InvalidInput("url is http or https, a host and, if not 6334, its gRPC port", field="settings.url")
    prefix = _text(settings, "settings", "collectionPrefix") or "portico"
    if not prefix.isascii() or not prefix.replace("-", "").replace("_", "").isalnum() or len(prefix) > 64:
        raise InvalidInput("collectionPrefix is letters, digits, - and _", field="settings.collectionPrefix")
    client = AsyncQdrantClient(
        host=url.hostname,
        grpc_port=port,
        prefer_grpc=True,
        https=url.scheme == "https",
        api_key=_text(credentials, "credentials", "apiKey") or None,
        timeout=30,
        check_compatibility=False,  # it would connect at once, and over REST
    )
    return QdrantEngine(client, prefix)


def _open_pgvector(credentials: Mapping[str, Any], settings: Mapping[str, Any]) -> VectorEngine:
    from services.vector.adapters.pgvector import PgvectorEngine

    connection: dict[str, Any] = {}
    if dsn := _text(credentials, "credentials", "connectionString"):
        if urlsplit(dsn).scheme not in ("postgres", "postgresql"):
            raise InvalidInput("connectionString begins with postgresql://", field="credentials.connectionString")
        connection["dsn"] = dsn
    else:
        for name in ("host", "database", "user"):
            connection[name] = _text(settings, "settings", name)
            if not connection[name]:
                raise InvalidInput(f"give a connectionString, or {name} and the others", field=f"settings.{name}")
        connection["password"] = _text(credentials, "credentials", "password") or None
        connection["port"] = _port(settings.get("port"))
    ssl = _text(settings, "settings", "ssl")
    if ssl and ssl not in _SSL:
        raise InvalidInput(f"ssl is one of {', '.join(_SSL)}", field="settings.ssl")
    if ssl:
        connection["ssl"] = ssl
    return PgvectorEngine(connection, _text(settings, "settings", "schema") or "portico_vectors")


def _text(given: Mapping[str, Any], where: str, name: str) -> str:
    value = given.get(name) or ""
    if not isinstance(value, str) or "\0" in value:
        raise InvalidInput(f"{name} is text", field=f"{where}.{name}")
    return value.strip()


def _port(value: Any) -> int:
    try:
        port = 5432 if value in (None, "") else int(value)
    except (TypeError, ValueError):
        port = 0
    if not 1 <= port <= 65535:
        raise InvalidInput("port is 1 to 65535", field="settings.port")
    return port
