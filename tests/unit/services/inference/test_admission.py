"""The admission step: calls without limits, estimates, and streams that end in the middle of a batch."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest

from core.context import Identity, Kind
from core.errors import RateLimited
from core.quotas.memory import MemoryLedger
from core.quotas.rules import Dimension
from core.resilience import RetryBudget
from services.inference.domain.admission.charged_stream import STEP_TOKENS, ChargedStream
from services.inference.domain.admission.estimates import MEDIA_TOKENS, input_tokens, most_output
from services.inference.domain.admission.step import AdmissionSteps
from services.inference.domain.catalogue.models import Model
from services.inference.domain.catalogue.prices import Pricing
from services.inference.domain.pipeline.answer import Answer, Chunk
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.usage.calls import CANCELLED, CHAT, EMBEDDING, ERROR, RERANK, ModelCall
from services.inference.domain.usage.tokens import TokenUsage, estimate
from tests.support.quotas import SHOP, SUBJECT, TOKENS, replica

MODEL = Model("mdl_1", "m", "M", "llm", "p", "up")


async def test_a_call_without_limits_is_passed_on_as_it_is() -> None:
    """A project without policies pays one look, and nothing that is awaited."""

    async def answered() -> Any:
        raise AssertionError("nobody awaits it")

    identity = Identity(SHOP, "ada", Kind.API, frozenset("*"), "t1", 0.0, None)
    call = ModelCall(identity, "req-1", CHAT, "m", 0.0, 0.0, None)
    exchange = Exchange(call, {"model": "m"}, "req-1", False, False, RetryBudget())
    step, made = AdmissionSteps(replica(MemoryLedger())).step(SHOP, MODEL), answered()

    def call_next(passed: Exchange) -> Awaitable[Answer]:
        assert passed is exchange
        return made

    assert step(exchange, call_next) is made
    assert call.reservation is None
    made.close()


@pytest.mark.parametrize(
    ("operation", "request_body", "tokens"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "12345678"}]}, 2),
        (CHAT, {"messages": [{"role": "user", "content": "1234"}], "tools": [{"a": "b"}]}, 4),
        (
            CHAT,
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x" * 9999}}]}]},
            MEDIA_TOKENS,
        ),
        (EMBEDDING, {"input": ["1234", "5678"]}, 2),
        (EMBEDDING, {"input": [1, 2, 3]}, 3),
        (RERANK, {"query": "1234", "documents": ["1234", "12345678"]}, 5),
    ],
)
def test_input_is_estimated_with_tools_and_media(operation: str, request_body: dict[str, Any], tokens: int) -> None:
    assert input_tokens(operation, request_body) == tokens


@pytest.mark.parametrize(
    ("request_body", "most"),
    [
        ({}, None),
        ({"max_tokens": 7}, 7),
        ({"max_tokens": 7, "max_completion_tokens": 9}, 9),
        ({"max_tokens": 7, "n": 3}, 21),
        ({"max_tokens": "many"}, None),
    ],
)
def test_an_answer_is_bounded_by_the_request(request_body: dict[str, Any], most: int | None) -> None:
    assert most_output(request_body) == most


class Streamed(Answer):
    """A provider's stream, whose chunks come in these batches."""

    def __init__(self, *batches: list[Chunk]) -> None:
        super().__init__()
        self._batches = list(batches)
        self.closed = False

    async def next(self) -> list[Chunk]:
        found = self._batches.pop(0)
        self.characters += sum(len(each["choices"][0]["delta"]["content"]) for each in found)
        return found

    async def close(self) -> None:
        if not self.ended:
            self.usage = TokenUsage(0, estimate(self.characters), estimated=True)
            self._end(CANCELLED)


def chunk(characters: int) -> Chunk:
    return {"choices": [{"index": 0, "delta": {"content": "x" * characters}}]}


async def test_a_stream_is_cut_after_the_chunk_that_passes_the_limit() -> None:
    """Providers send many chunks at once: those after the limit are neither given out nor charged."""
    admission = replica(MemoryLedger(), replace(TOKENS, limit=1000))
    reservation = await admission.admit(SUBJECT, {Dimension.TOKENS: STEP_TOKENS})
    inner = Streamed([chunk(400)] * 9, [chunk(400)] * 5)
    stream = ChargedStream(inner, reservation, Pricing(), 0)
    assert len(await stream.next()) == 9
    assert not stream.ended
    assert len(await stream.next()) == 2
    assert isinstance(stream.error, RateLimited)
    assert (stream.status, stream.usage.output) == (ERROR, 1100)
    assert inner.ended
