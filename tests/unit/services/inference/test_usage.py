"""Counting, pricing and keeping usage."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core import context
from core.context import Identity, Kind, RequestContext
from core.errors import Unavailable
from core.storage.memory import MemoryStore
from core.tasks import Tasks
from core.tenancy import Project, Tenant
from services.inference.domain import calls, tokens
from services.inference.domain.models import Pricing
from services.inference.domain.tables import COLLECTIONS, USAGE
from services.inference.domain.tokens import TokenUsage
from services.inference.domain.usage import Meter, cost_nanos


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
    st.sampled_from(["prompt_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens",
                     "completion_tokens_details", "reasoning_tokens"]), x)))  # fmt: skip
def test_no_usage_object_is_taken_wrongly(usage: Any) -> None:
    read = tokens.reported(usage)
    if read is not None:
        assert 0 <= read.cached_input <= read.input < 2**31
        assert 0 <= read.reasoning <= read.output < 2**31


def test_characters_count_texts_and_tool_calls() -> None:
    call = {"function": {"name": "ab", "arguments": "{}"}}
    parts = [{"type": "text", "text": "abc"}, {"type": "image_url", "image_url": {"url": "x" * 99}}]
    messages = [{"content": "abcd"}, {"content": parts}, {"content": None, "tool_calls": [call, None]}, "no"]
    assert tokens.message_characters(messages) == 4 + 3 + 4
    assert tokens.input_characters(["ab", [1, 2]]) == 2 + 8


async def test_a_call_is_recorded_as_it_ended() -> None:
    store, project = MemoryStore(), Project(Tenant("acme"), "p1")
    await store.prepare(project.tenant, COLLECTIONS)
    meter = Meter(store, Tasks(), capacity=10)
    context.bind(RequestContext("r", Identity(project, "u", Kind.API, frozenset("*"), "t", 0.0, None)))
    call = calls.begin(calls.CHAT, "m" * 300)
    call.failed(Unavailable("away", reason="AWAY"))
    meter.add(call)
    await meter.flush()
    (record,) = (await store.find(project, USAGE)).items
    assert record["id"].startswith("use_")
    assert (record["requestId"], record["tokenId"], record["userId"]) == ("r", "t", "u")
    assert (record["status"], record["errorReason"], record["model"]) == (calls.ERROR, "AWAY", "m" * 256)
    assert record["latencyMs"] >= 0
