"""Servers of a tenant that answer Portico's drivers without end."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.support.cluster import Rest
from tests.support.connections import listening
from tests.support.fake_upstream import FakeUpstream, Peer, Request, each
from tests.support.hostile_qdrant import HostileQdrant, found, payload, scored

HERE = "127.0.0.2"
"""The address of these servers. Not that of localhost, so that localhost may be refused."""
MIB = 1024 * 1024
KEY = {"apiKey": "secret"}


def provider(driver: str, credentials: dict[str, str], **settings: Any) -> dict[str, Any]:
    return {"key": driver, "driver": driver, "label": driver, "credentials": credentials, "settings": settings}


PATHS = {
    "openai-compatible": "/v1/models/providers",
    "qdrant": "/v1/vector/providers",
    "pgvector": "/v1/vector/providers",
    "s3": "/v1/files/providers",
}


def at(driver: str, host: str, port: int = 6334) -> dict[str, Any]:
    """A provider at this address."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    match driver:
        case "openai-compatible":
            return provider(driver, KEY, baseUrl=url)
        case "qdrant":
            return provider(driver, KEY, url=url)
        case "pgvector":
            return provider(driver, {"password": "secret"}, user="u", database="d", host=host, port=port)
    return provider(driver, {"accessKeyId": "id", "secretAccessKey": "secret"}, endpoint=url, bucket="bucket")


@asynccontextmanager
async def endless_s3() -> AsyncIterator[int]:
    """Every answer is an error of 200 MiB."""

    async def refuse(peer: Peer, request: Request) -> None:
        await peer.send(b"HTTP/1.1 403 No\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % (200 * MIB))
        sent = 0
        while sent < 200 and not peer.closing:
            await peer.send(b"<a/>" * (MIB // 4))
            sent += 1
        peer.close()

    async with FakeUpstream(each(refuse), host=HERE) as server:
        yield server.port


@asynccontextmanager
async def noisy_postgres() -> AsyncIterator[int]:
    """Say one notice of 80 MiB to whoever signs in."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readexactly(8)
            writer.write(b"N")  # no TLS
            await reader.readuntil(b"user\0")
            writer.write(b"N" + struct.pack(">i", 80 * MIB))
            for _ in range(80):
                writer.write(b"M" * MIB)
                await writer.drain()
        writer.close()

    async with listening(lambda sock: asyncio.start_server(serve, sock=sock), HERE) as port:
        yield port


@asynccontextmanager
async def bloated_qdrant() -> AsyncIterator[int]:
    """Answer queries with one point of 64 MiB."""
    async with HostileQdrant({"Query": found(scored(payload=payload("x" * 64 * MIB)))}, address=f"{HERE}:0") as server:
        yield server.port


async def _upload(rest: Rest, token: str) -> int:
    body = {"fileName": "a.txt", "data": "aGVsbG8="}
    return (await rest.call("POST", "/v1/files/buckets/attack/objects", body, token=token)).status


async def _query(rest: Rest, token: str, driver: str) -> int:
    path = f"/v1/vector/providers/{driver}/indexes"
    if driver == "pgvector":  # it does not come to queries: the first connection is the attack
        return (await rest.call("POST", path, {"name": "attack", "dimension": 4}, token=token)).status
    query = {"query": {"vector": [1, 0, 0, 0], "topK": 3}}
    return (await rest.call("POST", f"{path}/attack/query", query, token=token)).status


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and a call through the edge that makes a service ask it."""

    open: Callable[[], AbstractAsyncContextManager[int]]
    """Returns its port."""
    service: str
    attack: Callable[[Rest, str], Awaitable[int]]
    """Takes the tenant's token, returns the status."""


SERVERS = {
    "s3": Server(endless_s3, "rag", _upload),
    "pgvector": Server(noisy_postgres, "vector", lambda rest, token: _query(rest, token, "pgvector")),
    "qdrant": Server(bloated_qdrant, "vector", lambda rest, token: _query(rest, token, "qdrant")),
}


async def prepare(rest: Rest, token: str, driver: str, port: int) -> None:
    """The attacker's provider, with what is asked of it."""
    await rest.ok("POST", PATHS[driver], at(driver, HERE, port), token=token)
    if driver == "s3":
        bucket = {"name": "Attack", "key": "attack", "providerKey": driver}
        await rest.ok("POST", "/v1/files/buckets", bucket, token=token)
    if driver == "qdrant":
        index = {"name": "attack", "dimension": 4}
        await rest.ok("POST", f"{PATHS[driver]}/{driver}/indexes", index, token=token)
