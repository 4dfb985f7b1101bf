"""The drivers there are, with what each wants to know."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from core.errors import InvalidInput
from core.providers.drivers import Field, Values, whole_number
from services.vector.domain.filters import OPERATORS
from services.vector.domain.points import Metric
from services.vector.ports import Capabilities, Driver, VectorEngine

_QDRANT_PORT = 6334
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SSL = ("disable", "prefer", "require", "verify-full")


def _check_url(path: str, value: str) -> None:
    try:
        url = urlsplit(value)
        fits = url.scheme in ("http", "https") and url.hostname and url.port != 0 and not url.path.strip("/")
    except ValueError:
        fits = False
    if not fits:
        raise InvalidInput(f"{path} is http or https, a host and, if not {_QDRANT_PORT}, its gRPC port.", field=path)


def _check_prefix(path: str, value: str) -> None:
    if not _PREFIX.fullmatch(value):
        raise InvalidInput(f"{path} is 1 to 64 letters, digits, - and _.", field=path)


def _check_connection_string(path: str, value: str) -> None:
    if not value.startswith(("postgres://", "postgresql://")):
        raise InvalidInput(f"{path} begins with postgresql://.", field=path)


def _check_ssl(path: str, value: str) -> None:
    if value not in _SSL:
        raise InvalidInput(f"{path} is one of {', '.join(_SSL)}.", field=path)


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
    Field("ssl", "TLS", "disable, prefer, require or verify-full; prefer.", check=_check_ssl, destination=True),
    Field("schema", "Schema", "Where our tables lie; portico_vectors. It is made if it is not there."),
)


def drivers(embedded: VectorEngine) -> Mapping[str, Driver]:
    """By id. Every provider on the driver `embedded` is served by the one engine."""
    everything = Capabilities(tuple(Metric), OPERATORS, hybrid=True)
    dense_only = Capabilities(tuple(Metric), OPERATORS, hybrid=False)
    known = (
        Driver(
            "embedded",
            "Embedded",
            "Qdrant's engine in the gateway itself; nothing to set up.",
            (),
            everything,
            lambda credentials, settings: embedded,
        ),
        Driver("qdrant", "Qdrant", "A Qdrant server or cluster, over gRPC.", _QDRANT_FIELDS, everything, _open_qdrant),
        Driver("pgvector", "pgvector", "PostgreSQL with pgvector.", _PGVECTOR_FIELDS, dense_only, _open_pgvector),
    )
    return {driver.id: driver for driver in known}


def _open_qdrant(credentials: Values, settings: Values) -> VectorEngine:
    from qdrant_client import AsyncQdrantClient  # a heavy import, for those only who use it

    from services.vector.adapters.qdrant import QdrantEngine

    url = urlsplit(settings["url"])
    client = AsyncQdrantClient(
        host=url.hostname,
        grpc_port=url.port or _QDRANT_PORT,
        prefer_grpc=True,
        https=url.scheme == "https",
        api_key=credentials.get("apiKey"),
        timeout=30,
        check_compatibility=False,  # it would connect at once, and over REST
    )
    return QdrantEngine(client, settings.get("collectionPrefix", "portico"))


def _open_pgvector(credentials: Values, settings: Values) -> VectorEngine:
    from services.vector.adapters.pgvector import PgvectorEngine

    connection: dict[str, Any] = {}
    if "connectionString" in credentials:
        connection["dsn"] = credentials["connectionString"]
    else:
        for name in ("host", "database", "user"):
            if name not in settings:
                raise InvalidInput(f"Give a connectionString, or {name} and the others.", field=f"settings.{name}")
            connection[name] = settings[name]
        connection["password"] = credentials.get("password")
        connection["port"] = int(settings.get("port", 5432))
    if "ssl" in settings:
        connection["ssl"] = settings["ssl"]
    return PgvectorEngine(connection, settings.get("schema", "portico_vectors"))
