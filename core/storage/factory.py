"""The store that the settings name."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from core.config import ConfigError, Secret, setting
from core.storage.ports import DocumentStore
from core.storage.schema import Schema
from core.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from core.storage.mongodb_databases import Databases

TRUST_SECONDS = 1.0
"""Time within which a tenant that another process removes is refused here, where that is not known at once."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Settings of the document store."""

    provider: Literal["sqlite", "mongodb"] = setting(
        "DB_PROVIDER",
        default="sqlite",
        help="The engine of the document store: sqlite, a file per tenant, or mongodb, a database per tenant.",
    )
    mongodb_url: Secret | None = setting(
        "MONGODB_URL",
        default=None,
        help="Connection string of MongoDB, as mongodb://user:password@host:27017/?tls=true. A replica set or a "
        "sharded cluster, version 5 or later.",
    )
    mongodb_prefix: str = setting(
        "PORTICO_MONGODB_PREFIX",
        default="",
        max=8,
        help="Begin of the names of all databases, where several installations share a cluster.",
    )
    mongodb_pool: int = setting(
        "PORTICO_MONGODB_POOL", default=50, min=1, max=1000, help="Connections to each MongoDB server, per service."
    )
    data_dir: Path = setting("PORTICO_DATA_DIR", default=Path("data"), help="Folder of everything that is kept.")
    max_open: int = setting(
        "PORTICO_SQLITE_MAX_OPEN", default=64, min=1, max=4096, help="Tenants' databases open at once, per service."
    )


def mongodb_databases(settings: StoreSettings) -> "Databases":
    """The tenants' databases, for what a service keeps there beside its documents. Raises ConfigError where the address
    of the server is missing."""
    from core.storage.mongodb_databases import Databases, connect  # as below

    client = connect(_mongodb_url(settings), pool=settings.mongodb_pool)
    return Databases(client, prefix=settings.mongodb_prefix, trust_seconds=TRUST_SECONDS)


def make_store(settings: StoreSettings, schema: Schema) -> DocumentStore:
    """The store. Raises ConfigError where its settings are incomplete."""
    if settings.provider == "mongodb":
        from core.storage.mongodb import MongoStore  # costs 60 ms and 20 MB that SQLite's users do not need

        return MongoStore(
            _mongodb_url(settings),
            schema,
            prefix=settings.mongodb_prefix,
            pool=settings.mongodb_pool,
            trust_seconds=TRUST_SECONDS,
        )
    return SqliteStore(settings.data_dir, schema, max_open=settings.max_open)


def _mongodb_url(settings: StoreSettings) -> str:
    if settings.mongodb_url is None:
        raise ConfigError(["MONGODB_URL is missing: DB_PROVIDER=mongodb needs the address of a server."])
    return settings.mongodb_url.reveal()
