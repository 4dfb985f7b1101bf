"""The chain behind each of its transports, on real servers and real connections."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import pytest

from core.config import Secret
from core.health import Health
from core.rpc.chain import Chain
from core.rpc.http1.server import Http1Server
from core.rpc.server import ServiceRegistration, make_server
from core.rpc.stages.stage import Stage
from tests.support.http1_channel import Http1Channel
from tests.support.serving import EDGE_SECRET, connect

Registrations = Sequence[ServiceRegistration]
Transport = Callable[[Registrations, Sequence[Stage]], AbstractAsyncContextManager[Any]]
"""Serves, and gives a channel."""


def chain_of(stages: Sequence[Stage]) -> Chain:
    return Chain(stages, edge_secret=Secret(EDGE_SECRET))


@asynccontextmanager
async def by_http2(registrations: Registrations, stages: Sequence[Stage]) -> AsyncIterator[grpc.aio.Channel]:
    """gRPC's own transport."""
    server = make_server(registrations, chain_of(stages), Health())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with connect(port) as opened:
        yield opened
    await server.stop(None)


@asynccontextmanager
async def by_http1(registrations: Registrations, stages: Sequence[Stage]) -> AsyncIterator[Any]:
    """The edge's transport."""
    server = Http1Server(registrations, chain_of(stages), Health())
    yield Http1Channel(await server.start("127.0.0.1:0"))
    await server.stop(0)


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def bearer(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")


def trailing(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    return dict(error.trailing_metadata())
