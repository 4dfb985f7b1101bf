"""Errors of a connection to a Qdrant server when nobody, or somebody else, answers at its address."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import grpc
import pytest

from core.errors import Unavailable, UpstreamFailed
from core.tenancy import Project, Tenant
from services.vector.domain.points import IndexSpec
from services.vector.ports import IndexLocation
from tests.support.connections import listening
from tests.support.remote_engines import drivers_at

HERE = IndexLocation(Project(Tenant("red"), "p1"), "idx")
SPEC = IndexSpec(4)


async def _speak_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


@asynccontextmanager
async def rest_port() -> AsyncIterator[int]:
    async with listening(lambda sock: asyncio.start_server(_speak_http1, sock=sock)) as port:
        yield port


@asynccontextmanager
async def port_of_another_service() -> AsyncIterator[int]:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(None)


@pytest.mark.parametrize("wrong", [rest_port, port_of_another_service])
async def test_a_wrong_port_is_told_from_a_qdrant_server_that_is_away(
    wrong: Callable[[], AbstractAsyncContextManager[int]],
) -> None:
    async with wrong() as port:
        engine = drivers_at()["qdrant"].open({}, {"url": f"http://127.0.0.1:{port}"})
        with pytest.raises(UpstreamFailed, match="gRPC port is mostly 6334"):
            await engine.create(HERE, SPEC)
        await engine.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_qdrant_server_that_is_away(scheme: str) -> None:
    async with rest_port() as port:
        pass
    engine = drivers_at()["qdrant"].open({}, {"url": f"{scheme}://127.0.0.1:{port}"})
    with pytest.raises(Unavailable):
        await engine.create(HERE, SPEC)
    await engine.close()
