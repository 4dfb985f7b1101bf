"""Backends of the contract suites. A further store is one more entry of BACKENDS."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from moto.server import ThreadedMotoServer
from pymongo import MongoClient

from core.storage import factory
from core.storage.memory import MemoryStore
from core.storage.mongodb import MongoStore
from core.storage.ports import DocumentStore
from core.storage.schema import Schema
from core.storage.sqlite import SqliteStore
from tests.contract.documents import ACME, GLOBEX, SCHEMA
from tests.support.mongodb import MISSING, mongodb
from tests.support.postgres import postgres
from tests.support.redis_server import MISSING as MISSING_REDIS
from tests.support.redis_server import RedisServer, program, redis_server
from tests.support.tokens import Signer
from tests.support.transports import Transport, by_http1, by_http2
from tests.support.unreliable_store import UnreliableStore, unreliable

LATENCY_SECONDS = 0.002
"""Longest latency of a slow store, before a call and after it."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests with the marker `each_store` on services with a local store, and with a slow one."""
    if metafunc.definition.get_closest_marker("each_store"):
        metafunc.parametrize("service_store", ["local store", "slow store"], indirect=True)


@pytest.fixture(autouse=True)
def service_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[UnreliableStore]:
    """Slow stores of the services that the test has started: they can be turned off."""
    switches: list[UnreliableStore] = []
    if getattr(request, "param", "local store") == "slow store":

        def slow(*arguments: Any) -> DocumentStore:
            store, switch = unreliable(factory.make_store(*arguments), seconds=LATENCY_SECONDS)
            switches.append(switch)
            return store

        monkeypatch.setattr("core.app.make_store", slow)
    return switches


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[dict[str, Any]]:
    """Arguments of asyncpg's `connect` for a running server."""
    with postgres() as connection:
        yield connection


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer()


@pytest.fixture(params=[by_http2, by_http1], ids=["http2", "http1"])
def transport(request: pytest.FixtureRequest) -> Transport:
    found: Transport = request.param
    return found


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a server that speaks S3's protocol, shared: each test makes buckets of its own."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Backend(Protocol):
    """One place where documents are kept, which several stores may open."""

    def open(self, schema: Schema) -> DocumentStore: ...

    def traces(self, slug: str) -> bool:
        """Return whether anything of the tenant is kept."""


class SqliteBackend:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"

    def open(self, schema: Schema) -> DocumentStore:
        return SqliteStore(self.folder, schema)

    def traces(self, slug: str) -> bool:
        return any(self.folder.glob(f"*{slug}*"))


class MemoryBackend:
    def __init__(self, folder: Path) -> None:
        self._first = MemoryStore(Schema())

    def open(self, schema: Schema) -> DocumentStore:
        store = MemoryStore(schema)
        store._databases = self._first._databases
        return store

    def traces(self, slug: str) -> bool:
        return any(getattr(scope, "slug", None) == slug for scope in self._first._databases)


class MongoBackend:
    """Databases with a prefix of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opened: list[MongoStore] = []
        self.prefix = f"{secrets.token_hex(3)}_"

    def open(self, schema: Schema, *, prefix: str = "", trust_seconds: float = 0.05) -> MongoStore:
        store = MongoStore(self.url, schema, prefix=prefix or self.prefix, trust_seconds=trust_seconds)
        self._opened.append(store)
        return store

    def traces(self, slug: str) -> bool:
        return any(name.startswith(self.prefix) and slug in name for name in self._names())

    async def remove(self) -> None:
        for store in self._opened:
            await store.close()
        with MongoClient[dict[str, Any]](self.url) as client:
            for name in self._names():
                if name.startswith(self.prefix):
                    client.drop_database(name)

    def _names(self) -> list[str]:
        with MongoClient[dict[str, Any]](self.url) as client:
            return client.list_database_names()


class SlowBackend:
    """The stores of another backend, as if they stood behind a network."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def open(self, schema: Schema) -> DocumentStore:
        return unreliable(self._backend.open(schema), seconds=0.001)[0]

    def traces(self, slug: str) -> bool:
        return self._backend.traces(slug)


BACKENDS: dict[str, Callable[[Path], Backend]] = {"memory": MemoryBackend, "sqlite": SqliteBackend}
"""Of every adapter."""

SLOW_BACKENDS: dict[str, Callable[[Path], Backend]] = {
    f"slow {name}": lambda folder, make=make: SlowBackend(make(folder))  # type: ignore[misc]  # the name is bound now
    for name, make in BACKENDS.items()
}


@pytest.fixture(scope="session")
def mongodb_url() -> Iterator[str | None]:
    with mongodb() as url:
        yield url


MONGODB_MARK = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)
"""The driver leaves a socket to the garbage collector if it is closed while it connects."""


@pytest.fixture(params=[*BACKENDS, pytest.param("mongodb", marks=MONGODB_MARK), *SLOW_BACKENDS])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    if request.param != "mongodb":
        yield (BACKENDS | SLOW_BACKENDS)[request.param](tmp_path)
        return
    url: str | None = request.getfixturevalue("mongodb_url")
    if url is None:
        pytest.skip(MISSING)
    mongo = MongoBackend(url)
    yield mongo
    await mongo.remove()


@pytest.fixture
async def store(backend: Backend) -> AsyncIterator[DocumentStore]:
    opened = backend.open(SCHEMA)
    for tenant in (ACME, GLOBEX):
        await opened.create_tenant(tenant)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A running server, shared: tests that stop it start one of their own."""
    if program() is None:
        pytest.skip(MISSING_REDIS)
    with redis_server() as server:
        yield server
