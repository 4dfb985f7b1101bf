"""Messages between replicas over Redis: heard soon, and told of where some may have been missed."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from core.fanout.redis import RedisFanout
from core.redis.client import RedisClient
from core.tasks import Tasks
from core.tenancy import MAIN, AllProjects, Project, Scope, Tenant
from tests.support import waiting
from tests.support.redis_client import redis_client
from tests.support.redis_server import MISSING, RedisServer, program, redis_server

ACME = Tenant("acme")
RED = Project(ACME, "red")


async def until(condition: Callable[[], object]) -> None:
    await waiting.until(condition, 30.0)


class Replica:
    """A process that publishes, and hears the topic `models`."""

    def __init__(self, client: RedisClient) -> None:
        self.client = client
        self.fanout = RedisFanout(client)
        self.tasks = Tasks()
        self.heard: list[tuple[Scope, str]] = []
        self.missed = 0
        self.fanout.subscribe("models", lambda scope, text: self.heard.append((scope, text)), self._missed)

    def _missed(self) -> None:
        self.missed += 1


@asynccontextmanager
async def replica(url: str, prefix: str) -> AsyncIterator[Replica]:
    """A replica that hears."""
    async with redis_client(url, prefix) as client:
        made = Replica(client)
        made.fanout.start(made.tasks)
        try:
            await until(lambda: made.missed)
            yield made
        finally:
            await made.tasks.drain(1.0)
            await made.fanout.close()


@pytest.fixture
async def pair(redis: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Replica, Replica]]:
    prefix = f"f{abs(hash(request.node.name)) % 1_000_000}"
    async with replica(redis.url, prefix) as one, replica(redis.url, prefix) as other:
        yield one, other


async def test_others_hear_and_oneself_does_not(pair: tuple[Replica, Replica]) -> None:
    one, other = pair
    scopes: list[Scope] = [MAIN, ACME, AllProjects(ACME), RED]
    for scope in scopes:
        one.fanout.publish("models", scope, f"changed: {scope}")
    one.fanout.publish("prompts", RED)
    other.fanout.publish("models", RED, "back")
    await until(lambda: len(other.heard) == len(scopes) and one.heard)
    assert other.heard == [(scope, f"changed: {scope}") for scope in scopes]
    assert one.heard == [(RED, "back")]


async def test_installations_on_one_server_do_not_hear_each_other(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    async with replica(redis.url, "another") as stranger:
        pair[0].fanout.publish("models", RED)
        await until(lambda: pair[1].heard)
        assert not stranger.heard


async def test_what_cannot_be_read_is_left_out(pair: tuple[Replica, Replica]) -> None:
    one, other = pair
    channel = one.client.keys.channel(RED, "models")
    for payload in (b"", b"{}", b"[1,2]", b'["x","models","../..","red",""]', b"\xff", b'["x",[],null,null,""]'):
        await one.client.execute("PUBLISH", channel, payload)
    one.fanout.publish("models", RED)
    await until(lambda: other.heard)
    assert other.heard == [(RED, "")]


async def test_messages_wait_for_redis_and_whoever_was_cut_off_is_told() -> None:
    """Redis is killed, and started again without what it knew; then it hangs."""
    if program() is None:
        pytest.skip(MISSING)
    with redis_server() as server:
        async with replica(server.url, "cut") as one, replica(server.url, "cut") as other:
            server.stop()
            before = other.missed
            one.fanout.publish("models", RED, "while it was away")
            one.fanout.publish("models", RED, "while it was away")
            server.start()
            await until(lambda: other.missed > before)
            one.fanout.publish("models", RED, "after")
            await until(lambda: (RED, "after") in other.heard)
            assert len(other.heard) <= 2, "equal messages that wait are one"


async def test_a_flood_of_messages_is_bounded_and_told_as_missed(redis: RedisServer) -> None:
    async with replica(redis.url, "flood") as other, redis_client(redis.url, "flood") as client:
        flooded = RedisFanout(client)  # which does not send yet
        before = other.missed
        for i in range(10_001):
            flooded.publish("models", Project(ACME, f"p{i}"))
        await flooded.close()
        await until(lambda: other.missed > before)
        assert not other.heard


async def test_a_hung_connection_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    if program() is None:
        pytest.skip(MISSING)
    monkeypatch.setattr("core.fanout.redis._SILENCE_SECONDS", 0.1)
    with redis_server() as server:
        async with replica(server.url, "hung") as one:
            with capture_logs() as lines:
                server.pause()
                await until(lambda: any(line["event"] == "other replicas are not heard" for line in lines))
            server.resume()
            await until(lambda: one.missed > 1)


async def test_the_messages_of_a_process_that_stops_are_sent(redis: RedisServer) -> None:
    async with replica(redis.url, "stops") as other, redis_client(redis.url, "stops") as client:
        leaving = RedisFanout(client)
        leaving.publish("models", RED, "last")
        await leaving.close()
        await until(lambda: other.heard == [(RED, "last")])
