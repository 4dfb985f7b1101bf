"""Quotas over several replicas and a real Redis: a budget that many calls want at once, a replica that is killed, a
Redis that is lost."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from core import context
from core.config import Secret
from core.context import Identity, Kind, RequestContext
from core.errors import BudgetExceeded, RateLimited, Unavailable
from core.quotas.limits import CENT
from core.quotas.redis import RedisLedger
from core.quotas.rules import Dimension
from core.redis.client import RedisClient
from core.redis.settings import RedisSettings
from core.tenancy import Project
from portico.inference.v1 import model_service_pb2
from services.inference.domain.pipeline.answer import read_whole
from tests.support.inference_harness import Harness, inference
from tests.support.quotas import ACME, SPEND, SUBJECT, TOKENS, Recorded, limit, replica
from tests.support.redis_server import RedisServer, redis_server

LEASE = 1.0
WORDS = 100
PRICE_PER_MILLION = 200.0


@pytest.fixture
async def client(redis: RedisServer) -> AsyncIterator[RedisClient]:
    client = RedisClient(replace(RedisSettings(), url=Secret(redis.url)))
    await client.execute("FLUSHALL")
    yield client
    await client.close()


async def test_a_thousand_calls_at_once_on_three_replicas_stay_within_a_budget_for_five_hundred(
    redis: RedisServer, client: RedisClient, tmp_path: Path
) -> None:
    """Checking first and counting later let many times the budget through."""
    env = {"CACHE_PROVIDER": "redis", "REDIS_URL": redis.url, "PORTICO_LOG_LEVEL": "error"}
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(inference(tmp_path / "data", **env)) for _ in range(3)]
        caller = replicas[0].caller()
        await caller.provider()
        await caller.model(pricing=model_service_pb2.ModelPricing(output_token_per_1m=PRICE_PER_MILLION))
        cost = round(PRICE_PER_MILLION * 1000) * WORDS
        assert cost == 2 * CENT
        await limit(replicas[0].running.platform.store, {"budget.monthlySpendLimit": 2 * 500})
        for each in replicas:
            each.running.platform.policies.forget(ACME)
        calls = [asyncio.create_task(_chat(replicas[number % 3])) for number in range(1000)]
        answered = sum(await asyncio.gather(*calls))
        assert 450 <= answered <= 500
        for each in replicas:
            await each.flush()
        records = await caller.records(1000)
        assert sum(round(each.cost * 1e9) for each in records) == answered * cost


async def _chat(replica: Harness) -> bool:
    """A chat that is answered with WORDS words; False: it was refused for the budget."""
    identity = Identity(Project(ACME, "p1"), "u1", Kind.API, frozenset("*"), "t1", 0.0, None)
    context.bind(RequestContext("req-1", identity))
    message = {"role": "user", "content": " ".join(["word"] * WORDS)}
    try:
        _, answer = await replica.domain.pipeline.chat({"model": "m", "messages": [message], "max_tokens": WORDS})
    except BudgetExceeded:
        return False
    await read_whole(answer)
    return True


async def test_what_a_killed_replica_held_returns_when_its_lease_ends(redis: RedisServer, client: RedisClient) -> None:
    program = (sys.executable, "-m", "tests.support.quota_process", redis.url, str(LEASE), "20", "50")
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"holds\n"
    other = replica(RedisLedger(client, lease_seconds=LEASE), TOKENS)
    with pytest.raises(RateLimited):
        await other.admit(SUBJECT, {Dimension.TOKENS: 80})
    process.send_signal(signal.SIGKILL)
    await process.wait()
    async with asyncio.timeout(30):
        while True:
            try:
                (await other.admit(SUBJECT, {Dimension.TOKENS: 80})).settle()
                break
            except RateLimited:
                await asyncio.sleep(LEASE / 4)
    with pytest.raises(RateLimited):
        await other.admit(SUBJECT, {Dimension.TOKENS: 1})


async def test_a_budget_outlives_redis() -> None:
    """While Redis is away, and when it comes back without its data, a budget goes by what is recorded."""
    recorded = Recorded()
    with redis_server() as server:
        client = RedisClient(replace(RedisSettings(), url=Secret(server.url)))
        admission = replica(RedisLedger(client), SPEND, seeds={Dimension.SPEND: recorded})
        (await admission.admit(SUBJECT, {Dimension.SPEND: 60})).settle()
        recorded.amount = 60
        server.stop()
        with pytest.raises(BudgetExceeded):
            await admission.admit(SUBJECT, {Dimension.SPEND: 41})
        (await admission.admit(SUBJECT, {Dimension.SPEND: 10})).settle()
        recorded.amount = 70
        server.start()
        async with asyncio.timeout(30):
            while not await _reachable(client):
                await asyncio.sleep(0.1)
        other = replica(RedisLedger(client), SPEND, seeds={Dimension.SPEND: recorded})
        for each in (admission, other):
            with pytest.raises(BudgetExceeded):
                await each.admit(SUBJECT, {Dimension.SPEND: 31})
        (await other.admit(SUBJECT, {Dimension.SPEND: 30})).settle()
        await client.close()


async def _reachable(client: RedisClient) -> bool:
    try:
        await client.check()
    except Unavailable:
        return False
    return True
