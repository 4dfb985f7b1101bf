"""Counts, prices and records of usage."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import context
from core.context import Identity, Kind, RequestContext
from core.errors import Unavailable
from core.resilience import RetryBudget
from core.tasks import Tasks
from core.tenancy import Project, Tenant
from services.inference.domain.catalogue.prices import Pricing
from services.inference.domain.codecs.openai.token_counts import read_usage
from services.inference.domain.pipeline.answer import Answer, WholeAnswer
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.metering_step import Metering
from services.inference.domain.tables import USAGE
from services.inference.domain.usage import calls, tokens
from services.inference.domain.usage.metering import Meter, cost_nanos
from services.inference.domain.usage.tokens import TokenUsage
from tests.support.stores import MemoryStore


def test_the_cost_is_exact_and_counts_every_token_once() -> None:
    pricing = Pricing("USD", input=2.5, output=10.0, cached=1.25)
    assert cost_nanos(TokenUsage(1, 0), pricing) == 2500
    assert cost_nanos(TokenUsage(1_000_000, 1_000_000), pricing) == 12_500_000_000
    assert cost_nanos(TokenUsage(100, 50, cached_input=40, reasoning=30), pricing) == 60 * 2500 + 40 * 1250 + 500_000
    assert cost_nanos(TokenUsage(100, 0, cached_input=100), Pricing("USD", input=1.0)) == 100_000


def test_a_call_of_a_fraction_of_a_cent_costs_something() -> None:
    """Money in whole cents made cheap models free."""
    assert cost_nanos(TokenUsage(3, 1), Pricing("USD", input=0.01, output=0.02)) == 50


@given(st.recursive(st.none() | st.integers() | st.floats() | st.text(), lambda x: st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens", "total_tokens",
                     "completion_tokens_details", "reasoning_tokens", "prompt_cache_hit_tokens"]), x), max_leaves=16),
    st.booleans())  # fmt: skip
def test_no_usage_object_is_taken_wrongly(usage: Any, generates: bool) -> None:
    read = read_usage(usage, generates=generates)
    if read is not None:
        assert 0 <= read.cached_input <= read.input < 2**31
        assert 0 <= read.reasoning <= read.output < 2**31


PRICES = Pricing("USD", input=2.0, output=10.0, cached=0.2)


@pytest.mark.parametrize(
    ("usage", "read", "cost"),
    [
        (  # DeepSeek, litellm#16009
            {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "prompt_cache_hit_tokens": 800,
             "prompt_cache_miss_tokens": 200}, TokenUsage(1000, 100, 800), 0.00156),
        (  # xAI, sub2api#5771
            {"prompt_tokens": 10120, "completion_tokens": 1499, "total_tokens": 14428,
             "completion_tokens_details": {"reasoning_tokens": 2809}}, TokenUsage(10120, 4308, 0, 2809), 0.06332),
        (  # Gemini's compatible endpoint
            {"prompt_tokens": 11, "completion_tokens": 9, "total_tokens": 88}, TokenUsage(11, 77), 0.000792),
        (  # Moonshot
            {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11, "cached_tokens": 4},
            TokenUsage(10, 1, 4), 0.0000228),
        (  # details without the count
            {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"audio_tokens": 0},
             "prompt_cache_hit_tokens": 4}, TokenUsage(10, 1, 4), 0.0000228),
        (  # counts as texts
            {"prompt_tokens": "10", "completion_tokens": "1", "total_tokens": "11",
             "prompt_tokens_details": {"cached_tokens": "4"}}, TokenUsage(10, 1, 4), 0.0000228),
        (  # the names of OpenAI's Responses
            {"input_tokens": 10, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 4},
             "output_tokens_details": {"reasoning_tokens": 1}}, TokenUsage(10, 1, 4, 1), 0.0000228),
        (  # no count of the input
            {"completion_tokens": 1, "total_tokens": 11}, TokenUsage(10, 1), 0.00003),
        (  # a total that is too small
            {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 1}, TokenUsage(10, 1), 0.00003),
    ],
)  # fmt: skip
def test_usage_is_read_in_every_dialect(usage: Any, read: TokenUsage, cost: float) -> None:
    assert read_usage(usage) == read
    assert cost_nanos(read, PRICES) == round(cost * 1e9)


@pytest.mark.parametrize(
    "usage",
    [None, {}, [], "5", {"total_tokens": 5}, {"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": "x"}],
)
def test_a_report_that_says_nothing_is_none(usage: Any) -> None:
    assert read_usage(usage) is None


@pytest.mark.parametrize(
    "usage", [{"total_tokens": 5}, {"prompt_tokens": 5, "total_tokens": 5}, {"prompt_tokens": 2, "total_tokens": 5}]
)
def test_where_nothing_is_generated_all_is_input(usage: Any) -> None:
    assert read_usage(usage, generates=False) == TokenUsage(5)


def test_tools_and_schemas_are_input() -> None:
    """aisix#794: 9,320 characters of tools were estimated as 3 tokens."""
    tools = [{"type": "function", "function": {"name": "f", "description": "d" * 9320}}]
    request = {"messages": [{"role": "user", "content": "1234"}], "tools": tools}
    assert tokens.estimate(tokens.request_characters(request)) > 9320 / 4
    schema = {"messages": [], "response_format": {"type": "json_schema", "json_schema": {"a": "b" * 400}}}
    assert tokens.estimate(tokens.request_characters(schema)) > 100
    assert tokens.request_characters({"messages": None, "tools": None}) == 0


def test_content_in_parts_counts_whatever_its_parts_are() -> None:
    """aisix#794: reasoning within a list of parts, and reasoning beside the content."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "abcd"}]}
    message = {"role": "assistant", "content": [thinking, "ef"], "reasoning_content": "ghi", "refusal": None}
    assert tokens.message_characters([message]) == 9
    image = {"type": "image_url", "image_url": {"url": "data:" + "x" * 999}}
    assert tokens.message_characters([{"role": "user", "content": [image, {"type": "text", "text": "ab"}]}]) == 2
    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    assert tokens.message_characters([{"content": deep}]) == 0


def test_characters_count_texts_and_tool_calls() -> None:
    call = {"function": {"name": "ab", "arguments": "{}"}}
    parts = [{"type": "text", "text": "abc"}, {"type": "image_url", "image_url": {"url": "x" * 99}}]
    messages = [{"content": "abcd"}, {"content": parts}, {"content": None, "tool_calls": [call, None]}, "no"]
    assert tokens.message_characters(messages) == 4 + 3 + 4
    assert tokens.input_characters(["ab", [1, 2]]) == 2 + 8


PROJECT = Project(Tenant("acme"), "p1")


def begin(model: str) -> Exchange:
    context.bind(RequestContext("r", Identity(PROJECT, "u", Kind.API, frozenset("*"), "t", 0.0, None)))
    return Exchange(calls.begin(calls.CHAT, model), {}, "r", False, False, RetryBudget())


async def test_what_a_provider_says_takes_little_room_in_a_record() -> None:
    """A finish reason of a megabyte was kept whole, and one of several megabytes cost the record."""
    store = MemoryStore()
    meter = Meter(store, Tasks(), capacity=10)

    async def answered(exchange: Exchange) -> Answer:
        return WholeAnswer([{}], tokens.NO_USAGE, "stop" * 1_000_000)

    await Metering(meter)(begin("m"), answered)
    await meter.flush()
    (record,) = (await store.find(PROJECT, USAGE)).items
    assert record["finishReason"] == "stop" * 16


async def test_a_call_is_recorded_as_it_ended() -> None:
    store, project = MemoryStore(), PROJECT
    meter = Meter(store, Tasks(), capacity=10)

    async def away(exchange: Exchange) -> Answer:
        raise Unavailable("away", reason="AWAY")

    with pytest.raises(Unavailable):
        await Metering(meter)(begin("m" * 300), away)
    await meter.flush()
    (record,) = (await store.find(project, USAGE)).items
    assert record["id"].startswith("use_")
    assert (record["requestId"], record["tokenId"], record["userId"]) == ("r", "t", "u")
    assert (record["status"], record["errorReason"], record["model"]) == (calls.ERROR, "AWAY", "m" * 256)
    assert record["latencyMs"] >= 0
