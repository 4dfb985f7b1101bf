"""Ten thousand calls of every kind, inference killed in the middle: what was spent is known to the last unit."""

import asyncio
import json
import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.support import fake_provider as fake
from tests.support.cluster import Cluster, Rest, until
from tests.support.connections import http_session
from tests.support.fake_provider import FakeProvider
from tests.support.fake_upstream import Peer
from tools.supervisor import http_status

CALLS = 10_000
WORKERS = 24
KILLS = (0.3, 0.7)
"""Shares of the calls after which inference is killed."""
TENANTS = 3
NANOS_IN, NANOS_OUT, NANOS_CACHED = 150, 600, 75
"""Billionths of a dollar that a token costs: 0.15 dollars for a million is 150 for each."""
KINDS = ("whole", "whole", "stream", "stream", "stream", "refused", "unknown", "retried", "cancelled")
TEAMS = ("red", "blue")


@dataclass
class Sent:
    """A call as its client saw it. `outcome` is answered, refused, cancelled, or lost: nobody knows."""

    id: str
    tenant: int
    kind: str
    number: int
    team: str
    outcome: str = "lost"

    @property
    def usage(self) -> dict[str, int]:
        """The tokens that the provider tells of."""
        read, written = self.number % 97 + 3, self.number % 31 + 1
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }

    @property
    def reported(self) -> dict[str, Any]:
        """The usage as the provider's answer has it."""
        return {**self.usage, "prompt_tokens_details": {"cached_tokens": self.number % 3}}

    @property
    def nanos(self) -> int:
        cached = self.number % 3
        usage = self.usage
        return (
            (usage["prompt_tokens"] - cached) * NANOS_IN + cached * NANOS_CACHED
            + usage["completion_tokens"] * NANOS_OUT
        )  # fmt: skip


@dataclass
class Provider:
    """Answers each call in the way of its kind."""

    calls: dict[int, Sent] = field(default_factory=dict)
    asked: Counter[int] = field(default_factory=Counter)

    async def behave(self, provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
        provider.bodies.clear()
        call = self.calls[int(body["messages"][0]["content"])]
        self.asked[call.number] += 1
        if call.kind == "refused":
            await fake.refuses(400)(provider, peer, body)
        elif call.kind == "retried" and self.asked[call.number] == 1:
            await fake.refuses(503)(provider, peer, body)
        elif call.kind == "cancelled":
            await fake.sends(fake.chunk({"content": "wait"}), end="hang")(provider, peer, body)
        elif body.get("stream"):
            usage = fake.chunk({}, choices=[], usage=call.reported)
            chunks = [fake.chunk({"content": "word"}), fake.chunk({}, "stop"), usage, fake.DONE]
            await fake.sends(*chunks)(provider, peer, body)
        else:
            await fake.responds(json.dumps(fake.completion(usage=call.reported)).encode())(provider, peer, body)


@pytest.fixture
async def started(own_cluster: Cluster) -> AsyncIterator[tuple[Cluster, Rest]]:
    own_cluster.env = {
        "PORTICO_OUTBOUND_ALLOWED_HOSTS": "127.0.0.1",
        "PORTICO_PROVIDER_RETRY_DELAY_SECONDS": "0.01",
        "PORTICO_PROVIDER_BREAKER_THRESHOLD": "1000",
    }
    await asyncio.to_thread(own_cluster.start)
    async with http_session(limit=WORKERS) as http:
        yield own_cluster, Rest(own_cluster.url, http)


async def add_model(rest: Rest, token: str, url: str) -> None:
    provider = {"key": "fake", "driver": "openai-compatible", "label": "Fake", "credentials": {"apiKey": "k"}}
    await rest.ok("POST", "/v1/models/providers", {**provider, "settings": {"baseUrl": url}}, token=token)
    prices = {"inputTokenPer1M": 0.15, "outputTokenPer1M": 0.6, "cachedTokenPer1M": 0.075}
    model = {"key": "real", "name": "Real", "category": "llm", "providerKey": "fake", "modelId": fake.MODEL}
    await rest.ok("POST", "/v1/models", {**model, "pricing": prices}, token=token)


async def send(rest: Rest, token: str, call: Sent) -> None:
    """Send the call and note what became of it."""
    body = {
        "model": "nope" if call.kind == "unknown" else "real",
        "messages": [{"role": "user", "content": str(call.number)}],
        "stream": call.kind in ("stream", "cancelled"),
        "metadata": {"team": call.team},
    }
    headers = {"Authorization": f"Bearer {token}", "x-request-id": call.id}
    try:
        async with rest.http.post(f"{rest.url}/v1/chat/completions", json=body, headers=headers) as response:
            if call.kind == "cancelled" and response.status == 200:
                await response.content.readuntil(b"\n\n")
                response.close()
                call.outcome = "cancelled"
                return
            raw = await response.read()
            if response.status == 200 and _is_whole(call, raw):
                call.outcome = "answered"
            elif response.status in (400, 404):
                call.outcome = "refused"
    except (aiohttp.ClientError, asyncio.IncompleteReadError):
        pass


def _is_whole(call: Sent, answer: bytes) -> bool:
    if call.kind == "stream":
        return answer.endswith(b"data: [DONE]\n\n") and b'"error"' not in answer
    return answer.endswith(b"}")


async def send_all(cluster: Cluster, rest: Rest, tokens: list[str], calls: list[Sent]) -> None:
    """Send the calls, and kill inference on the way."""
    queue = list(reversed(calls))
    going = asyncio.Event()
    going.set()

    async def work() -> None:
        while queue:
            await going.wait()
            call = queue.pop()
            await send(rest, tokens[call.tenant], call)

    async def kill(left: int) -> None:
        while len(queue) > left:
            await asyncio.sleep(0.01)
        os.kill(cluster.pid("inference"), signal.SIGKILL)
        going.clear()

        async def ready() -> bool:
            return await http_status(cluster.port, "/health/ready") == 200 and not await gone()

        async def gone() -> bool:
            answer = await rest.call("GET", "/v1/usage", token=tokens[0])
            return answer.status != 200

        await until(ready, 60)
        going.set()

    async def kills() -> None:
        for share in KILLS:
            await kill(round(len(calls) * (1 - share)))

    await asyncio.gather(kills(), *(work() for _ in range(WORKERS)))


async def listed(rest: Rest, token: str) -> list[dict[str, Any]]:
    """All usage records of a token's project."""
    found: list[dict[str, Any]] = []
    page = ""
    while True:
        answer = await rest.ok("GET", f"/v1/usage/records?pageSize=1000&pageToken={page}", token=token)
        found += answer["records"]
        page = answer["nextPageToken"]
        if not page:
            return found


async def settled(rest: Rest, token: str) -> list[dict[str, Any]]:
    """All usage records, once no more of them come."""
    counts: list[int] = []

    async def same() -> bool:
        usage = (await rest.ok("GET", "/v1/usage?groupBy=status", token=token))["totals"]
        counts.append(sum(each["requests"] for each in usage))
        await asyncio.sleep(0.5)
        return len(counts) > 6 and len(set(counts[-6:])) == 1

    await until(same, 60)
    return await listed(rest, token)


def nanos(cost: float) -> int:
    return round(cost * 1e9)


@pytest.mark.each_stores
async def test_spend_is_exact_whatever_is_killed(started: tuple[Cluster, Rest]) -> None:
    """A kill of inference lost the usage of up to half a second, and totals of a month were sums over its records."""
    cluster, rest = started
    random.seed(1)
    calls = [
        Sent(f"call-{number}", number % TENANTS, random.choice(KINDS), number, TEAMS[number % 2])
        for number in range(CALLS)
    ]
    provider = Provider({call.number: call for call in calls})
    async with FakeProvider(provider.behave) as upstream:
        tokens = [cluster.dev_token] + [(await rest.register()).session for _ in range(TENANTS - 1)]
        for token in tokens:
            await add_model(rest, token, upstream.url)
        await send_all(cluster, rest, tokens, calls)
        ended = [call for call in calls if call.outcome != "lost"]
        assert len(ended) > CALLS * 0.95, Counter((call.kind, call.outcome) for call in calls)
        for tenant, token in enumerate(tokens):
            await check_tenant(rest, token, [call for call in calls if call.tenant == tenant])


async def check_tenant(rest: Rest, token: str, calls: list[Sent]) -> None:
    records = await settled(rest, token)
    by_call: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        by_call[record["requestId"]].append(record)
    assert by_call.keys() <= {call.id for call in calls}
    for call in calls:
        check_call(call, by_call.get(call.id, []))
    unseen = [call for call in calls if call.outcome == "cancelled" and call.id not in by_call]
    assert len(unseen) <= WORKERS * len(KILLS), "only a kill hides from inference that a client has gone"
    await check_report(rest, token, records, {call.id: call.team for call in calls})


def check_call(call: Sent, records: list[dict[str, Any]]) -> None:
    """One record of a call whose end was seen, at most one of another; with the tokens and the cost that it had."""
    assert len(records) == 1 if call.outcome in ("answered", "refused") else len(records) <= 1, (call, records)
    for record in records:
        if record["status"] == "success":
            usage = call.usage
            assert record["usage"]["inputTokens"] == usage["prompt_tokens"]
            assert record["usage"]["outputTokens"] == usage["completion_tokens"]
            assert nanos(record["cost"]) == call.nanos
            assert record.get("attempts") in ((1, 2) if call.kind == "retried" else (1,))
        elif record["status"] == "error":
            assert call.kind in ("refused", "unknown") or call.outcome == "lost"
            assert record["cost"] == 0
        assert record["streamed"] == (call.kind in ("stream", "cancelled"))
    expected = {"answered": "success", "refused": "error", "cancelled": "cancelled"}
    if call.outcome in expected:
        assert all(record["status"] == expected[call.outcome] for record in records)


async def check_report(rest: Rest, token: str, records: list[dict[str, Any]], teams: dict[str, str]) -> None:
    """The report is the sum of the records, each of which was checked."""
    report = await rest.ok("GET", "/v1/spend/report?group_by_entity=metadata.team&group_by=hour", token=token)
    assert report["total_calls"] == len(records)
    assert nanos(report["total_cost"]) == sum(nanos(each["cost"]) for each in records)
    assert report["total_tokens"] == sum(each["usage"]["totalTokens"] for each in records)
    models = Counter(each["model"] for each in records)
    found: Counter[str] = Counter()
    for each in report["by_model"]:
        found[each["model_key"]] += each["calls"]
    assert found == models
    by_team: Counter[str] = Counter()
    for each in records:
        by_team[teams[each["requestId"]]] += nanos(each["cost"])
    assert {each["entity"]: nanos(each["cost"]) for each in report["by_entity"]} == by_team
    assert sum(nanos(each["cost"]) for each in report["timeseries"]) == nanos(report["total_cost"])
    overview = (await rest.ok("GET", "/v1/usage/overview", token=token))["totals"]
    statuses = Counter(each["status"] for each in records)
    assert (overview["requests"], overview["errors"], overview["cancelled"]) == (
        len(records), statuses["error"], statuses["cancelled"],
    )  # fmt: skip
    usage = (await rest.ok("GET", "/v1/usage?groupBy=status", token=token))["totals"]
    assert sum(each["requests"] for each in usage) == len(records)
