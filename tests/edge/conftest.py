"""One edge for the whole folder; tests that break something start their own."""

from collections.abc import Iterator

import grpc
import pytest

from tests.support.edge import Edge, running


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with running(tmp_path_factory.mktemp("edge")) as started:
        yield started


@pytest.fixture(scope="session")
def channel(edge: Edge) -> Iterator[grpc.Channel]:
    """Native gRPC to the edge's port."""
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}", options=[("grpc.enable_http_proxy", 0)]) as opened:
        yield opened
