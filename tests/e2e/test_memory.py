"""Memory through the edge: in chats, of tenants with the same keys, and through kills of every service behind it."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.support.cluster import Cluster, Rest, Tenant, until
from tests.support.connections import http_session

STORES = "/v1/memory/stores"
NOTES = {"key": "notes", "name": "Notes", "vectorProviderKey": "default", "embeddingModelKey": "echo-embedding"}
ADA = {"scope": "user", "scopeId": "ada"}
QUICK = {"PORTICO_MEMORY_GRACE_SECONDS": "15", "PORTICO_MEMORY_SWEEP_SECONDS": "0.5"}
"""Settings with which what a killed process has left is cleaned up soon."""
SERVICES = ("rag", "vector", "inference")
WORKERS, KILLS = 3, 3


async def contents(rest: Rest, token: str) -> list[str]:
    page = await rest.ok("GET", f"{STORES}/notes/memories?limit=1000", token=token)
    assert page["total"] == len(page["items"])
    return [each["content"] for each in page["items"]]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_is_told_what_is_remembered_and_is_remembered(rest: Rest, tenant: Tenant, stream: bool) -> None:
    token = await rest.token(tenant.session)
    await rest.ok("POST", STORES, NOTES, token=token)
    await rest.ok("POST", f"{STORES}/notes/memories", {"content": "where do I live", **ADA}, token=token)
    messages = [{"role": "user", "content": "where do I live"}]
    body = {"model": "echo", "messages": messages, "stream": stream, "memory": {"storeKey": "notes", **ADA}}
    answer = await rest.call("POST", "/v1/chat/completions", body, token=token)
    assert (answer.status, answer.headers["x-portico-memory"]) == (200, "recalled=1")

    async def remembered() -> bool:
        return "User: where do I live\nAssistant: where do I live" in await contents(rest, token)

    await until(remembered)
    store = (await rest.ok("GET", f"{STORES}/notes", token=token))["store"]
    assert store["memoryCount"] == 2


async def test_a_chat_goes_on_while_the_rag_service_is_down(own_cluster: Cluster) -> None:
    await asyncio.to_thread(own_cluster.start)
    async with http_session() as http:
        rest, token = Rest(own_cluster.url, http), own_cluster.dev_token
        await rest.ok("POST", STORES, NOTES, token=token)
        os.kill(own_cluster.pid("rag"), signal.SIGSTOP)
        body = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}], "memory": {"storeKey": "notes"}}
        answer = await rest.call("POST", "/v1/chat/completions", body, token=token)
        os.kill(own_cluster.pid("rag"), signal.SIGCONT)
        assert answer.status == 200
        assert answer.body["choices"][0]["message"]["content"] == "Hi"
        assert answer.headers["x-portico-memory"].startswith("skipped; reason=")


async def test_tenants_and_projects_with_the_same_keys_share_nothing(rest: Rest) -> None:
    tokens = []
    for number in range(2):
        tenant = await rest.register()
        await rest.echo(tenant.session)
        tokens.append(await rest.token(tenant.session))
        if number == 0:
            made = await rest.ok("POST", "/v1/projects", {"name": "Other", "key": "other"}, token=tenant.session)
            tokens.append(await rest.token(tenant.session, projectId=made["project"]["id"]))
            await rest.echo(tokens[-1])
    ids = []
    for number, token in enumerate(tokens):
        await rest.ok("POST", STORES, NOTES, token=token)
        for text in ("tea", f"tea {number}"):
            made = await rest.ok("POST", f"{STORES}/notes/memories", {"content": text}, token=token)
            assert not made["duplicate"]
        ids.append(made["memory"]["id"])
    for number, token in enumerate(tokens):
        own = {"tea", f"tea {number}"}
        assert set(await contents(rest, token)) == own
        for path in ("search", "recall"):
            found = await rest.ok("POST", f"{STORES}/notes/{path}", {"query": "tea", "minScore": 0}, token=token)
            assert {each["content"] for each in found["memories"]} == own
        foreign = f"{STORES}/notes/memories/{ids[number - 1]}"
        for method, body in (("GET", None), ("PATCH", {"content": "mine"}), ("DELETE", None)):
            assert (await rest.call(method, foreign, body, token=token)).status == 404
    assert (await rest.ok("DELETE", f"{STORES}/notes/memories?all=true", token=tokens[0])) == {"deleted": 2}
    await rest.ok("DELETE", f"{STORES}/notes", token=tokens[0])
    for token in tokens[1:]:
        assert len(await contents(rest, token)) == 2


@pytest.fixture
async def killable(own_cluster: Cluster) -> AsyncIterator[tuple[Cluster, Rest]]:
    own_cluster.env = QUICK
    await asyncio.to_thread(own_cluster.start)
    async with http_session() as http:
        yield own_cluster, Rest(own_cluster.url, http)


class Ledger:
    """The texts that callers know to be there, to be gone, or either."""

    def __init__(self) -> None:
        self.there: dict[str, str] = {}
        self.gone: set[str] = set()

    async def work(self, rest: Rest, token: str, worker: int, stop: asyncio.Event) -> None:
        """Add, change and delete memories until `stop`. What was not answered may be so or not."""
        choose, number = random.Random(worker), 0
        while not stop.is_set():
            number += 1
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
                mine = [text for text in self.there if text.startswith(f"w{worker} ")]
                if mine and choose.random() < 0.4:
                    await self._remove(rest, token, choose.choice(mine))
                else:
                    await self._add(rest, token, f"w{worker} note {number}")

    async def _add(self, rest: Rest, token: str, text: str) -> None:
        answer = await rest.call("POST", f"{STORES}/notes/memories", {"content": text, **ADA}, token=token)
        if answer.status == 201:
            self.there[text] = answer.body["memory"]["id"]

    async def _remove(self, rest: Rest, token: str, text: str) -> None:
        id = self.there.pop(text)
        answer = await rest.call("DELETE", f"{STORES}/notes/memories/{id}", token=token)
        if answer.status in (200, 404):
            self.gone.add(text)


@pytest.mark.each_stores
async def test_kills_lose_nothing_and_bring_nothing_back(killable: tuple[Cluster, Rest]) -> None:
    """Every memory that was acknowledged is there once, and its vector with it; what was deleted stays away; and in the
    end there are as many vectors as memories."""
    cluster, rest = killable
    token, ledger, stop = cluster.dev_token, Ledger(), asyncio.Event()
    store = (await rest.ok("POST", STORES, NOTES, token=token))["store"]
    workers = [asyncio.create_task(ledger.work(rest, token, number, stop)) for number in range(WORKERS)]

    async def healthy() -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            return (await rest.call("GET", "/health/ready")).status == 200
        return False

    for number in range(KILLS):
        before = len(ledger.there)

        async def added(before: int = before) -> bool:
            return len(ledger.there) > before + 3

        await until(added, 60)
        os.kill(cluster.pid(SERVICES[number % len(SERVICES)]), signal.SIGKILL)
        await until(healthy, 60)
    stop.set()
    await asyncio.gather(*workers)

    found = await contents(rest, token)
    assert len(found) == len(set(found))
    assert ledger.there.keys() <= set(found)
    assert not ledger.gone & set(found)
    index = f"/v1/vector/providers/default/indexes/{store['vectorIndexKey']}/count"

    async def agree() -> bool:
        counted: Any = await rest.ok("POST", index, {}, token=token)
        shown = await rest.ok("GET", f"{STORES}/notes", token=token)
        return bool(counted["count"] == shown["store"]["memoryCount"] == len(found))

    await until(agree, 90)
    text = next(iter(ledger.there))

    async def finds_it() -> bool:
        """Also after the last kill, from which rag's connection to inference has yet to recover."""
        answer = await rest.call("POST", f"{STORES}/notes/search", {"query": text, "topK": 1}, token=token)
        return answer.status == 200 and bool(answer.body["memories"][0]["content"] == text)

    await until(finds_it, 60)
