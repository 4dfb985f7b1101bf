"""Servers that a tenant runs against us, and addresses that it must not lead us to, through the edge."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster, Rest, Tenant
from tests.support.fake_upstream import FakeUpstream, Peer, Request, each
from tests.support.hostile_qdrant import HostileQdrant, found, payload, scored

HERE = "127.0.0.2"
"""Where the servers of these tests are. Not where localhost is, so that may be refused."""
MIB = 1024 * 1024
GROWTH = 150 * MIB
ROUNDS, AT_A_TIME = 3, 4

KEY = {"apiKey": "secret"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One that keeps tenants from its own network, as in production; the servers of these tests are the exception."""
    env = {"PORTICO_OUTBOUND_BLOCK_PRIVATE": "true", "PORTICO_OUTBOUND_ALLOWED_HOSTS": HERE}
    running = Cluster(tmp_path_factory.mktemp("portico"), env).start()
    yield running
    assert running.stop() == 0


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


@pytest.mark.parametrize("driver", PATHS)
async def test_a_provider_that_is_led_elsewhere_does_not_take_its_credentials_along(
    rest: Rest, tenant: Tenant, driver: str
) -> None:
    """A change of `baseUrl`, `url` or `host` kept the stored secret and sent it to the new address."""
    async with FakeUpstream(each(nothing), host=HERE) as thief:
        made = at(driver, HERE, 9)
        elsewhere = at(driver, HERE, thief.port)["settings"]
        path = f"{PATHS[driver]}/{driver}"
        await rest.ok("POST", PATHS[driver], made, token=tenant.session)
        before = await rest.ok("GET", path, token=tenant.session)
        for change in ({"settings": elsewhere}, {"settings": elsewhere, "credentials": {}}):
            refused = await rest.call("PATCH", path, change, token=tenant.session)
            assert (refused.status, refused.body["error"]["code"]) == (400, "credential_needed_again")
        assert await rest.ok("GET", path, token=tenant.session) == before
        assert thief.connections == 0
    brought = {"settings": elsewhere, "credentials": made["credentials"]}
    await rest.ok("PATCH", path, brought, token=tenant.session)


async def nothing(peer: Peer, request: Request) -> None:
    """No answer."""


INTERNAL = [
    "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "::ffff:0:10.0.0.1", "::127.0.0.1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1", "2002:a00:1::", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "fe80::5efe:a00:1", "fd00::1",
    "localhost", "no-such-name.invalid",
]  # fmt: skip
"""The last but one exists and is ours, the last does not exist."""


@pytest.mark.parametrize("driver", PATHS)
async def test_no_form_of_an_internal_address_is_taken_and_names_are_not_told_apart(
    rest: Rest, tenant: Tenant, driver: str
) -> None:
    """`::ffff:0:a.b.c.d` passed, and the answers told names of our network from names that there are not."""
    answers = []
    for host in INTERNAL:
        refused = await rest.call("POST", PATHS[driver], at(driver, host), token=tenant.session)
        assert refused.status == 400, (host, refused.raw)
        answers.append(refused.body["error"])
    assert {answer["code"] for answer in answers} == {"address_refused"}
    assert len({str(answer) for answer in answers}) == 1


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
    """Says one notice of 80 MiB to whoever signs in."""

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

    server = await asyncio.start_server(serve, HERE, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@asynccontextmanager
async def bloated_qdrant() -> AsyncIterator[int]:
    """Answers queries with one point of 64 MiB."""
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


Attack = Callable[[Rest, str], Awaitable[int]]
ATTACKS: dict[str, tuple[Any, str, Attack]] = {
    "s3": (endless_s3, "rag", _upload),
    "pgvector": (noisy_postgres, "vector", lambda rest, token: _query(rest, token, "pgvector")),
    "qdrant": (bloated_qdrant, "vector", lambda rest, token: _query(rest, token, "qdrant")),
}


async def prepare(rest: Rest, attacker: Tenant, driver: str, port: int) -> None:
    """The attacker's provider, with what is asked of it."""
    await rest.ok("POST", PATHS[driver], at(driver, HERE, port), token=attacker.session)
    if driver == "s3":
        bucket = {"name": "Attack", "key": "attack", "providerKey": driver}
        await rest.ok("POST", "/v1/files/buckets", bucket, token=attacker.session)
    if driver == "qdrant":
        index = {"name": "attack", "dimension": 4}
        await rest.ok("POST", f"{PATHS[driver]}/{driver}/indexes", index, token=attacker.session)


def memory(pid: int, which: str) -> int:
    """VmRSS, now, or VmHWM, at most so far; in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (each for each in lines if each.startswith(which))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("driver", ATTACKS)
async def test_a_server_that_answers_without_end_costs_its_tenant_alone(
    cluster: Cluster, rest: Rest, tenant: Tenant, driver: str
) -> None:
    """An S3 error of 200 MiB took rag to 1.1 GiB, a notice of 80 MiB stopped vector for seconds, and Qdrant's answers
    had no limit."""
    open_server, service, attack = ATTACKS[driver]
    attacker, pid = await rest.register(), cluster.pid(service)
    chatted = 0
    async with open_server() as port:
        await prepare(rest, attacker, driver, port)
        await attack(rest, attacker.session)  # the driver's libraries are in memory now
        before = memory(pid, "VmRSS")

        async def chat() -> None:
            nonlocal chatted
            while True:
                await rest.ok(
                    "POST",
                    "/v1/chat/completions",
                    {"model": "echo", "messages": [{"role": "user", "content": "hello"}]},
                    token=tenant.session,
                )
                chatted += 1

        neighbour = asyncio.create_task(chat())
        for _ in range(ROUNDS):
            answers = await asyncio.gather(*(attack(rest, attacker.session) for _ in range(AT_A_TIME)))
            assert set(answers) <= {502, 503}
            await rest.ok("GET", "/v1/vector/providers", token=tenant.session)
            await rest.ok("GET", "/v1/files/buckets", token=tenant.session)
        assert not neighbour.done()
        neighbour.cancel()
        with suppress(asyncio.CancelledError):
            await neighbour
    assert chatted > 0
    assert max(memory(pid, "VmHWM"), before) - before <= GROWTH
