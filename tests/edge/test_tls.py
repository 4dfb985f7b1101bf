"""The edge and services that speak TLS with each other, with certificates on both sides."""

import asyncio
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from core.health import Health
from core.rpc import tls
from core.rpc.chain import Chain
from core.rpc.http1.server import Http1Server
from core.rpc.server import bind, make_health_server
from core.tls import Identity
from tests.support.ports import reserved_port
from tests.support.tls import make_authority
from tools import edge

GRPC = ("auth", "inference", "rag", "tracing", "vector")
HTTP1 = ("inference_http1", "vector_http1")
READY_SECONDS = 60


def identity(folder: Path) -> Identity:
    folder.mkdir()
    authority = make_authority(folder)
    return Identity(authority.ca_file, authority.key_file, authority.ca_file)


@asynccontextmanager
async def services(own: Identity) -> AsyncIterator[dict[str, edge.Address]]:
    """Addresses of servers with TLS that answer the edge's health checks, by cluster."""
    tls.configure(own)
    health = Health()
    server, hot = make_health_server(health), Http1Server([], Chain([]), health)
    try:
        port = bind(server, "127.0.0.1:0")
        await health.start()
        await server.start()
        hot_port = await hot.start("127.0.0.1:0")
        yield {**dict.fromkeys(GRPC, ("localhost", port)), **dict.fromkeys(HTTP1, ("localhost", hot_port))}
    finally:
        await asyncio.gather(server.stop(None), hot.stop(0))
        tls.configure(None)


@contextmanager
def envoy(folder: Path, clusters: dict[str, edge.Address], own: Identity | None) -> Iterator[int]:
    port = reserved_port()
    command = edge.render(folder / "edge", port=port, clusters=clusters, tls=own)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except OSError:
        return 0


async def answers(port: int, path: str, *expected: int) -> int:
    """Return the first of the expected statuses that comes; raises TimeoutError."""
    async with asyncio.timeout(READY_SECONDS):
        while (seen := await asyncio.to_thread(status, port, path)) not in expected:
            await asyncio.sleep(0.05)
    return seen


async def test_the_edge_reaches_services_that_know_its_authority(tmp_path: Path) -> None:
    own = identity(tmp_path / "own")
    async with services(own) as clusters:
        with envoy(tmp_path, clusters, own) as port:
            assert await answers(port, "/health/ready", 200) == 200


@pytest.mark.parametrize("shown", ["no certificate", "another authority's"])
async def test_an_edge_with_another_certificate_reaches_nobody(tmp_path: Path, shown: str) -> None:
    async with services(identity(tmp_path / "own")) as clusters:
        with envoy(tmp_path, clusters, None if shown == "no certificate" else identity(tmp_path / "other")) as port:
            await answers(port, "/health/live", 200)  # its clusters have been checked once by then
            assert status(port, "/health/ready") == 503
