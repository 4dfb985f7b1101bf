"""Counting, pricing and keeping usage."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import context
from core.context import Identity, Kind, RequestContext
from core.errors import FailedPrecondition, Unavailable
from core.storage.memory import MemoryStore
from core.storage.ports import Collection, Document
from core.tasks import Tasks
from core.tenancy import Project, Scope, Tenant
from services.inference.domain import calls, tokens
from services.inference.domain.calls import Call
from services.inference.domain.models import Pricing
from services.inference.domain.tables import COLLECTIONS, USAGE
from services.inference.domain.tokens import TokenUsage
from services.inference.domain.usage import BATCH, Meter, cost_nanos

PROJECT = Project(Tenant("acme"), "p1")


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


class Store(MemoryStore):
    """Fails as told."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[Exception] = []
        self.batches: list[int] = []

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        if self.failures:
            raise self.failures.pop()
        self.batches.append(len(documents))
        return await super().insert_many(scope, collection, documents)


@pytest.fixture
async def store() -> Store:
    made = Store()
    await made.prepare(PROJECT.tenant, COLLECTIONS)
    return made


def ended(model: str = "m", project: Project = PROJECT) -> Call:
    context.bind(RequestContext("r", Identity(project, "u", Kind.API, frozenset("*"), "t", 0.0, None)))
    return calls.begin(calls.CHAT, model)


async def written(store: Store, project: Project = PROJECT) -> int:
    return await store.count(project, USAGE)


async def test_records_are_written_in_batches(store: Store) -> None:
    meter = Meter(store, Tasks(), capacity=10_000)
    for _ in range(BATCH + 10):
        meter.add(ended())
    await meter.flush()
    await meter.flush()
    assert store.batches == [BATCH, 10]
    assert await written(store) == BATCH + 10


async def test_a_full_batch_does_not_wait_for_the_clock(store: Store) -> None:
    tasks = Tasks()
    meter = Meter(store, tasks, capacity=10_000)
    for _ in range(BATCH):
        meter.add(ended())
    assert tasks.count == 1
    await tasks.drain(5)
    assert await written(store) == BATCH


@pytest.mark.parametrize("failure", [Unavailable("away"), RuntimeError("driver")])
async def test_what_the_store_refuses_is_written_once_it_can(store: Store, failure: Exception) -> None:
    meter = Meter(store, Tasks(), capacity=100)
    meter.add(ended())
    store.failures = [failure]
    await meter.flush()
    assert await written(store) == 0
    meter.add(ended())
    await meter.flush()
    assert await written(store) == 2
    assert meter.lost == 0


async def test_a_store_that_stays_away_costs_bounded_memory(store: Store) -> None:
    meter = Meter(store, Tasks(), capacity=5)
    store.failures = [Unavailable("away") for _ in range(3)]
    for _ in range(3):
        for _ in range(4):
            meter.add(ended())
        await meter.flush()
    assert meter.lost == 7
    await meter.flush()
    assert await written(store) == 5
    meter.add(ended())
    await meter.flush()
    assert await written(store) == 6


async def test_a_removed_tenant_does_not_hold_up_the_others(store: Store) -> None:
    other = Project(Tenant("globex"), "p1")
    await store.prepare(other.tenant, COLLECTIONS)
    meter = Meter(store, Tasks(), capacity=100)
    meter.add(ended())
    meter.add(ended(project=other))
    store.failures = [FailedPrecondition("unknown tenant")]
    await meter.flush()
    await meter.flush()
    assert await written(store) + await written(store, other) == 1


async def test_two_flushes_at_once_write_nothing_twice(store: Store) -> None:
    meter = Meter(store, Tasks(), capacity=100)
    for _ in range(10):
        meter.add(ended())
    await asyncio.gather(meter.flush(), meter.flush())
    assert await written(store) == 10
