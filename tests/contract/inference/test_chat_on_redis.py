"""Chats of a service whose replicas share state in Redis."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.inference_harness import Caller, Harness, inference
from tests.support.redis_server import MISSING, RedisServer, program, redis_server
from tests.support.waiting import until

_CALLS = re.compile(rb"cmdstat_(evalsha|eval|get|set|unlink|publish|exists):calls=(\d+)")


@pytest.fixture
async def on_redis(tmp_path: Path) -> AsyncIterator[tuple[Harness, RedisServer]]:
    if program() is None:
        pytest.skip(MISSING)
    with redis_server() as server:
        env = {"CACHE_PROVIDER": "redis", "REDIS_URL": server.url}
        async with inference(tmp_path / "data", **env) as harness:
            yield harness, server


async def _caller(harness: Harness) -> Caller:
    caller = harness.caller()
    await caller.provider()
    await caller.model()
    return caller


def _calls(server: RedisServer) -> dict[bytes, int]:
    """Commands by name, but for the readiness check's."""
    counts = {name: int(count) for name, count in _CALLS.findall(server.call("INFO", "commandstats"))}
    counts.pop(b"set", None)
    return counts


async def test_a_chat_asks_nothing_of_redis(on_redis: tuple[Harness, RedisServer]) -> None:
    harness, server = on_redis
    caller = await _caller(harness)
    await caller.chat()
    await until(lambda: not harness.running.platform.shared.fanout._waiting)  # type: ignore[attr-defined]
    before = _calls(server)
    for _ in range(20):
        await caller.chat()
        await caller.stream()
    assert _calls(server) == before


async def test_chats_go_on_while_redis_is_killed_and_hangs(on_redis: tuple[Harness, RedisServer]) -> None:
    harness, server = on_redis
    caller = await _caller(harness)
    server.pause()
    assert (await caller.chat("hung"))["choices"][0]["message"]["content"] == "hung"
    server.stop()
    assert (await caller.chat("gone"))["choices"][0]["message"]["content"] == "gone"
    health = harness.running.platform.health
    for check in health._checks:
        check.fresh_until = 0.0
    outcome = await health.ready()
    assert outcome["cache"] != "ok"
    assert health.serving, "degraded, and it serves"
    await caller.model(key="late")
    server.start()
    assert (await caller.chat("back", model="late"))["choices"][0]["message"]["content"] == "back"
