"""A provider behind the edge: slow, broken, hostile, or well. What the client sees, and what the record says."""

import asyncio
import json
import secrets
from typing import Any

import pytest

from tests.support import fake_provider as fake
from tests.support.cluster import Answer, Cluster, Rest, Tenant, until
from tests.support.fake_provider import FakeProvider

MARKER = f"sk-marker-{secrets.token_hex(12)}"
"""A credential that must be found nowhere."""


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "real", "messages": [{"role": "user", "content": "hello"}], **fields}


async def connect(rest: Rest, session: str, provider: FakeProvider, **settings: Any) -> None:
    """The model `real` at the fake provider."""
    await rest.ok(
        "POST",
        "/v1/models/providers",
        {
            "key": "fake",
            "driver": "openai-compatible",
            "label": "Fake",
            "credentials": {"apiKey": MARKER},
            "settings": {"baseUrl": provider.url},
        },
        token=session,
    )
    model = {"key": "real", "name": "Real", "category": "llm", "providerKey": "fake", "modelId": fake.MODEL}
    prices = {"inputTokenPer1M": 2.0, "outputTokenPer1M": 8.0, "cachedTokenPer1M": 0.5}
    await rest.ok("POST", "/v1/models", {**model, "pricing": prices, "settings": settings}, token=session)
    embedding = {**model, "key": "vectors", "name": "Vectors", "category": "embedding"}
    await rest.ok("POST", "/v1/models", embedding, token=session)


async def stream(rest: Rest, token: str, **fields: Any) -> list[bytes]:
    """The frames of a stream, each without its `data: `."""
    answer = await rest.call("POST", "/v1/chat/completions", chat(stream=True, **fields), token=token)
    assert answer.status == 200, answer.raw
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.raw.endswith(b"\n\n")
    return [frame.removeprefix(b"data: ") for frame in answer.raw[:-2].split(b"\n\n")]


async def records(rest: Rest, token: str, count: int) -> list[dict[str, Any]]:
    """The newest usage records, once there are so many."""

    async def there() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await rest.ok("GET", "/v1/usage/records", token=token))["records"]
        return found if len(found) >= count else []

    listed: list[dict[str, Any]] = await until(there)
    return listed


async def ask(rest: Rest, tenant: Tenant, provider: FakeProvider, **fields: Any) -> Answer:
    await connect(rest, tenant.session, provider)
    return await rest.call("POST", "/v1/chat/completions", chat(**fields), token=tenant.session)


async def test_a_chat_passes_through_and_is_metered(rest: Rest, tenant: Tenant) -> None:
    async with FakeProvider() as provider:
        answer = await ask(rest, tenant, provider, logit_bias={"50256": -100}, user="u", made_up_field={"a": [1]})
        sent = provider.bodies[0]
        authorization = provider.requests[0].headers["authorization"]
    assert answer.status == 200
    assert answer.body["model"] == "real"
    assert fake.MODEL not in answer.raw.decode()
    assert sent == chat(model=fake.MODEL, logit_bias={"50256": -100}, user="u", made_up_field={"a": [1]})
    assert authorization == f"Bearer {MARKER}"
    (record,) = await records(rest, tenant.session, 1)
    assert record["status"] == "success"
    assert record["requestId"] == answer.headers["x-request-id"]
    assert (record["usage"]["inputTokens"], record["usage"]["outputTokens"]) == (11, 7)
    assert record["cost"] == pytest.approx((7 * 2.0 + 4 * 0.5 + 7 * 8.0) / 1e6)


async def test_a_stream_is_as_clients_expect_and_is_metered_like_a_whole_answer(rest: Rest, tenant: Tenant) -> None:
    async with FakeProvider(fake.streams(["Hel", "lo"])) as provider:
        await connect(rest, tenant.session, provider)
        frames = await stream(rest, tenant.session)
        with_usage = await stream(rest, tenant.session, stream_options={"include_usage": True})
    assert frames[-1] == b"[DONE]"
    parsed = [json.loads(frame) for frame in frames[:-1]]
    assert parsed[0]["choices"][0]["delta"]["role"] == "assistant"
    assert len({frame["id"] for frame in parsed}) == 1
    assert {frame["model"] for frame in parsed} == {"real"}
    assert parsed[-1]["choices"][0]["finish_reason"] == "stop"
    assert not any(frame.get("usage") for frame in parsed)
    last = json.loads(with_usage[-2])
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 18)
    first, second = await records(rest, tenant.session, 2)
    assert first["usage"] == second["usage"]
    assert first["usage"]["totalTokens"] == 18
    assert first["cost"] == second["cost"] > 0
    assert first["streamed"] is True


async def test_the_first_byte_leaves_when_the_providers_first_byte_arrives(rest: Rest, tenant: Tenant) -> None:
    first = fake.chunk({"role": "assistant", "content": "early"})
    async with FakeProvider(fake.sends(first, end="hang")) as provider:
        await connect(rest, tenant.session, provider)
        async with rest.http.post(
            f"{rest.url}/v1/chat/completions",
            json=chat(stream=True),
            headers={"Authorization": f"Bearer {tenant.session}"},
        ) as response:
            async with asyncio.timeout(5):  # the provider never sends more
                frame = await response.content.readuntil(b"\n\n")
            assert b"early" in frame
            response.close()


async def test_a_client_that_hangs_up_closes_the_providers_socket(rest: Rest, tenant: Tenant) -> None:
    pieces = [fake.chunk({"role": "assistant", "content": ""}), *(fake.chunk({"content": f"w{i} "}) for i in range(5))]
    async with FakeProvider(fake.sends(*pieces, end="hang")) as provider:
        await connect(rest, tenant.session, provider)
        response = await rest.http.post(
            f"{rest.url}/v1/chat/completions",
            json=chat(stream=True),
            headers={"Authorization": f"Bearer {tenant.session}"},
        )
        await response.content.readuntil(b"\n\n")
        response.close()
        async with asyncio.timeout(5):
            await provider.disconnected.wait()
    (record,) = await records(rest, tenant.session, 1)
    assert record["status"] == "cancelled"
    assert record["usage"]["estimated"] is True
    assert record["usage"]["outputTokens"] > 0
    assert record["cost"] > 0


async def test_a_client_that_hangs_up_before_a_whole_answer_closes_it_too(rest: Rest, tenant: Tenant) -> None:
    async with FakeProvider(fake.hangs()) as provider:
        await connect(rest, tenant.session, provider)
        call = asyncio.create_task(rest.call("POST", "/v1/chat/completions", chat(), token=tenant.session))
        await provider.begun.wait()
        call.cancel()
        async with asyncio.timeout(5):
            await provider.disconnected.wait()
    (record,) = await records(rest, tenant.session, 1)
    assert record["status"] == "cancelled"


@pytest.mark.parametrize(
    ("pieces", "end"),
    [
        ([fake.chunk({"role": "assistant", "content": "Hel"})], "reset"),
        ([fake.chunk({"role": "assistant", "content": "Hel"}), b'data: {"error": {"message": "boom"}}\n\n'], "finish"),
        ([fake.chunk({"role": "assistant", "content": "Hel"}), b"data: {broken\n\n"], "reset"),
    ],
)
async def test_a_failure_mid_stream_ends_with_an_error_frame_and_done(
    rest: Rest, tenant: Tenant, pieces: list[bytes], end: str
) -> None:
    async with FakeProvider(fake.sends(*pieces, end=end)) as provider:
        await connect(rest, tenant.session, provider)
        frames = await stream(rest, tenant.session)
    assert frames[-1] == b"[DONE]"
    assert frames.count(b"[DONE]") == 1
    error = json.loads(frames[-2])
    assert error["error"]["message"]
    assert error["error"]["type"]
    assert error["request_id"]
    (record,) = await records(rest, tenant.session, 1)
    assert record["status"] == "error"


@pytest.mark.parametrize(
    ("upstream", "status", "asked"),
    [
        (fake.refuses(400), 400, 1),
        (fake.refuses(422), 422, 1),
        (fake.refuses(404), 404, 1),
        (fake.refuses(401), 502, 1),
        (fake.refuses(403), 502, 1),
        (fake.refuses(500), 502, 3),
        (fake.refuses(503), 503, 3),
        (fake.responds(b"<html>not json"), 502, 1),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_what_a_provider_says_becomes_the_right_status(
    rest: Rest, tenant: Tenant, upstream: fake.Behaviour, status: int, asked: int, streamed: bool
) -> None:
    async with FakeProvider(upstream) as provider:
        answer = await ask(rest, tenant, provider, stream=streamed)
        assert provider.asked == asked
    assert answer.status == status, answer.raw
    assert answer.body["error"]["message"]
    assert answer.body["request_id"] == answer.headers["x-request-id"]
    assert MARKER not in answer.raw.decode()
    assert "127.0.0.1" not in answer.raw.decode()
    (record,) = await records(rest, tenant.session, 1)
    assert record["status"] == "error"
    assert record["errorReason"]


async def test_a_provider_that_cannot_stream_is_streamed_for(rest: Rest, tenant: Tenant) -> None:
    async with FakeProvider(fake.responds(json.dumps(fake.completion("all at once")).encode())) as provider:
        await connect(rest, tenant.session, provider)
        frames = await stream(rest, tenant.session)
    assert b"all at once" in b"".join(frames)
    assert frames[-1] == b"[DONE]"


async def test_a_providers_limit_is_429_and_keeps_retry_after(rest: Rest, tenant: Tenant) -> None:
    async with FakeProvider(fake.refuses(429, headers={"retry-after": "77"})) as provider:
        await connect(rest, tenant.session, provider, timeoutSeconds=5)
        answer = await rest.call("POST", "/v1/chat/completions", chat(), token=tenant.session)
    assert answer.status == 429
    assert answer.headers["retry-after"] == "77"
    assert answer.body["error"]["type"] == "rate_limit_error"


async def test_a_provider_that_fails_twice_is_asked_three_times(rest: Rest, tenant: Tenant) -> None:
    async with FakeProvider(fake.in_turn(fake.refuses(503), fake.resets(), fake.answers("third"))) as provider:
        answer = await ask(rest, tenant, provider)
        assert provider.asked == 3
    assert answer.status == 200
    assert answer.body["choices"][0]["message"]["content"] == "third"


async def test_a_provider_that_hangs_is_504(rest: Rest, tenant: Tenant) -> None:
    async with FakeProvider(fake.hangs()) as provider:
        await connect(rest, tenant.session, provider, timeoutSeconds=1)
        answer = await rest.call("POST", "/v1/chat/completions", chat(), token=tenant.session)
    assert answer.status == 504
    assert answer.body["error"]["type"] == "server_error"


async def test_nobody_at_the_providers_address_is_503(rest: Rest, tenant: Tenant) -> None:
    async with FakeProvider() as provider:
        await connect(rest, tenant.session, provider)
    answer = await rest.call("POST", "/v1/chat/completions", chat(), token=tenant.session)
    assert answer.status == 503


async def test_one_tenants_broken_provider_does_not_open_anothers_circuit(rest: Rest, tenant: Tenant) -> None:
    other = await rest.register()
    async with FakeProvider(fake.refuses(503)) as broken, FakeProvider() as well:
        await connect(rest, tenant.session, broken)
        await connect(rest, other.session, well)
        for _ in range(10):
            await rest.call("POST", "/v1/chat/completions", chat(), token=tenant.session)
        asked = broken.asked
        answer = await rest.call("POST", "/v1/chat/completions", chat(), token=tenant.session)
        assert broken.asked == asked  # the circuit is open: nobody asks
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
        fine = await rest.call("POST", "/v1/chat/completions", chat(), token=other.session)
    assert fine.status == 200


async def test_a_changed_provider_serves_the_next_call(rest: Rest, tenant: Tenant) -> None:
    async with FakeProvider(fake.answers("first")) as one, FakeProvider(fake.answers("second")) as two:
        answer = await ask(rest, tenant, one)
        assert answer.body["choices"][0]["message"]["content"] == "first"
        move = {"settings": {"baseUrl": two.url}, "credentials": {"apiKey": MARKER}}
        await rest.ok("PATCH", "/v1/models/providers/fake", move, token=tenant.session)
        answer = await rest.call("POST", "/v1/chat/completions", chat(), token=tenant.session)
        assert answer.body["choices"][0]["message"]["content"] == "second"
        assert two.requests[0].headers["authorization"] == f"Bearer {MARKER}"
        await rest.ok("PATCH", "/v1/models/providers/fake", {"status": "disabled"}, token=tenant.session)
        answer = await rest.call("POST", "/v1/chat/completions", chat(), token=tenant.session)
    assert answer.status == 409


async def test_credentials_are_nowhere(rest: Rest, tenant: Tenant, cluster: Cluster) -> None:
    """In no answer, log line or file."""
    async with FakeProvider(
        fake.refuses(401, body=f'{{"error":{{"message":"bad key {MARKER}"}}}}'.encode())
    ) as provider:
        answers = [await ask(rest, tenant, provider)]
    token = tenant.session
    paths = ("models/providers", "models/providers/fake", "models?includeProviders=true", "audit")
    answers += [await rest.call("GET", f"/v1/{path}", token=token) for path in paths]
    answers.append(await rest.call("PATCH", "/v1/models/providers/fake", {"label": "New"}, token=token))
    await records(rest, token, 1)
    answers.append(await rest.call("GET", "/v1/usage/records", token=token))
    for answer in answers:
        assert MARKER not in answer.raw.decode()
    assert answers[1].body["providers"][0]["hasCredentials"] is True
    looked_at = 0
    for file in cluster.data.rglob("*"):
        if file.is_file():
            assert MARKER.encode() not in file.read_bytes(), file
            looked_at += 1
    assert looked_at > 8


async def test_usage_by_model_project_token_and_day_adds_up(rest: Rest, tenant: Tenant) -> None:
    async with FakeProvider() as provider:
        await connect(rest, tenant.session, provider)
        tokens = [await rest.token(tenant.session) for _ in range(2)]
        for token in tokens:
            for _ in range(3):
                await rest.ok("POST", "/v1/chat/completions", chat(), token=token)
        await stream(rest, tokens[0])
    listed = await records(rest, tenant.session, 7)
    total = sum(record["cost"] for record in listed)
    for grouping, rows in (
        ("model", 1),
        ("project", 1),
        ("token", 2),
        ("day", 1),
        ("model,token,day", 2),
        ("status", 1),
    ):
        usage = await rest.ok("GET", f"/v1/usage?groupBy={grouping}", token=tenant.session)
        assert len(usage["rows"]) == rows, grouping
        assert sum(row["requests"] for row in usage["rows"]) == 7
        assert sum(row["cost"] for row in usage["rows"]) == pytest.approx(total)
        assert sum(row["totalTokens"] for row in usage["rows"]) == 7 * 18
        assert usage["totals"][0]["requests"] == 7


async def test_embeddings_pass_through_and_are_metered(rest: Rest, tenant: Tenant) -> None:
    async with FakeProvider(fake.embeds()) as provider:
        await connect(rest, tenant.session, provider)
        sent = {"model": "vectors", "input": [[1, 2], [3]], "encoding_format": "base64", "dimensions": 2}
        answer = await rest.ok("POST", "/v1/embeddings", sent, token=tenant.session)
        assert provider.bodies[0] == {**sent, "model": fake.MODEL}
    assert answer["model"] == "vectors"
    assert isinstance(answer["data"][0]["embedding"], str)
    (record,) = await records(rest, tenant.session, 1)
    assert (record["operation"], record["usage"]["inputTokens"]) == ("embedding", 5)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", "body"),
        (b"[]", "body"),
        (b"", "body"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "model"),
        (b'{"model": "echo"}', "messages"),
        (b'{"model": "echo", "messages": []}', "messages"),
        (b'{"model": "echo", "messages": "x"}', "messages"),
        (b'{"model": 5, "messages": [{"role": "user", "content": "x"}]}', "model"),
        (b'{"model": "echo", "messages": [{"role": "user", "content": "x"}], "stream": "yes"}', "stream"),
        (b'{"model": "echo-embedding", "messages": [{"role": "user", "content": "x"}]}', "model"),
    ],
)
async def test_bad_bodies_are_400_and_name_the_field(
    rest: Rest, tenant: Tenant, body: bytes, param: str | None
) -> None:
    answer = await rest.call("POST", "/v1/chat/completions", data=body, token=tenant.session)
    assert answer.status == 400
    assert answer.body["error"]["type"] == "invalid_request_error"
    assert answer.body["error"]["param"] == param


async def test_a_body_that_is_too_large_is_413_and_a_large_one_passes(rest: Rest, tenant: Tenant) -> None:
    large = chat(model="echo", messages=[{"role": "user", "content": "x" * (10 << 20)}])
    assert (await rest.call("POST", "/v1/chat/completions", large, token=tenant.session)).status == 200
    huge = chat(model="echo", messages=[{"role": "user", "content": "x" * (33 << 20)}])
    answer = await rest.call("POST", "/v1/chat/completions", huge, token=tenant.session)
    assert answer.status == 413
    assert answer.body["error"]["message"]
