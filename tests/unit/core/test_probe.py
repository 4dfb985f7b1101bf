"""The health of a part, asked as an image's HEALTHCHECK does."""

import asyncio

import pytest
from grpc.aio import server as make_server
from grpc_health.v1 import health_pb2_grpc

from core import probe
from core.errors import Unavailable
from core.health import Health


async def test_a_service_is_ready_while_its_checks_pass_and_alive_meanwhile() -> None:
    health = Health()

    async def failing() -> None:
        raise Unavailable("The store does not answer.")

    server = make_server()
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        await health.start()
        assert await asyncio.to_thread(probe.is_serving, address)
        health.add("store", failing)
        await health.ready()
        assert not await asyncio.to_thread(probe.is_serving, address)
        assert await asyncio.to_thread(probe.is_serving, address, live=True)
    finally:
        await health.shutting_down()
        await server.stop(None)
    assert not await asyncio.to_thread(probe.is_serving, address)


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
async def test_the_edge_is_asked_over_http(status: int, well: bool) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await asyncio.to_thread(probe.answers, f"http://127.0.0.1:{port}/health/ready") is well
    assert not await asyncio.to_thread(probe.answers, f"http://127.0.0.1:{port}/health/ready")


@pytest.mark.parametrize(
    ("env", "address"),
    [
        ({}, "127.0.0.1:50051"),
        ({"SERVICE": "rag", "PORTICO_LISTEN": "0.0.0.0:7"}, "127.0.0.1:7"),
        ({"SERVICE": "edge", "PORTICO_EDGE_PORT": "81"}, "http://127.0.0.1:81"),
    ],
)
def test_without_an_address_it_asks_its_own_container(
    env: dict[str, str], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SERVICE", "PORTICO_LISTEN", "PORTICO_EDGE_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert probe.default_address() == address
