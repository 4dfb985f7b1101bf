"""The echo provider, which answers without any key."""

import pytest

from tests.support.inference_world import Caller, World


class TestEcho:
    @pytest.fixture
    async def echo(self, world: World) -> Caller:
        caller = world.caller()
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
