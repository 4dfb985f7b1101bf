"""MongoDB and Redis that are lost under traffic and come back."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pymongo.uri_parser import parse_uri

from tests.support.breakable_relay import Relay, relay
from tests.support.cluster import Cluster, Rest, until
from tests.support.connections import http_session
from tests.support.deployments import MONGODB
from tests.support.redis_server import RedisServer, redis_server

CHAT = {"model": "echo", "messages": [{"role": "user", "content": "still there?"}]}
WRITERS = 4
ENOUGH = 8
"""Writes of a phase before the next one begins."""


class Traffic:
    """Models that are made, and chats that are held, one after the other by some writers."""

    def __init__(self, rest: Rest, token: str) -> None:
        self.rest = rest
        self.token = token
        self.kept: list[str] = []
        self.chats = 0
        self.answers: Counter[int] = Counter()
        self.refusals: list[Any] = []
        self.running = True

    async def write(self, worker: int) -> None:
        number = 0
        while self.running:
            number += 1
            key = f"m-{worker}-{number}"
            body = {"key": key, "name": "M", "category": "llm", "providerKey": "echo", "modelId": "echo"}
            made = await self.rest.call("POST", "/v1/models", body, token=self.token)
            chat = await self.rest.call("POST", "/v1/chat/completions", CHAT, token=self.token)
            self.kept += [key] if made.status == 201 else []
            self.chats += chat.status == 200
            for answer in (made, chat):
                self.answers[answer.status] += 1
                if answer.status >= 400:
                    self.refusals.append(answer)

    async def goes_on(self) -> None:
        """Return when so much more was written."""
        wanted = len(self.kept) + ENOUGH
        await until(lambda: _true(len(self.kept) >= wanted), 60)


async def _true(outcome: bool) -> bool:
    return outcome


async def test_nothing_acknowledged_is_lost_with_stores_that_come_back(
    tmp_path: Path, stores_settings: Callable[[str], Mapping[str, str]]
) -> None:
    """Errors meanwhile say what to do, and end by themselves: nothing is restarted but the stores."""
    settings = dict(stores_settings(MONGODB))
    port = int(parse_uri(settings["MONGODB_URL"])["nodelist"][0][1])
    async with relay(port) as mongodb, http_session() as http:
        with redis_server() as redis:
            url = f"mongodb://127.0.0.1:{mongodb.port}/?directConnection=true"
            settings |= {"MONGODB_URL": url, "REDIS_URL": redis.url}
            cluster = Cluster(tmp_path / "data", stores=settings)
            await asyncio.to_thread(cluster.start)
            try:
                await _lose_and_return(cluster, Rest(cluster.url, http), mongodb, redis)
            finally:
                assert await asyncio.to_thread(cluster.stop) == 0


async def _lose_and_return(cluster: Cluster, rest: Rest, mongodb: Relay, redis: RedisServer) -> None:
    token = cluster.dev_token
    traffic = Traffic(rest, token)
    writers = [asyncio.create_task(traffic.write(worker)) for worker in range(WRITERS)]
    await traffic.goes_on()
    await mongodb.cut()
    await until(lambda: _true(len(traffic.refusals) >= WRITERS), 60)
    await mongodb.mend()
    await traffic.goes_on()
    redis.stop()
    await asyncio.to_thread(redis.start)
    await traffic.goes_on()
    traffic.running = False
    await asyncio.gather(*writers)
    for refusal in traffic.refusals:
        assert refusal.status in (503, 504), refusal.raw
        assert "Traceback" not in refusal.raw.decode()
        assert "Retry-After" in refusal.headers or refusal.status == 504, refusal.raw
    models = (await rest.ok("GET", "/v1/models", token=token))["models"]
    assert set(traffic.kept) <= {model["key"] for model in models}

    async def all_counted() -> bool:
        rows = (await rest.ok("GET", "/v1/usage?groupBy=status", token=token))["rows"]
        return bool(sum(row["requests"] for row in rows if row["group"]["status"] == "success") >= traffic.chats)

    await until(all_counted, 60)
