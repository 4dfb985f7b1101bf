"""Measure the CPU that quotas and a budget over Redis add to a chat, beside one without, turn by turn in one process.

python -m tests.load.bench_quotas

What Redis itself uses is told apart. Most calls should need no command of it.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

from core import context
from core.context import Identity, Kind, RequestContext
from core.tenancy import Project
from services.inference.domain.pipeline.answer import read_whole
from tests.load.processes import tree
from tests.support.inference_harness import Harness, inference
from tests.support.quotas import ACME, limit
from tests.support.redis_server import RedisServer, redis_server

LIMITS = {
    "rateLimit.requests.perMinute": 1_000_000,
    "rateLimit.tokens.perDay": 1_000_000_000,
    "budget.dailySpendLimit": 100_000_000,
    "budget.monthlySpendLimit": 100_000_000,
}
BODY = {"model": "m", "messages": [{"role": "user", "content": "The quick brown fox jumps. " * 8}], "max_tokens": 64}


async def chats(harness: Harness, count: int, *, stream: bool) -> float:
    """Microseconds of this process's CPU for each of so many chats."""
    identity = Identity(Project(ACME, "p1"), "u1", Kind.API, frozenset("*"), "t1", 0.0, None)
    context.bind(RequestContext(uuid4().hex, identity))
    body = {**BODY, "stream": stream}
    began = time.process_time()
    for _ in range(count):
        exchange, answer = await harness.domain.pipeline.chat(body)
        if stream:
            while not answer.ended:
                await answer.next()
            await answer.close()
        else:
            await read_whole(answer)
        if exchange.call.reservation is not None:
            exchange.call.reservation.headers()
    return (time.process_time() - began) / count * 1e6


async def commands(harness: Harness) -> int:
    """Commands that Redis has carried out."""
    redis = harness.running.platform.shared.redis
    assert redis is not None
    return int((await redis.execute("INFO", "stats"))["total_commands_processed"])


async def measure(plain: Harness, limited: Harness, server: RedisServer, rounds: int, count: int) -> None:
    for stream in (False, True):
        for each in (plain, limited):
            await chats(each, count, stream=stream)
        added, without, redis = [], [], tree(server.pid).cpu
        before = await commands(limited)
        for _ in range(rounds):
            one, other = await chats(plain, count, stream=stream), await chats(limited, count, stream=stream)
            added.append(other - one)
            without.append(one)
        redis = (tree(server.pid).cpu - redis) / rounds / count * 1e6
        trips = (await commands(limited) - before) / rounds / count
        print(
            f"{'streamed' if stream else 'whole':8} chat without: {statistics.median(without):6.1f} us, "
            f"added: {statistics.median(added):5.1f} us (least {min(added):5.1f}), Redis: {redis:5.1f} us, "
            f"commands a call: {trips:.4f}"
        )


async def main(rounds: int, count: int) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(redis_server())
        env = {"CACHE_PROVIDER": "redis", "REDIS_URL": server.url}
        plain = await stack.enter_async_context(inference(folder / "plain"))
        limited = await stack.enter_async_context(inference(folder / "limited", **env))
        for each in (plain, limited):
            caller = each.caller()
            await caller.provider()
            await caller.model()
        await limit(limited.running.platform.store, LIMITS)
        limited.running.platform.policies.forget(ACME)
        await measure(plain, limited, server, rounds, count)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--chats", type=int, default=200, help="chats of each kind in a round")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.chats))
