"""The client of Redis on real servers, also where they are killed, hang, refuse, or fail over."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cache.redis import RedisCache
from core.circuits import CircuitOpen
from core.errors import Unavailable
from core.locks.redis import RedisLocks
from core.rate_limits.memory import MemoryRateLimits
from core.rate_limits.redis import RedisRateLimits
from core.redis.client import RedisClient, Script
from core.redis.errors import RedisLost, RedisRefused
from core.redis.tenant_data import RedisTenantData
from core.tenancy import MAIN, Project, Tenant
from tests.support.redis_client import redis_client
from tests.support.redis_server import (
    MISSING,
    RedisServer,
    program,
    redis_cluster,
    redis_sentinels,
    redis_server,
)
from tests.support.tls import make_authority
from tests.support.tls_relay import tls_relay

ACME, GLOBEX = Tenant("acme"), Tenant("globex")
RED = Project(ACME, "red")
ADD = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")

pytestmark = pytest.mark.skipif(program() is None, reason=MISSING)


@pytest.fixture
def own() -> Iterator[RedisServer]:
    """A server that the test may stop."""
    with redis_server() as server:
        yield server


async def add(client: RedisClient, tenant: Tenant = ACME) -> int:
    return int(await client.run(ADD, [client.keys.of(tenant, "count", "x")], [1]))


async def served(client: RedisClient, seconds: float = 60.0) -> int:
    """The answer of the first call that is served. Until then each must fail as Unavailable."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await add(client)
            except Unavailable:
                await asyncio.sleep(0.02)


async def test_commands_and_scripts(redis: RedisServer) -> None:
    async with redis_client(redis.url) as client:
        key = client.keys.of(RED, "count", "a {b} \0 *")
        assert await client.execute("SET", key, b"\xff\0", "PX", 60_000)
        assert await client.execute("GET", key) == b"\xff\0"
        assert [await add(client), await add(client)] == [1, 2]
        await client.check()


async def test_an_error_of_a_script_is_a_bug_and_no_trouble_of_the_server(redis: RedisServer) -> None:
    async with redis_client(redis.url) as client:
        with pytest.raises(Exception, match="Unknown") as caught:
            await client.run(Script("return redis.call('NOSUCH')"), [client.keys.of(MAIN, "count", "x")])
        assert not isinstance(caught.value, Unavailable)


async def test_tenants_with_the_same_names_do_not_meet_and_one_is_erased_whole(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.redis.client._SCAN", 10)
    async with redis_client(redis.url) as client:
        assert [await add(client, tenant) for tenant in (ACME, GLOBEX, ACME)] == [1, 1, 2]
        cache = RedisCache(client)
        for tenant in (ACME, GLOBEX):
            for i in range(45):
                await cache.set(Project(tenant, "red"), f"k{i}", "planted marker", 60)
        await RedisTenantData(client).erase(ACME)
        assert await client.erase(ACME) == 0
        assert await cache.get(RED, "k1") is None
        assert await cache.get(Project(GLOBEX, "red"), "k1") == "planted marker"
        assert await client.erase(GLOBEX) == 46


async def test_a_server_that_is_killed_and_comes_back_without_its_scripts(own: RedisServer) -> None:
    async with redis_client(own.url) as client:
        assert await add(client) == 1
        own.stop()
        for _ in range(5):
            with pytest.raises(RedisLost):
                await add(client)
        own.start()
        assert await served(client) == 1, "its data is lost, and its scripts are sent anew"


async def test_traffic_goes_on_through_a_kill(own: RedisServer) -> None:
    """Calls fail as Unavailable while it is away, and none hangs."""
    async with redis_client(own.url) as client:
        cache, limits = RedisCache(client), RedisRateLimits(client, MemoryRateLimits())
        ended = asyncio.Event()

        async def load() -> str:
            return "loaded"

        async def work(i: int) -> None:
            while not ended.is_set():
                assert await cache.load(RED, f"k{i % 3}", 60, load) == "loaded"
                await limits.hit(RED, f"b{i}", "1000000/minute")
                await asyncio.sleep(0)

        working = [asyncio.create_task(work(i)) for i in range(20)]
        for _ in range(3):
            await served(client)
            own.stop()
            with pytest.raises(Unavailable):
                await add(client)
            own.start()
        await served(client)
        ended.set()
        async with asyncio.timeout(30):
            await asyncio.gather(*working)


async def test_a_server_that_hangs_costs_a_bounded_time_and_then_none(
    own: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.redis.client._RESET_SECONDS", 3600.0)
    async with redis_client(own.url) as client, redis_client(own.url, PORTICO_REDIS_SECONDS="0.1") as hasty:
        assert await add(client) == 1
        own.pause()
        results = await asyncio.gather(*(add(hasty) for _ in range(100)), return_exceptions=True)
        assert all(isinstance(each, RedisLost) for each in results)
        with pytest.raises(RedisLost) as caught:
            await add(hasty)
        assert isinstance(caught.value.__cause__, CircuitOpen), "callers do not wait any more"
        assert await RedisCache(hasty).get(RED, "k") is None
        own.resume()
        assert await add(client) == 2


async def test_more_callers_than_connections_wait_for_each_other(redis: RedisServer) -> None:
    async with redis_client(redis.url, PORTICO_REDIS_POOL="2") as client:
        assert sorted(await asyncio.gather(*(add(client) for _ in range(200)))) == list(range(1, 201))
        assert 1 <= redis.call("CLIENT", "LIST").count(b"cmd=evalsha") <= 2


async def test_memory_that_is_full_refuses_writes_and_goes_on_serving_reads(own: RedisServer) -> None:
    async def load() -> str:
        return "loaded"

    async with redis_client(own.url) as client:
        cache = RedisCache(client)
        await cache.set(RED, "kept", 1, 600)
        own.call("CONFIG", "SET", "maxmemory", "1")
        await cache.set(RED, "kept not", 1, 600)
        assert [await cache.get(RED, key) for key in ("kept", "kept not")] == [1, None]
        assert await cache.load(RED, "kept", 60, load) == 1
        assert await cache.load(RED, "new", 60, load) == "loaded"
        with pytest.raises(RedisRefused):
            await add(client)
        with pytest.raises(RedisRefused):
            await RedisRateLimits(client, MemoryRateLimits()).hit(RED, "login", "3/minute", strict=True)
        with pytest.raises(RedisRefused):
            await RedisLocks(client).acquire(RED, "work", 60)
        with pytest.raises(RedisRefused):
            await client.check()
        await cache.delete(RED, "kept")
        assert await cache.get(RED, "kept") is None


async def test_a_replica_refuses_writes(own: RedisServer) -> None:
    own.call("REPLICAOF", "127.0.0.1", "1")
    async with redis_client(own.url) as client:
        with pytest.raises(RedisRefused):
            await add(client)
        with pytest.raises(RedisRefused):
            await RedisLocks(client).acquire(MAIN, "work", 60)
        own.call("REPLICAOF", "NO", "ONE")
        assert await add(client) == 1


async def test_a_password_of_the_default_user_and_one_of_another() -> None:
    user = "--user app on >pw ~portico:* &portico:* +@all -@dangerous"
    with redis_server("--requirepass", "secret", *user.split()) as own:
        place = own.url.removeprefix("redis://")
        async with redis_client(f"redis://:secret@{place}") as client:
            assert await add(client) == 1
        async with redis_client(f"redis://app:pw@{place}", "portico") as client:
            assert await add(client) == 1
            await client.check()
            assert await client.erase(ACME) == 1
        async with redis_client(f"redis://app:pw@{place}", "elsewhere") as client:
            with pytest.raises(RedisRefused):
                await add(client)
        for login in ("", ":wrong@", "app:wrong@"):
            async with redis_client(f"redis://{login}{place}") as client:
                with pytest.raises(RedisRefused) as caught:
                    await add(client)
                assert "wrong" not in caught.value.message


async def test_tls_with_a_certificate_that_is_verified(redis: RedisServer, tmp_path: Path) -> None:
    authority = make_authority(tmp_path, hosts=("api.test",))
    async with tls_relay(redis.port, authority.server) as port:
        async with redis_client(f"rediss://127.0.0.1:{port}", PORTICO_REDIS_CA_FILE=str(authority.ca_file)) as client:
            assert await add(client) == 1
        async with redis_client(f"rediss://localhost:{port}", PORTICO_REDIS_CA_FILE=str(authority.ca_file)) as client:
            with pytest.raises(RedisLost):  # the certificate is for 127.0.0.1
                await add(client)
        async with redis_client(f"rediss://127.0.0.1:{port}") as client:
            with pytest.raises(RedisLost):  # nobody vouches for it
                await add(client)


async def test_sentinels_lead_to_the_new_primary_after_a_failover() -> None:
    with redis_sentinels() as servers:
        async with redis_client(servers.url) as client:
            assert await add(client) == 1
            servers.primary.stop()
            assert await served(client) in (1, 2)  # whether the replica had the first one yet
            assert b"role:master" in servers.replica.call("INFO", "replication")


async def test_a_cluster_has_all_of_a_tenant_on_one_node() -> None:
    with redis_cluster() as nodes:
        async with redis_client(f"redis+cluster://127.0.0.1:1,127.0.0.1:{nodes[0].port}") as client:
            tenants = [Tenant(f"t{i}") for i in range(12)]
            limits, cache = RedisRateLimits(client, MemoryRateLimits()), RedisCache(client)
            for tenant in tenants:
                assert await add(client, tenant) == 1
                await limits.hit(Project(tenant, "red"), "b", "10/minute; 20/hour", strict=True)
                await cache.set(Project(tenant, "red"), "k", tenant.slug, 60)
                assert await cache.get(Project(tenant, "red"), "k") == tenant.slug
            assert await RedisLocks(client).acquire(MAIN, "work", 60) is not None
            await client.check()
            assert all(node.call("DBSIZE") != b":0\r\n" for node in nodes), "the tenants are spread"
            assert await client.erase(tenants[0]) == 4
            assert [await add(client, tenant) for tenant in tenants[:2]] == [1, 2]
