import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from core.errors import Unavailable
from core.health import Health

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
Ask = Callable[[str], Awaitable[int]]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Dependency:
    """A dependency that answers or not, and counts how often it was asked."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.asked = 0
        self.begun = asyncio.Event()
        self.hold: asyncio.Event | None = None

    async def check(self) -> None:
        self.asked += 1
        self.begun.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health("portico.test.v1.TestService", clock=clock)


@pytest.fixture
async def ask(health: Health) -> AsyncIterator[Ask]:
    """Ask over a real channel."""
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        async def ask(service: str) -> int:
            return int((await stub.Check(health_pb2.HealthCheckRequest(service=service))).status)

        yield ask
    await server.stop(None)


NAMES = ("", "portico.test.v1.TestService")


async def test_serving_while_all_checks_pass(health: Health, clock: Clock, ask: Ask) -> None:
    store, cache = Dependency(), Dependency()
    health.add("store", store.check)
    health.add("cache", cache.check)
    await health.start()
    assert await health.ready() == {"store": "ok", "cache": "ok"}
    assert [await ask(name) for name in (*NAMES, "live")] == [SERVING, SERVING, SERVING]

    cache.error = ValueError("no route to cache.internal")
    clock.now = 5.0
    assert await health.ready() == {"store": "ok", "cache": "failed"}
    assert [await ask(name) for name in (*NAMES, "live")] == [NOT_SERVING, NOT_SERVING, SERVING]

    cache.error = None
    clock.now = 10.0
    assert await health.ready() == {"store": "ok", "cache": "ok"}
    assert await ask("") == SERVING
    await health.shutting_down()


async def test_without_what_is_not_essential_a_service_is_degraded_and_serves(health: Health, ask: Ask) -> None:
    """A cache that is lost must not take all replicas out of service."""
    store, cache = Dependency(), Dependency()
    cache.error = ValueError()
    health.add("store", store.check)
    health.add("cache", cache.check, essential=False)
    await health.start()
    assert await health.ready() == {"store": "ok", "cache": "failed"}
    assert [await ask(name) for name in (*NAMES, "live")] == [SERVING, SERVING, SERVING]
    await health.shutting_down()


async def test_not_serving_when_the_first_check_fails(health: Health, ask: Ask) -> None:
    store = Dependency()
    store.error = ValueError()
    health.add("store", store.check)
    await health.start()
    assert [await ask(name) for name in (*NAMES, "live")] == [NOT_SERVING, NOT_SERVING, SERVING]
    await health.shutting_down()


async def test_not_serving_until_the_first_checks_have_passed(health: Health, ask: Ask) -> None:
    """The library's servicer says SERVING from the start."""
    store = Dependency()
    store.hold = asyncio.Event()
    health.add("store", store.check)
    start = asyncio.create_task(health.start())
    await store.begun.wait()
    assert await ask("") == NOT_SERVING
    assert await ask("live") == SERVING
    store.hold.set()
    await start
    assert await ask("") == SERVING
    await health.shutting_down()


async def test_a_service_without_checks_is_ready(health: Health, ask: Ask) -> None:
    await health.start()
    assert await health.ready() == {}
    assert await ask("") == SERVING


async def test_an_answer_holds_for_its_ttl(health: Health, clock: Clock) -> None:
    store = Dependency()
    health.add("store", store.check, ttl=5.0)
    await health.ready()
    clock.now = 4.9
    await health.ready()
    assert store.asked == 1
    clock.now = 5.0
    await health.ready()
    assert store.asked == 2


async def test_a_check_is_asked_once_however_many_wait(health: Health) -> None:
    store = Dependency()
    store.hold = asyncio.Event()
    health.add("store", store.check)
    waiting = [asyncio.create_task(health.ready()) for _ in range(10)]
    await store.begun.wait()
    waiting[0].cancel()
    await asyncio.wait({waiting[0]})
    store.hold.set()
    assert await asyncio.gather(*waiting[1:]) == [{"store": "ok"}] * 9
    assert store.asked == 1


async def test_a_check_that_hangs_has_failed(health: Health) -> None:
    store = Dependency()
    store.hold = asyncio.Event()
    health.add("store", store.check, timeout=0.01)
    assert await health.ready() == {"store": "timed out"}


async def test_a_cancellation_inside_a_check_is_a_failure_of_it(health: Health) -> None:
    """It ended the background loop, and the last outcome stood for ever."""
    store = Dependency()
    store.error = asyncio.CancelledError()
    health.add("store", store.check)
    assert await health.ready() == {"store": "failed"}


async def test_outcomes_are_fit_for_anyone_to_see(health: Health) -> None:
    driver, ours = Dependency(), Dependency()
    driver.error = ValueError("mongodb://user:pw@internal")
    ours.error = Unavailable("The store cannot be reached.")
    health.add("driver", driver.check)
    health.add("ours", ours.check)
    assert await health.ready() == {"driver": "failed", "ours": "The store cannot be reached."}


async def test_only_changes_are_logged(health: Health, clock: Clock) -> None:
    store = Dependency()
    health.add("store", store.check)
    with capture_logs() as lines:
        for moment, error in enumerate([None, None, ValueError("a"), ValueError("b"), None, None]):
            store.error = error
            clock.now = 5.0 * moment
            await health.ready()
    assert [(line["check"], line["value"], line["log_level"]) for line in lines] == [
        ("store", "ok", "info"),
        ("store", "failed", "warning"),
        ("store", "ok", "info"),
    ]


async def test_checks_run_in_the_background(health: Health, clock: Clock, ask: Ask) -> None:
    store = Dependency()
    health.add("store", store.check, ttl=0.001)
    await health.start()
    store.error = ValueError()
    asked = store.asked
    async with asyncio.timeout(5):
        while await ask("") == SERVING:
            pass
        store.error = None
        while await ask("") != SERVING:
            pass
    assert store.asked > asked
    await health.shutting_down()


async def test_there_is_no_way_back_from_shutting_down(health: Health, clock: Clock, ask: Ask) -> None:
    store = Dependency()
    health.add("store", store.check)
    await health.start()
    await health.shutting_down()
    clock.now = 10.0
    assert await health.ready() == {"store": "ok", "lifecycle": "shutting down"}
    assert [await ask(name) for name in (*NAMES, "live")] == [NOT_SERVING] * 3
