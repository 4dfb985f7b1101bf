"""The echo provider, which answers without any key."""

import asyncio
from pathlib import Path

import grpc
import pytest

from portico.inference.v1 import model_service_pb2, provider_service_pb2
from tests.support.inference_harness import Caller, Harness, field_of, inference, reason_of, refused


class TestEcho:
    @pytest.fixture
    async def echo(self, harness: Harness) -> Caller:
        caller = harness.caller()
        await caller.provider()
        await caller.model()
        await caller.model(key="e", category="embedding")
        return caller

    async def test_it_answers_with_the_question_without_any_key(self, echo: Caller) -> None:
        answer = await echo.chat("What is it?")
        assert answer["choices"][0]["message"]["content"] == "What is it?"
        assert answer["usage"] == {"prompt_tokens": 6, "completion_tokens": 3, "total_tokens": 9}

    async def test_it_streams_word_by_word(self, echo: Caller) -> None:
        frames = await echo.stream("What is it?", stream_options={"include_usage": True})
        assert [c["delta"].get("content") for f in frames for c in f["choices"]] == ["", "What", " is", " it?", None]
        assert frames[-1]["usage"]["completion_tokens"] == 3

    async def test_it_embeds(self, echo: Caller) -> None:
        answer = await echo.post_embeddings({"model": "e", "input": ["a b", "a c", "x y"], "dimensions": 64})
        first, near, far = (each["embedding"] for each in answer["data"])
        assert len(first) == 64
        assert sum(x * x for x in first) == pytest.approx(1)
        assert sum(x * y for x, y in zip(first, near, strict=True)) > sum(
            x * y for x, y in zip(first, far, strict=True)
        )

    async def test_more_words_than_it_makes_are_refused(self, echo: Caller) -> None:
        """They were all made at once: everybody waited for seconds, and the service took 800 MiB."""
        error = await refused(echo.stream("word " * 16_384, n=16))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert field_of(error) == "messages"

    async def test_more_numbers_than_it_makes_are_refused(self, echo: Caller) -> None:
        """They were made on the event loop, and the answer was too large to send: a 500."""
        error = await refused(echo.post_embeddings({"model": "e", "input": ["a"] * 2048, "dimensions": 4096}))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert field_of(error) == "input"

    async def test_as_many_numbers_as_it_makes_are_answered(self, echo: Caller) -> None:
        answer = await echo.post_embeddings({"model": "e", "input": ["a b"] * 2048, "encoding_format": "base64"})
        assert len(answer["data"]) == 2048

    async def test_others_go_on_while_it_streams_its_longest_answer(self, echo: Caller, harness: Harness) -> None:
        other = harness.caller(tenant="globex")
        await other.provider()
        await other.model()
        attack = asyncio.create_task(echo.stream("w " * 8_192))
        for number in range(20):
            assert (await other.chat(f"{number}"))["choices"][0]["message"]["content"] == f"{number}"
        assert not attack.done()
        assert len(await attack) > 8_192


class TestEchoTurnedOff:
    async def test_it_is_not_offered_and_cannot_be_created(self, tmp_path: Path) -> None:
        async with inference(tmp_path / "data", PORTICO_ECHO_DRIVER="false") as harness:
            caller = harness.caller()
            listed = await harness.providers.ListDrivers(
                provider_service_pb2.ListDriversRequest(), metadata=caller.metadata
            )
            assert "echo" not in {driver.id for driver in listed.drivers}
            error = await refused(caller.provider())
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert field_of(error) == "driver"

    async def test_models_that_are_on_it_say_so(self, tmp_path: Path) -> None:
        async with inference(tmp_path / "data") as harness:
            caller = harness.caller()
            await caller.provider()
            await caller.model()
        async with inference(tmp_path / "data", PORTICO_ECHO_DRIVER="false") as harness:
            caller = harness.caller()
            error = await refused(caller.chat())
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert (reason_of(error), field_of(error)) == ("DRIVER_DISABLED", "model")
            listed = await harness.models.ListModels(model_service_pb2.ListModelsRequest(), metadata=caller.metadata)
            assert [model.key for model in listed.models] == ["m"]
            assert list(listed.data) == []
            change = provider_service_pb2.UpdateProviderRequest(id="p", settings={"delayMs": "1"})
            error = await refused(harness.providers.UpdateProvider(change, metadata=caller.metadata))
            assert reason_of(error) == "DRIVER_DISABLED"
            gone = model_service_pb2.DeleteModelRequest(id="m")
            await harness.models.DeleteModel(gone, metadata=caller.metadata)
            removed = provider_service_pb2.DeleteProviderRequest(id="p")
            await harness.providers.DeleteProvider(removed, metadata=caller.metadata)
