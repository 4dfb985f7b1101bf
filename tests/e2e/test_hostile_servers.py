"""Servers that a tenant runs against us, and addresses that it must not lead us to, through the edge."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, Rest, Tenant
from tests.support.fake_upstream import FakeUpstream, Peer, Request, each
from tests.support.hostile_servers import HERE, MIB, PATHS, SERVERS, at, prepare

GROWTH = 150 * MIB
ROUNDS, AT_A_TIME = 3, 4


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One that keeps tenants from its own network, as in production; the servers of these tests are the exception."""
    env = {"PORTICO_OUTBOUND_BLOCK_PRIVATE": "true", "PORTICO_OUTBOUND_ALLOWED_HOSTS": HERE}
    running = Cluster(tmp_path_factory.mktemp("portico"), env).start()
    yield running
    assert running.stop() == 0


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


def memory(pid: int, which: str) -> int:
    """VmRSS, now, or VmHWM, at most so far; in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (each for each in lines if each.startswith(which))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("driver", SERVERS)
async def test_a_server_that_answers_without_end_costs_its_tenant_alone(
    cluster: Cluster, rest: Rest, tenant: Tenant, driver: str
) -> None:
    """An S3 error of 200 MiB took rag to 1.1 GiB, a notice of 80 MiB stopped vector for seconds, and Qdrant's answers
    had no limit."""
    server = SERVERS[driver]
    attacker, pid = await rest.register(), cluster.pid(server.service)
    chatted = 0
    async with server.open() as port:
        await prepare(rest, attacker.session, driver, port)
        await server.attack(rest, attacker.session)  # the driver's libraries are in memory now
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
            answers = await asyncio.gather(*(server.attack(rest, attacker.session) for _ in range(AT_A_TIME)))
            assert set(answers) <= {502, 503}
            await rest.ok("GET", "/v1/vector/providers", token=tenant.session)
            await rest.ok("GET", "/v1/files/buckets", token=tenant.session)
        assert not neighbour.done()
        neighbour.cancel()
        with suppress(asyncio.CancelledError):
            await neighbour
    assert chatted > 0
    assert max(memory(pid, "VmHWM"), before) - before <= GROWTH
