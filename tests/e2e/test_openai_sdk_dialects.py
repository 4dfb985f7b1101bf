"""Providers with a dialect of their own, as the official OpenAI SDK sees them through the edge."""

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.e2e.test_providers import connect, records
from tests.support import fake_provider as fake
from tests.support.cluster import Rest, Tenant
from tests.support.fake_provider import FakeProvider

HELLO: Any = [{"role": "user", "content": "Hello!"}]


@pytest.fixture
async def provider(rest: Rest, tenant: Tenant) -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as running:
        await connect(rest, tenant.session, running)
        yield running


@pytest.fixture
async def client(rest: Rest, tenant: Tenant) -> AsyncIterator[AsyncOpenAI]:
    """With its default of two retries."""
    async with AsyncOpenAI(base_url=f"{rest.url}/v1", api_key=tenant.session) as made:
        yield made


@pytest.mark.parametrize("stream", [False, True])
async def test_our_retries_and_the_clients_do_not_multiply(
    client: AsyncOpenAI, provider: FakeProvider, stream: bool
) -> None:
    """code_puppy#317: nine upstream calls for one of the client's."""
    provider.behaviour = fake.refuses(500)
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="real", messages=HELLO, stream=stream)
    assert provider.asked == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_in_a_success_is_the_clients_own_exception(
    client: AsyncOpenAI, provider: FakeProvider, rest: Rest, tenant: Tenant, stream: bool
) -> None:
    """llama.cpp#16109, litellm#25505."""
    message = "request (9 tokens) exceeds the available context size (8 tokens)"
    said = {"code": 400, "message": message, "n_ctx": 8}
    provider.behaviour = (
        fake.sends(b"error: " + json.dumps(said).encode() + b"\n\n", fake.DONE)
        if stream
        else fake.responds(json.dumps({"error": said}).encode())
    )
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="real", messages=HELLO, stream=stream)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")
    assert message in caught.value.message
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["n_ctx"] == 8
    (record,) = await records(rest, tenant.session, 1)
    assert (record["status"], record["errorReason"]) == ("error", "CONTEXT_LENGTH_EXCEEDED")


async def test_an_error_in_the_middle_is_raised_by_the_iterator(client: AsyncOpenAI, provider: FakeProvider) -> None:
    provider.behaviour = fake.sends(fake.chunk({"content": "a"}), b'error: {"message":"no KV cache"}\n\n', fake.DONE)
    stream = await client.chat.completions.create(model="real", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="no KV cache"):
        async for _ in stream:
            pass


async def test_a_long_explanation_and_azures_details_arrive(client: AsyncOpenAI, provider: FakeProvider) -> None:
    """langchainjs#1929."""
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
    message = "Die Antwort wurde gefiltert, weil … " * 60
    body = {"error": {"message": message, "code": "content_filter", "innererror": inner}}
    provider.behaviour = fake.refuses(400, json.dumps(body).encode())
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="real", messages=HELLO)
    error: Any = caught.value.body
    assert (error["message"], error["innererror"], error["code"]) == (message, inner, "content_filter")


async def test_limits_reach_the_client(client: AsyncOpenAI, provider: FakeProvider) -> None:
    """aisix#144."""
    limits = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}
    provider.behaviour = fake.refuses(429, headers={"Retry-After": "120", **limits})
    with pytest.raises(openai.RateLimitError) as caught:
        await client.with_options(max_retries=0).chat.completions.create(model="real", messages=HELLO)
    assert limits.items() <= dict(caught.value.response.headers).items()
    assert caught.value.response.headers["retry-after"] == "120"
    assert caught.value.code == "rate_limit_exceeded"
    provider.behaviour = fake.responds(json.dumps(fake.completion()).encode(), headers=limits)
    raw = await client.chat.completions.with_raw_response.create(model="real", messages=HELLO)
    assert limits.items() <= dict(raw.headers).items()
    assert raw.headers["content-type"] == "application/json"


async def test_a_used_up_quota_is_not_tried_again(client: AsyncOpenAI, provider: FakeProvider) -> None:
    body = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    provider.behaviour = fake.refuses(429, json.dumps(body).encode())
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="real", messages=HELLO)
    assert caught.value.code == "insufficient_quota"
    assert provider.asked == 1


async def test_tool_calls_without_an_index_are_put_together(client: AsyncOpenAI, provider: FakeProvider) -> None:
    """openai-python#2806: the SDK's own accumulator fails without the index."""
    calls = [{"id": id, "function": {"name": "f", "arguments": {"at": id}}} for id in "ab"]
    provider.behaviour = fake.sends(*(fake.chunk({"tool_calls": [call]}) for call in calls), fake.DONE)
    async with client.chat.completions.stream(model="real", messages=HELLO) as stream:
        answer = await stream.get_final_completion()
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    found: Any = choice.message.tool_calls
    assert [(call.id, call.function.arguments) for call in found] == [("a", '{"at":"a"}'), ("b", '{"at":"b"}')]


async def test_an_event_may_be_as_large_as_a_whole_answer(client: AsyncOpenAI, provider: FakeProvider) -> None:
    """model-hotel#817: a picture of 18 MiB in one event."""
    text = "x" * (18 * 1024 * 1024)
    provider.behaviour = fake.sends(fake.chunk({"content": text}, "stop") + fake.DONE)
    stream = await client.chat.completions.create(model="real", messages=HELLO, stream=True)
    sizes = [len(chunk.choices[0].delta.content or "") async for chunk in stream]
    assert sum(sizes) == len(text)
