"""Contract of every cache; one that keeps nothing still loads once for all who ask at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from core.cache.factory import CacheSettings, make_cache
from core.cache.memory import MemoryCache
from core.cache.none import NoCache
from core.cache.ports import Cache
from core.cache.redis import RedisCache
from core.config import ConfigError, load
from core.tenancy import MAIN, AllProjects, Project, Scope, Tenant
from tests.support.redis_client import redis_client
from tests.support.redis_server import RedisServer

ACME = Tenant("acme")
RED = Project(ACME, "red")
SCOPES: list[Scope] = [MAIN, ACME, AllProjects(ACME), RED, Project(ACME, "blue"), Tenant("globex")]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


IN_PROCESS: dict[str, Callable[[Clock], Cache]] = {
    "memory": lambda clock: MemoryCache(clock=clock),
    "none": lambda clock: NoCache(clock=clock),
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["none", "memory", "redis"])
async def cache(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Cache]:
    if request.param in IN_PROCESS:
        yield IN_PROCESS[request.param](clock)
        return
    server: RedisServer = request.getfixturevalue("redis")
    async with redis_client(server.url) as client:
        yield RedisCache(client)


@pytest.fixture(params=["memory", "redis"])
async def keeping(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Cache]:
    if request.param in IN_PROCESS:
        yield IN_PROCESS[request.param](clock)
        return
    server: RedisServer = request.getfixturevalue("redis")
    async with redis_client(server.url) as client:
        yield RedisCache(client)


class Loader:
    """Counts its calls, and finishes when it is let go."""

    def __init__(self, value: Any = "loaded", error: Exception | None = None) -> None:
        self.value, self.error, self.calls, self.cancelled = value, error, 0, 0
        self.started, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> Any:
        self.calls += 1
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error
        return self.value


class TestValues:
    @pytest.mark.parametrize("value", ["text", 1, 1.5, True, None, [1, "a"], {"a": {"b": [None]}}, "\0", ""])
    async def test_what_was_set_is_read_back(self, keeping: Cache, value: Any) -> None:
        await keeping.set(RED, "k", value, 10)
        assert await keeping.get(RED, "k") == value

    async def test_until_it_expires(self, clock: Clock) -> None:
        cache = MemoryCache(clock=clock)
        await cache.set(RED, "k", 1, 10)
        clock.now += 9.9
        assert await cache.get(RED, "k") == 1
        clock.now += 0.1
        assert await cache.get(RED, "k") is None

    async def test_a_value_that_has_no_time_to_live_is_not_kept(self, keeping: Cache) -> None:
        await keeping.set(RED, "k", 1, 10)
        await keeping.set(RED, "k", 2, 0)
        assert await keeping.get(RED, "k") is None

    async def test_delete(self, cache: Cache) -> None:
        await cache.set(RED, "k", 1, 10)
        await cache.delete(RED, "k")
        await cache.delete(RED, "never there")
        assert await cache.get(RED, "k") is None

    async def test_scopes_do_not_share(self, keeping: Cache) -> None:
        for i, scope in enumerate(SCOPES):
            await keeping.set(scope, "k", i, 10)
        assert [await keeping.get(scope, "k") for scope in SCOPES] == list(range(len(SCOPES)))
        await keeping.delete(ACME, "k")
        assert await keeping.get(RED, "k") is not None

    async def test_nobody_changes_a_value_for_the_others(self, keeping: Cache) -> None:
        value = {"list": [1]}
        await keeping.set(RED, "k", value, 10)
        value["list"].append(2)
        (await keeping.get(RED, "k"))["list"].append(3)  # type: ignore[index]
        assert await keeping.get(RED, "k") == {"list": [1]}

    async def test_what_is_not_json_is_refused(self, cache: Cache) -> None:
        with pytest.raises(TypeError):
            await cache.set(RED, "k", object(), 10)

    async def test_none_keeps_nothing(self) -> None:
        cache = NoCache()
        await cache.set(RED, "k", 1, 10)
        assert await cache.get(RED, "k") is None


class TestBounds:
    async def test_the_least_recently_used_goes_first(self) -> None:
        cache = MemoryCache(max_entries=3)
        for key in "abc":
            await cache.set(RED, key, key, 10)
        await cache.get(RED, "a")
        await cache.set(RED, "d", "d", 10)
        assert [await cache.get(RED, key) for key in "abcd"] == ["a", None, "c", "d"]

    async def test_by_bytes(self) -> None:
        cache = MemoryCache(max_bytes=1000)
        for i in range(100):
            await cache.set(RED, f"k{i}", "x" * 98, 10)
        assert len(cache) == 10
        await cache.set(RED, "huge", "x" * 2000, 10)
        assert await cache.get(RED, "huge") is None
        await cache.set(RED, "k", 1, 10)
        assert await cache.get(RED, "k") == 1

    async def test_a_value_that_is_replaced_is_counted_once(self) -> None:
        cache = MemoryCache(max_bytes=1000)
        for _ in range(100):
            await cache.set(RED, "k", "x" * 500, 10)
        await cache.set(RED, "other", "x" * 400, 10)
        assert await cache.get(RED, "k") == "x" * 500


class TestLoad:
    async def test_is_kept(self, keeping: Cache) -> None:
        loader = Loader({"a": 1})
        loader.go.set()
        assert await keeping.load(RED, "k", 10, loader) == {"a": 1} == await keeping.load(RED, "k", 10, loader)
        assert await keeping.get(RED, "k") == {"a": 1}
        assert loader.calls == 1

    async def test_until_it_expires(self, clock: Clock) -> None:
        cache, loader = MemoryCache(clock=clock), Loader()
        loader.go.set()
        await cache.load(RED, "k", 10, loader)
        clock.now += 10
        await cache.load(RED, "k", 10, loader)
        assert loader.calls == 2

    async def test_none_is_a_value_too(self, keeping: Cache) -> None:
        loader = Loader(None)
        loader.go.set()
        assert [await keeping.load(RED, "k", 10, loader) for _ in range(3)] == [None] * 3
        assert loader.calls == 1

    async def test_misses_at_once_load_once(self, cache: Cache) -> None:
        loader = Loader([1])
        waiting = [asyncio.create_task(cache.load(RED, "k", 10, loader)) for _ in range(20)]
        other = asyncio.create_task(cache.load(Project(ACME, "blue"), "k", 10, loader))
        await loader.started.wait()
        loader.go.set()
        results = await asyncio.gather(*waiting, other)
        assert results == [[1]] * 21
        assert loader.calls == 2
        results[0].append(2)
        assert results[1] == [1]

    async def test_an_error_reaches_all_and_is_not_kept(self, cache: Cache) -> None:
        failing = Loader(error=LookupError("gone"))
        waiting = [asyncio.create_task(cache.load(RED, "k", 10, failing)) for _ in range(5)]
        await failing.started.wait()
        failing.go.set()
        assert all(isinstance(each, LookupError) for each in await asyncio.gather(*waiting, return_exceptions=True))
        assert failing.calls == 1
        failing.error = None
        assert await cache.load(RED, "k", 10, failing) == "loaded"

    async def test_a_first_caller_that_is_cancelled_fails_nobody(self, cache: Cache) -> None:
        loader = Loader()
        first, *others = [asyncio.create_task(cache.load(RED, "k", 10, loader)) for _ in range(3)]
        await loader.started.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        loader.go.set()
        assert await asyncio.gather(*others) == ["loaded"] * 2
        assert (loader.calls, loader.cancelled) == (1, 0)

    async def test_when_the_last_leaves_the_load_stops(self, cache: Cache) -> None:
        loader = Loader()
        waiting = [asyncio.create_task(cache.load(RED, "k", 10, loader)) for _ in range(3)]
        await loader.started.wait()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        loader.go.set()
        assert await cache.load(RED, "k", 10, loader) == "loaded"
        assert (loader.calls, loader.cancelled) == (2, 1)

    @pytest.mark.parametrize("change", ["delete", "set"])
    async def test_a_change_during_the_load_is_not_undone_by_it(self, keeping: Cache, change: str) -> None:
        """A value read before the change was kept after it, until it expired."""
        stale = Loader("stale")
        loading = asyncio.create_task(keeping.load(RED, "k", 10, stale))
        await stale.started.wait()
        await (keeping.delete(RED, "k") if change == "delete" else keeping.set(RED, "k", "new", 10))
        fresh = Loader("new")
        fresh.go.set()
        assert await keeping.load(RED, "k", 10, fresh) == "new"
        stale.go.set()
        assert await loading == "stale"
        assert await keeping.get(RED, "k") == "new"


class TestSharedCache:
    """What replicas see of each other."""

    @pytest.fixture
    async def replicas(self, redis: RedisServer) -> AsyncIterator[tuple[Cache, Cache]]:
        async with redis_client(redis.url, "shared") as one, redis_client(redis.url, "shared") as other:
            yield RedisCache(one), RedisCache(other)
            await one.erase(ACME)

    async def test_what_one_has_loaded_the_other_finds(self, replicas: tuple[Cache, Cache]) -> None:
        one, other = replicas
        loader = Loader()
        loader.go.set()
        assert [await each.load(RED, "k", 10, loader) for each in (one, other)] == ["loaded"] * 2
        assert loader.calls == 1

    @pytest.mark.parametrize("change", ["delete", "set"])
    async def test_a_change_elsewhere_is_not_undone_by_a_load(self, replicas: tuple[Cache, Cache], change: str) -> None:
        one, other = replicas
        stale = Loader("stale")
        loading = asyncio.create_task(one.load(RED, "k", 10, stale))
        await stale.started.wait()
        await (other.delete(RED, "k") if change == "delete" else other.set(RED, "k", "new", 10))
        stale.go.set()
        assert await loading == "stale"
        assert await one.get(RED, "k") == (None if change == "delete" else "new")

    async def test_an_entry_has_its_time_to_live(self, redis: RedisServer) -> None:
        async with redis_client(redis.url) as client:
            cache, loader = RedisCache(client), Loader()
            loader.go.set()
            await cache.set(RED, "set", 1, 10)
            await cache.load(RED, "loaded", 20, loader)
            for name, ttl in (("set", 10_000), ("loaded", 20_000)):
                assert ttl - 5000 < await client.execute("PTTL", client.keys.of(RED, "cache", name)) <= ttl

    async def test_a_huge_value_is_served_and_not_kept(self, redis: RedisServer) -> None:
        async with redis_client(redis.url) as client:
            cache, huge = RedisCache(client), Loader("x" * 2_000_000)
            huge.go.set()
            assert await cache.load(RED, "k", 10, huge) == huge.value
            await cache.set(RED, "set", huge.value, 10)
            assert [await cache.get(RED, key) for key in ("k", "set")] == [None, None]

    @pytest.mark.parametrize("key", ["", "a:b {c}*?[x]", "\0\r\n$5", "\ud800", "x" * 100_000])
    async def test_odd_keys(self, replicas: tuple[Cache, Cache], key: str) -> None:
        one, other = replicas
        await one.set(RED, key, 1, 10)
        scopes = (RED, ACME, Project(Tenant("globex"), "red"))
        assert [await other.get(scope, key) for scope in scopes] == [1, None, None]


class TestSettings:
    def test_the_cache_that_is_named(self) -> None:
        assert type(make_cache(load(CacheSettings, {}))) is MemoryCache
        assert type(make_cache(load(CacheSettings, {"CACHE_PROVIDER": "none"}))) is NoCache
        with pytest.raises(ConfigError, match="CACHE_PROVIDER"):
            load(CacheSettings, {"CACHE_PROVIDER": "memcached"})

    async def test_check_and_close(self, cache: Cache) -> None:
        await cache.check()
        await cache.close()
