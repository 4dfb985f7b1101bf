"""A server on both transports with servicers that do nothing, to be attacked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody

from core.config import Secret
from core.context import current
from core.health import Health
from core.rpc.arrivals import Arrivals
from core.rpc.chain import Chain
from core.rpc.http1.server import Http1Server
from core.rpc.server import ServiceRegistration, make_server
from core.rpc.stages.auth import Auth
from core.rpc.stages.load_shedding import LoadShedding
from core.rpc.stages.shares import Shares
from core.rpc.stages.stage import Stage
from portico.auth.v1 import key_service_pb2, key_service_pb2_grpc, token_service_pb2, token_service_pb2_grpc
from portico.inference.v1 import openai_service_pb2_grpc
from portico.rag.v1 import file_service_pb2_grpc
from tests.support.http2_client import Stream, http2
from tests.support.tokens import Signer

C = grpc.StatusCode
KEYS = "/portico.auth.v1.KeyService/GetJwks"
TOKENS = "/portico.auth.v1.TokenService/ListTokens"
EMBED = "/portico.inference.v1.OpenAIService/CreateEmbedding"
HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
SECONDS = 20
HTTP2_WINDOW = 65_535
"""Bytes that a client may send before it has heard of the server's own limit."""
EMPTY_ATTACHMENT = b"\x1a\x00"
"""An empty element of HttpBody's list of extensions."""


@dataclass
class Servicers:
    """Servicers that hold a call while `hold` is set."""

    calls: int = 0
    hold: asyncio.Event | None = None
    seen: list[str] = field(default_factory=list)
    """Addresses of callers."""

    async def run(self) -> None:
        request = current()
        assert request is not None
        self.seen.append(request.peer_address)
        self.calls += 1
        if self.hold is not None:
            await self.hold.wait()

    def auth(self) -> list[ServiceRegistration]:
        outer = self

        class Keys(key_service_pb2_grpc.KeyServiceServicer):
            async def GetJwks(self, request: Any, context: Any) -> Any:
                await outer.run()
                return key_service_pb2.GetJwksResponse()

        class Tokens(token_service_pb2_grpc.TokenServiceServicer):
            async def ListTokens(self, request: Any, context: Any) -> Any:
                await outer.run()
                return token_service_pb2.ListTokensResponse()

        return [
            ServiceRegistration(
                "portico.auth.v1.KeyService", key_service_pb2_grpc.add_KeyServiceServicer_to_server, Keys()
            ),
            ServiceRegistration(
                "portico.auth.v1.TokenService", token_service_pb2_grpc.add_TokenServiceServicer_to_server, Tokens()
            ),
        ]

    def openai(self) -> list[ServiceRegistration]:
        outer = self

        class OpenAI(openai_service_pb2_grpc.OpenAIServiceServicer):
            async def CreateEmbedding(self, request: Any, context: Any) -> Any:
                await outer.run()
                return HttpBody(data=b"%d" % len(request.body.data))

            async def CreateChatCompletion(self, request: Any, context: Any) -> Any:
                yield HttpBody()

        add = openai_service_pb2_grpc.add_OpenAIServiceServicer_to_server
        return [ServiceRegistration("portico.inference.v1.OpenAIService", add, OpenAI())]

    def files(self) -> list[ServiceRegistration]:
        outer = self

        class Files(file_service_pb2_grpc.FileServiceServicer):
            async def UploadFile(self, requests: Any, context: Any) -> Any:
                size = 0
                async for request in requests:
                    size += len(request.body.data)
                await outer.run()
                return HttpBody(data=b"%d" % size)

            async def DownloadFile(self, request: Any, context: Any) -> Any:
                yield HttpBody()

        return [
            ServiceRegistration(
                "portico.rag.v1.FileService", file_service_pb2_grpc.add_FileServiceServicer_to_server, Files()
            )
        ]

    def all(self) -> list[ServiceRegistration]:
        return [*self.auth(), *self.openai(), *self.files()]


@dataclass
class Harness:
    """A server on both transports."""

    port: int
    edge_port: int
    load: LoadShedding
    signer: Signer

    def bearer(self, **claims: Any) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.signer.token(**claims)}"),)


@asynccontextmanager
async def serving(
    registrations: list[ServiceRegistration],
    *,
    limit: int = 1000,
    arrivals: Arrivals | None = None,
    edge_secret: Secret | None = None,
) -> AsyncIterator[Harness]:
    signer = Signer()
    load = LoadShedding(limit)
    stages: list[Stage] = [load, Auth(signer.verifier(), Secret("s" * 32)), Shares(load, 75)]
    chain = Chain(stages, arrivals=arrivals, edge_secret=edge_secret)
    health = Health()
    server, edge = make_server(registrations, chain, health), Http1Server(registrations, chain, health)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    edge_port = await edge.start("127.0.0.1:0")
    try:
        async with asyncio.timeout(60):
            yield Harness(port, edge_port, load, signer)
    finally:
        await server.stop(None)
        await edge.stop(0)


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def unknown_field(size: int) -> bytes:
    """A message of so many bytes that every RPC takes."""
    content = size - 7
    length = bytes([content & 0x7F | 0x80, content >> 7 & 0x7F | 0x80, content >> 14 & 0x7F | 0x80, content >> 21])
    return b"\x82\xf7\x02" + length + b"x" * content


async def raw(harness: Harness, path: str, data: bytes, headers: Any = (), *, end: bool = True) -> Stream:
    """The answer to these bytes."""
    async with asyncio.timeout(SECONDS), http2(harness.port) as client:
        stream = client.start(path, headers)
        sending = asyncio.create_task(client.send(stream, data, end=end))
        await client.answer(stream)
        sending.cancel()
        return stream
