"""Quotas and budgets of calls to models, through the whole service."""

import asyncio
from typing import Any

import grpc
import orjson
import pytest
from google.protobuf.json_format import ParseDict

from core.quotas.limits import CENT
from core.quotas.rules import Dimension, Subject
from core.tenancy import Project
from portico.inference.v1 import inference_service_pb2, model_service_pb2
from tests.support.fake_provider import USAGE, FakeProvider, answers, chunk, sends, streams
from tests.support.inference_harness import Caller, Harness, field_of, reason_of, refused, status_of, text_of
from tests.support.quotas import ACME, limit

OUTPUT_NANOS = 8_000
"""Price of a token of the model's output, in billionths."""
BUDGET = {"budget.dailySpendLimit": 1}


async def limited(harness: Harness, limits: dict[str, int], **more: Any) -> None:
    """Set limits, and let the next call see them."""
    platform = harness.running.platform
    await limit(platform.store, limits, **more)
    platform.policies.forget(ACME)


def detail(error: grpc.aio.AioRpcError, name: str) -> str:
    """A header of an error over REST."""
    return str(dict(error.trailing_metadata() or ())[name])


async def spent(caller: Caller, count: int) -> int:
    return sum(round(each.cost * 1e9) for each in await caller.records(count))


async def test_requests_are_counted_and_refused_with_the_limit_in_headers(caller: Caller, harness: Harness) -> None:
    await limited(harness, {"rateLimit.requests.perHour": 2})
    rest = Caller(harness, caller.token, rest=True)
    for remaining in ("1", "0"):
        await rest.chat()
        assert rest.headers["x-ratelimit-limit"] == "2"
        assert rest.headers["x-ratelimit-remaining-requests"] == remaining
    error = await refused(rest.chat())
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert detail(error, "x-ratelimit-remaining") == "0"
    assert 1 <= int(detail(error, "retry-after")) <= 3600
    assert "limit of 2 requests per hour of the tenant" in str(error.details())
    assert [each.status for each in await caller.records(3)].count("error") == 1


async def test_limits_of_a_token_are_its_own(caller: Caller, harness: Harness) -> None:
    await limited(harness, {"rateLimit.requests.perHour": 1}, scope="token", scope_id="*")
    await caller.chat()
    assert reason_of(await refused(caller.chat())) == "RATE_LIMITED"
    await harness.caller(jti="another").chat()


async def test_whole_and_streamed_answers_are_charged_what_the_records_say(caller: Caller, harness: Harness) -> None:
    """Streams used to be charged nothing."""
    await limited(harness, {**BUDGET, "rateLimit.tokens.perDay": 10_000}, domain="llm")
    await caller.chat()
    await caller.stream()
    await caller.records(2)
    tokens, spend = await _standings(harness, "llm")
    assert tokens == 2 * USAGE["total_tokens"]  # type: ignore[operator]
    assert spend == await spent(caller, 2) > 0


async def test_what_is_not_used_is_given_back(caller: Caller, harness: Harness) -> None:
    await limited(harness, {"rateLimit.tokens.perDay": 1_400})
    for _ in range(20):  # each reserves 1,024 tokens for the answer and uses 18
        await caller.chat()


async def test_calls_at_once_do_not_pass_a_budget_together(
    caller: Caller, harness: Harness, provider: FakeProvider
) -> None:
    await limited(harness, BUDGET)
    tokens = CENT // OUTPUT_NANOS // 5
    usage = {"prompt_tokens": 0, "completion_tokens": tokens, "total_tokens": tokens}
    provider.behaviour = answers("Hello!", usage=usage)
    calls = [caller.chat(max_tokens=tokens) for _ in range(30)]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    answered = [each for each in ended if isinstance(each, dict)]
    assert 3 <= len(answered) <= 5
    assert await spent(caller, 30) == len(answered) * tokens * OUTPUT_NANOS <= CENT


@pytest.mark.parametrize("frontend", ["openai", "anthropic", "typed"])
async def test_a_stream_ends_where_its_budget_does(
    caller: Caller, harness: Harness, provider: FakeProvider, frontend: str
) -> None:
    await limited(harness, BUDGET)
    word = "four" * 20
    provider.behaviour = streams([word] * 2_000)
    if frontend == "typed":
        error = await refused(_typed_stream(harness, caller))
        assert reason_of(error) == "INSUFFICIENT_QUOTA"
    elif frontend == "anthropic":
        body = {"model": "m", "max_tokens": 50_000, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        data = b"".join(message.data for message in await caller.post_messages(body))
        event, line = data.rstrip().rsplit(b"\n\n", 1)[-1].split(b"\n")
        assert event == b"event: error"
        assert orjson.loads(line[6:])["error"]["type"] == "rate_limit_error"
    else:
        *frames, last = await caller.stream()
        assert (last["error"]["code"], last["error"]["type"]) == ("insufficient_quota", "insufficient_quota")
        assert "daily budget of the tenant" in last["error"]["message"]
        assert text_of(frames).startswith(word)
    [record] = await caller.records(1)
    assert (record.status, record.error_reason) == ("error", "INSUFFICIENT_QUOTA")
    cost = round(record.cost * 1e9)
    chunk = len(word) // 4 * OUTPUT_NANOS
    assert CENT - chunk < cost <= CENT + chunk
    error = await refused(caller.chat())
    assert reason_of(error) == "INSUFFICIENT_QUOTA"


async def test_a_stream_that_its_client_leaves_is_charged_for_what_came(
    caller: Caller, harness: Harness, provider: FakeProvider
) -> None:
    """A wrapped answer that was cancelled used to have no usage."""
    await limited(harness, {**BUDGET, "rateLimit.tokens.perDay": 100_000}, domain="llm")

    provider.behaviour = sends(chunk({"content": "word" * 100}), end="hang")
    data = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    call = caller.open_chat(orjson.dumps(data))
    await call.read()
    call.cancel()
    async with asyncio.timeout(5):
        await provider.disconnected.wait()
    [record] = await caller.records(1)
    assert record.status == "cancelled"
    assert record.usage.output_tokens == 100
    tokens, spend = await _standings(harness, "llm")
    assert (tokens, spend) == (record.usage.total_tokens, round(record.cost * 1e9))


async def test_limits_of_single_calls(caller: Caller, harness: Harness, provider: FakeProvider) -> None:
    await limited(harness, {"perRequest.maxInputTokens": 10, "perRequest.maxOutputTokens": 50})
    error = await refused(caller.chat("many words " * 10))
    assert (error.code(), field_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "messages")
    error = await refused(caller.chat(max_tokens=51))
    assert (error.code(), field_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "max_tokens")
    await caller.chat(max_tokens=50)
    await caller.chat()
    assert [body["max_tokens"] for body in provider.bodies] == [50, 50]


async def test_a_budget_counts_what_was_spent_before_the_service_started(caller: Caller, harness: Harness) -> None:
    """Counters that are lost, with the process or with Redis, begin with the usage records."""
    await caller.chat()
    before = await spent(caller, 1)
    await limited(harness, BUDGET)
    await caller.chat()
    [used] = await _standings(harness, "llm")
    assert used == 2 * before


async def test_an_embedding_and_a_rerank_count_in_their_domains(caller: Caller, harness: Harness) -> None:
    await caller.provider(key="e")
    await caller.model(key="embed", category="embedding", provider_key="e")
    await caller.model(key="rank", category="rerank", provider_key="e")
    await limited(harness, {"rateLimit.requests.perHour": 1}, domain="embedding")
    await limited(harness, {"rateLimit.requests.perHour": 1}, domain="rerank")
    await caller.post_embeddings({"model": "embed", "input": "a text"})
    assert reason_of(await refused(caller.post_embeddings({"model": "embed", "input": "a text"}))) == "RATE_LIMITED"
    body = {"model": "rank", "query": "q", "documents": ["a", "b"]}
    await caller.post_rerank(body)
    assert reason_of(await refused(caller.post_rerank(body))) == "RATE_LIMITED"
    await caller.chat()


async def test_a_dynamic_model_is_admitted_once_and_under_the_limits_of_its_choice(
    caller: Caller, harness: Harness
) -> None:
    body = {"key": "auto", "name": "Any", "settings": {"dynamic": {"defaultModelKey": "m"}}}
    made = ParseDict(body, model_service_pb2.CreateDynamicModelRequest())
    await harness.models.CreateDynamicModel(made, metadata=caller.metadata)
    await limited(harness, {"rateLimit.requests.perHour": 2})
    await limited(harness, {"rateLimit.requests.perHour": 1}, scope="resource", scope_id="m")
    await caller.chat(model="auto")
    assert reason_of(await refused(caller.chat(model="auto"))) == "RATE_LIMITED"
    error = await refused(caller.chat())
    assert "this model" in str(error.details())


async def test_refusals_are_told_as_openai_and_anthropic_tell_them(caller: Caller, harness: Harness) -> None:
    await limited(harness, {"budget.monthlySpendLimit": 0})
    rest = Caller(harness, caller.token, rest=True)
    error = await refused(rest.chat())
    body = orjson.loads(detail(error, "x-error-body"))
    assert (body["error"]["type"], body["error"]["code"]) == ("insufficient_quota", "insufficient_quota")
    assert detail(error, "x-http-status") == "429"
    assert detail(error, "x-should-retry") == "false"
    message = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    error = await refused(rest.post_messages(message))
    body = orjson.loads(detail(error, "x-error-body"))
    assert body["error"]["type"] == "rate_limit_error"
    assert status_of(error).code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


async def _standings(harness: Harness, domain: str) -> list[int]:
    """The used amounts of the tenant's limits of a domain, by their dimensions."""
    platform = harness.running.platform
    standings = await platform.admission.standings(Subject(Project(ACME, "p1"), domain, "u1", "t", "m", "p"))
    order = [Dimension.TOKENS, Dimension.SPEND]
    return [each.used for each in sorted(standings, key=lambda each: order.index(each.rule.dimension))]


async def _typed_stream(harness: Harness, caller: Caller) -> None:
    chat = inference_service_pb2.ChatRequest(model="m", messages=[{"role": "user", "content": "Hi"}])
    request = inference_service_pb2.ChatStreamRequest(chat=chat)
    async for _ in harness.typed.ChatStream(request, metadata=caller.metadata):
        pass
