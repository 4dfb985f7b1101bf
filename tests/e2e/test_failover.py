"""A target that fails under a steady load: no client notices while another target is well."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from tests.support import fake_provider as fake
from tests.support.cluster import Answer, Rest, Tenant
from tests.support.fake_provider import Behaviour, FakeProvider
from tests.support.fake_upstream import Peer
from tests.support.ports import reserved_port

A_SECOND = 100
REQUESTS = 3 * A_SECOND
ATTEMPTS = 3
"""Upstream calls of one request, by default."""
LIMITS = {"timeoutSeconds": 0.3, "firstTokenTimeoutSeconds": 0.3}
"""Of the target that fails."""


async def slow(provider: FakeProvider, peer: Peer, body: dict[str, Any]) -> None:
    """Begin to answer after the limit of the target."""
    with suppress(TimeoutError):
        async with asyncio.timeout(2):
            await peer.gone()
            return
    await fake.answers("too late")(provider, peer, body)


FAULTS: dict[str, Behaviour | None] = {
    "down": None,
    "hung": fake.hangs(),
    "slow": slow,
    "reset": fake.resets(),
    "429": fake.refuses(429),
    "500": fake.refuses(500),
    "529": fake.refuses(529),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_request_fails_at_a_hundred_a_second_while_one_target_is_well(
    rest: Rest, tenant: Tenant, fault: str
) -> None:
    """Whole and streamed calls in turn; the other target fails from the first second on."""
    async with AsyncExitStack() as stack:
        bad, good = [await stack.enter_async_context(FakeProvider(fake.answers("well"))) for _ in "ab"]
        url = bad.url if FAULTS[fault] else f"http://127.0.0.1:{reserved_port()}/v1"
        key = await two_targets(rest, tenant, url, good.url)

        async def ask(number: int) -> str:
            if number == A_SECOND:
                bad.behaviour = FAULTS[fault] or bad.behaviour
            stream = bool(number % 2)
            body = {"model": key, "stream": stream, "messages": [{"role": "user", "content": "Hi"}]}
            answer = await rest.call("POST", "/v1/chat/completions", body, token=tenant.session)
            return said(answer, stream=stream)

        async with asyncio.timeout(120):
            said_by = await paced(ask, REQUESTS)
        assert [each for each in said_by if each != "well"] == []
        assert good.asked + bad.asked <= ATTEMPTS * REQUESTS
        assert bad.asked > A_SECOND // 4 or fault == "down", "calls go to both"


async def two_targets(rest: Rest, tenant: Tenant, bad: str, good: str) -> str:
    """A model with two targets of one weight."""
    key = f"two-{secrets.token_hex(4)}"
    for name, url in (("bad", bad), ("good", good)):
        provider = {"key": f"{key}-{name}", "driver": "openai-compatible", "label": name, "settings": {"baseUrl": url}}
        await rest.ok("POST", "/v1/models/providers", provider, token=tenant.session)
    target = {"providerKey": f"{key}-bad", "modelId": fake.MODEL, **LIMITS}
    model = {"key": key, "name": key, "category": "llm", "providerKey": f"{key}-good", "modelId": fake.MODEL}
    settings = {"routing": {"targets": [target]}}
    await rest.ok("POST", "/v1/models", {**model, "settings": settings}, token=tenant.session)
    return key


async def paced(ask: Callable[[int], Awaitable[str]], count: int) -> list[str]:
    """Ask at the times at which a steady load would, however long the answers take."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    asked = []
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / A_SECOND - loop.time()))
        asked.append(asyncio.ensure_future(ask(number)))
    return list(await asyncio.gather(*asked))


def said(answer: Answer, *, stream: bool) -> str:
    """The text of an answer; whatever came where it is none."""
    if answer.status != 200 or b'"error"' in answer.raw:
        return f"{answer.status} {answer.raw!r}"
    if not stream:
        return str(answer.body["choices"][0]["message"]["content"])
    frames = [json.loads(each[6:]) for each in answer.raw.split(b"\n\n") if each.startswith(b"data: {")]
    return "".join(each["choices"][0]["delta"].get("content") or "" for each in frames if each["choices"])
