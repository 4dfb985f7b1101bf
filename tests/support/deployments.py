"""Stores of the clusters in end-to-end tests.

STORES names the stores of every test: `sqlite` (with everything else in memory) or `mongodb` (with Redis). Without it,
tests with the marker `each_stores` run on both, and the rest on SQLite.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from pymongo import MongoClient

from tests.support import mongodb, redis_server

SQLITE, MONGODB = "sqlite", "mongodb"
STORES = (SQLITE, MONGODB)
CHOSEN = os.environ.get("STORES", "")
"""Stores of every test; empty: each test says on which it runs."""


class StoresMissing(Exception):
    """This machine has no such stores; the message says what they need."""


def stores_of(marked: bool) -> tuple[str, ...]:
    """The stores that a test runs on."""
    if CHOSEN:
        return (CHOSEN,)
    return STORES if marked else (SQLITE,)


@contextlib.contextmanager
def mongodb_and_redis() -> Iterator[Mapping[str, str]]:
    """Servers of MongoDB's protocol and of Redis, and the settings that name them. Raises StoresMissing."""
    with contextlib.ExitStack() as stack:
        if redis_server.program() is None:
            raise StoresMissing(redis_server.MISSING)
        url = stack.enter_context(mongodb.mongodb())
        if url is None:
            raise StoresMissing(mongodb.MISSING)
        server = stack.enter_context(redis_server.redis_server())
        yield {"DB_PROVIDER": "mongodb", "MONGODB_URL": url, "CACHE_PROVIDER": "redis", "REDIS_URL": server.url}


def on_own_databases(servers: Mapping[str, str]) -> dict[str, str]:
    """Settings of one more installation on the same servers."""
    name = secrets.token_hex(3)
    return {**servers, "PORTICO_MONGODB_PREFIX": f"{name}_", "PORTICO_REDIS_PREFIX": name}


def documents_with(stores: Mapping[str, str], marker: str) -> list[str]:
    """Collections of an installation on MongoDB that hold a marker; none on SQLite, whose files tell."""
    if not stores:
        return []
    found = []
    with MongoClient[dict[str, Any]](stores["MONGODB_URL"]) as client:
        for name in client.list_database_names():
            if name.startswith(stores["PORTICO_MONGODB_PREFIX"]):
                database = client[name]
                found += [
                    f"{name}.{each}"
                    for each in database.list_collection_names()
                    if any(marker in repr(document) for document in database[each].find())
                ]
    return found
