from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, Rest, Tenant
from tests.support.connections import http_session


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One Portico for all tests that do not break it."""
    running = Cluster(tmp_path_factory.mktemp("portico")).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A Portico for one test, to stop, kill and configure. Started by the test."""
    running = Cluster(tmp_path / "data")
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
