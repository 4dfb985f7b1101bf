"""Providers that fail, refuse or hang: what is repeated, what the caller is told, and the circuit."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from portico.inference.v1 import inference_service_pb2, model_service_pb2
from tests.support import fake_provider as fake
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, Harness, field_of, inference, reason_of, refused, text_of


class TestProvidersErrors:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_provider_that_fails_twice_is_asked_three_times(
        self, caller: Caller, provider: FakeProvider, stream: bool
    ) -> None:
        provider.behaviour = fake.in_turn(fake.refuses(503), fake.resets(), fake.answers("ok"))
        if stream:
            assert text_of(await caller.stream()) == "ok"
        else:
            assert (await caller.chat())["choices"][0]["message"]["content"] == "ok"
        assert provider.asked == 3
        await caller.records(1, status="success")

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_provider_that_goes_on_failing_is_asked_no_more_than_that(
        self, caller: Caller, provider: FakeProvider, stream: bool
    ) -> None:
        provider.behaviour = fake.refuses(500)
        error = await refused(caller.stream() if stream else caller.chat())
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(error) == "PROVIDER_FAILED"
        assert provider.asked == 3
        (record,) = await caller.records(1)
        assert (record.status, record.error_reason) == ("error", "PROVIDER_FAILED")

    @pytest.mark.parametrize(
        ("status", "code", "reason"),
        [
            (400, grpc.StatusCode.INVALID_ARGUMENT, "BAD_VALUE"),
            (401, grpc.StatusCode.UNAVAILABLE, "PROVIDER_REJECTED_CREDENTIALS"),
            (403, grpc.StatusCode.UNAVAILABLE, "PROVIDER_REJECTED_CREDENTIALS"),
            (404, grpc.StatusCode.NOT_FOUND, "BAD_VALUE"),
            (409, grpc.StatusCode.ALREADY_EXISTS, "BAD_VALUE"),
            (413, grpc.StatusCode.INVALID_ARGUMENT, "BAD_VALUE"),
            (422, grpc.StatusCode.INVALID_ARGUMENT, "BAD_VALUE"),
        ],
    )
    async def test_a_refusal_is_not_repeated_and_keeps_its_meaning(
        self, caller: Caller, provider: FakeProvider, status: int, code: grpc.StatusCode, reason: str
    ) -> None:
        provider.behaviour = fake.refuses(status)
        error = await refused(caller.chat())
        assert (error.code(), reason_of(error)) == (code, reason)
        assert provider.asked == 1
        if code is grpc.StatusCode.INVALID_ARGUMENT:
            assert error.details() == f"provider says {status}"
            assert field_of(error) == "temperature"

    async def test_a_rate_limit_says_when_to_come_back(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.refuses(429, headers={"Retry-After": "17"})
        caller.rest = True
        error = await refused(caller.chat())
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        trailers = dict(error.trailing_metadata() or ())
        assert trailers["x-http-status"] == "429"
        assert trailers["retry-after"] == "17"

    async def test_bad_credentials_of_the_provider_are_not_the_callers(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        provider.behaviour = fake.refuses(401)
        caller.rest = True
        error = await refused(caller.stream())
        assert dict(error.trailing_metadata() or ())["x-http-status"] == "502"

    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"[]", b"null", b'{"choices":[]}', b'{"choices":[1]}', b"[" * 2000, b"\xff{}"]
    )
    async def test_an_answer_that_is_none_is_the_providers_failure(
        self, caller: Caller, provider: FakeProvider, body: bytes
    ) -> None:
        provider.behaviour = fake.responds(body)
        assert reason_of(await refused(caller.chat())) == "UPSTREAM_MALFORMED"

    async def test_a_page_of_a_proxy_does_not_reach_the_caller(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.refuses(400, b"<html>internal-host-17</html>")
        assert "internal-host-17" not in str((await refused(caller.chat())).details())

    async def test_the_callers_deadline_ends_the_call_at_the_provider_too(
        self, caller: Caller, provider: FakeProvider
    ) -> None:
        provider.behaviour = fake.hangs()
        request = inference_service_pb2.ChatRequest(model="m", messages=[{"role": "user", "content": "Hi"}])
        error = await refused(caller.harness.typed.Chat(request, metadata=caller.metadata, timeout=0.3))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        async with asyncio.timeout(5):
            await provider.disconnected.wait()

    async def test_the_models_own_limit_is_a_504(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.hangs()
        await caller.model(key="hasty", settings=model_service_pb2.ModelSettings(timeout_seconds=1))
        caller.rest = True
        error = await refused(caller.chat(model="hasty"))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert dict(error.trailing_metadata() or ())["x-http-status"] == "504"
        assert provider.asked == 1


class TestCircuit:
    async def test_one_tenants_failures_leave_anothers_calls_alone(
        self, harness: Harness, caller: Caller, provider: FakeProvider
    ) -> None:
        """The circuit was keyed by provider key alone: one tenant's bad account cut off all who used that name."""
        other = harness.caller(tenant="globex")
        await other.provider(provider.url)
        await other.model()
        provider.behaviour = fake.refuses(500)
        for _ in range(5):
            await refused(caller.chat())
        provider.behaviour = fake.answers()
        asked = provider.asked
        error = await refused(caller.chat())
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert provider.asked == asked
        await other.chat()

    async def test_callers_mistakes_do_not_open_the_circuit(self, caller: Caller, provider: FakeProvider) -> None:
        provider.behaviour = fake.refuses(400)
        for _ in range(8):
            await refused(caller.chat())
        provider.behaviour = fake.answers()
        await caller.chat()

    async def test_after_the_pause_one_call_alone_tries_the_provider(
        self, tmp_path: Path, provider: FakeProvider
    ) -> None:
        async with inference(
            tmp_path / "data",
            PORTICO_PROVIDER_BREAKER_RESET_SECONDS="0.2",
            PORTICO_PROVIDER_BREAKER_THRESHOLD="1",
            PORTICO_PROVIDER_ATTEMPTS="1",
        ) as harness:
            caller = harness.caller()
            await caller.provider(provider.url)
            await caller.model()
            provider.behaviour = fake.refuses(500)
            await refused(caller.chat())
            release = asyncio.Event()

            async def slow(provider: FakeProvider, peer: Any, body: Any) -> None:
                await release.wait()
                await fake.answers()(provider, peer, body)

            provider.behaviour = slow
            await asyncio.sleep(0.25)  # the pause itself
            provider.begun.clear()
            calls = [asyncio.ensure_future(caller.chat()) for _ in range(10)]
            await provider.begun.wait()
            waiting, done = set(calls), set()
            async with asyncio.timeout(5):
                while len(waiting) > 1:
                    ended, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    done |= ended
            assert provider.asked == 2
            release.set()
            await asyncio.gather(*waiting)
            await asyncio.gather(*done, return_exceptions=True)
            await caller.chat()
