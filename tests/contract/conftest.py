"""Backends of the contract suites. A further store is one more entry of WORLDS."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from moto.server import ThreadedMotoServer

from core.storage.memory import MemoryStore
from core.storage.ports import DocumentStore
from core.storage.schema import Schema
from core.storage.sqlite import SqliteStore
from tests.contract.documents import ACME, GLOBEX, SCHEMA
from tests.support.postgres import postgres
from tests.support.tokens import Signer
from tests.support.transports import Transport, by_http1, by_http2
from tests.support.unreliable_store import unreliable


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


class SlowBackend:
    """Another world's stores, as if they stood behind a network."""

    def __init__(self, backend: Backend) -> None:
        self._world = backend

    def open(self, schema: Schema) -> DocumentStore:
        return unreliable(self._world.open(schema), seconds=0.001)[0]

    def traces(self, slug: str) -> bool:
        return self._world.traces(slug)


BACKENDS: dict[str, Callable[[Path], Backend]] = {"memory": MemoryBackend, "sqlite": SqliteBackend}
"""Of every adapter."""

SLOW_WORLDS: dict[str, Callable[[Path], Backend]] = {
    f"slow {name}": lambda folder, make=make: SlowBackend(make(folder))  # type: ignore[misc]  # the name is bound now
    for name, make in BACKENDS.items()
}


@pytest.fixture(params=[*BACKENDS, *SLOW_WORLDS])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return (BACKENDS | SLOW_WORLDS)[request.param](tmp_path)


@pytest.fixture
async def store(backend: Backend) -> AsyncIterator[DocumentStore]:
    opened = backend.open(SCHEMA)
    for tenant in (ACME, GLOBEX):
        await opened.create_tenant(tenant)
    yield opened
    await opened.close()
