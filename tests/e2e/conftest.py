from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest

from tests.support.cluster import Cluster, Rest, Tenant
from tests.support.connections import http_session
from tests.support.deployments import (
    MONGODB,
    SQLITE,
    StoresMissing,
    mongodb_and_redis,
    on_own_databases,
    stores_of,
)

_CLUSTERS: dict[str, Literal["session", "function"]] = {"cluster": "session", "own_cluster": "function"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests with the marker `each_stores` on each kind of stores, or all tests on those that STORES names."""
    stores = stores_of(metafunc.definition.get_closest_marker("each_stores") is not None)
    for name, scope in _CLUSTERS.items():
        if name in metafunc.fixturenames and stores != (SQLITE,):
            metafunc.parametrize(name, stores, indirect=True, scope=scope)


@pytest.fixture(scope="session")
def stores_settings() -> Iterator[Callable[[str], Mapping[str, str]]]:
    """Settings of a new installation by the kind of its stores. The servers run until the end of the session."""
    with ExitStack() as stack:
        servers: Mapping[str, str] | None = None

        def settings(stores: str) -> Mapping[str, str]:
            nonlocal servers
            if stores != MONGODB:
                return {}
            if servers is None:
                try:
                    servers = stack.enter_context(mongodb_and_redis())
                except StoresMissing as error:
                    pytest.skip(str(error))
            return on_own_databases(servers)

        yield settings


@pytest.fixture(scope="session")
def running_clusters(
    tmp_path_factory: pytest.TempPathFactory, stores_settings: Callable[[str], Mapping[str, str]]
) -> Iterator[Callable[[str], Cluster]]:
    """One Portico on each kind of stores, started when the first test asks for it."""
    running: dict[str, Cluster] = {}

    def on(stores: str) -> Cluster:
        if stores not in running:
            made = Cluster(tmp_path_factory.mktemp("portico"), stores=stores_settings(stores))
            running[stores] = made.start()
        return running[stores]

    yield on
    assert {stores: each.stop() for stores, each in running.items()} == dict.fromkeys(running, 0)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, running_clusters: Callable[[str], Cluster]) -> Cluster:
    """One Portico for all tests that do not break it."""
    return running_clusters(getattr(request, "param", SQLITE))


@pytest.fixture
def own_cluster(
    request: pytest.FixtureRequest, tmp_path: Path, stores_settings: Callable[[str], Mapping[str, str]]
) -> Iterator[Cluster]:
    """A Portico for one test, to stop, kill and configure. Started by the test."""
    running = Cluster(tmp_path / "data", stores=stores_settings(getattr(request, "param", SQLITE)))
    yield running
    if running.process is not None:
        running.stop()


@pytest.fixture
async def rest(cluster: Cluster) -> AsyncIterator[Rest]:
    async with http_session() as http:
        yield Rest(cluster.url, http)


@pytest.fixture
async def tenant(rest: Rest) -> Tenant:
    """A new tenant with the echo models."""
    made = await rest.register()
    await rest.echo(made.session)
    return made
