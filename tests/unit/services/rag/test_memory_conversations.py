"""Memories out of conversations, and summaries of long memories."""

from typing import Any

import pytest

from core.errors import InvalidInput, Unavailable, UpstreamFailed
from services.rag.domain.memory.changes import MemoryChange
from services.rag.domain.memory.checks import Filter, NewMemory
from services.rag.domain.memory.searches import Query
from services.rag.domain.memory.summaries import MAX_FACTS, Fact, read_facts
from services.rag.ports import ChatMessage
from tests.support.memory_harness import ACME, MemoryHarness

TALK = [
    ChatMessage("system", "Be brief."),
    ChatMessage("user", "Hello"),
    ChatMessage("assistant", "Hi"),
    ChatMessage("user", "I moved to Oslo"),
    ChatMessage("assistant", "Nice!"),
]


@pytest.fixture
def harness() -> MemoryHarness:
    return MemoryHarness()


async def contents(harness: MemoryHarness) -> list[str]:
    found, _ = await harness.parts.memories.list(ACME, "notes", Filter())
    return sorted(memory.content for memory in found)


async def test_without_extraction_the_last_exchange_is_one_memory(harness: MemoryHarness) -> None:
    await harness.make_store()
    (added,) = await harness.parts.conversations.add(ACME, "notes", TALK, scope="user", scope_id="ada", tags=("t",))
    memory = added.memory
    assert memory.content == "User: I moved to Oslo\nAssistant: Nice!"
    assert (memory.scope, memory.scope_id, memory.tags, memory.source) == ("user", "ada", ("t",), "chat")
    (again,) = await harness.parts.conversations.add(ACME, "notes", TALK, scope="user", scope_id="ada")
    assert again.duplicate


async def test_extraction_keeps_facts_with_their_importance(harness: MemoryHarness) -> None:
    await harness.make_store(extraction=True, chat_model_key="chat")
    harness.chat.answers = ['Here: {"facts": [{"content": "Lives in Oslo", "importance": 0.9}, {"content": " "}]} .']
    (added,) = await harness.parts.conversations.add(ACME, "notes", TALK)
    assert (added.memory.content, added.memory.importance) == ("Lives in Oslo", 0.9)
    system, user = harness.chat.asked[0]
    assert "data" in system.content
    opening, *lines, closing = user.content.splitlines()
    assert lines[-2:] == ["User: I moved to Oslo", "Assistant: Nice!"]
    assert closing == opening.replace("<", "</")


async def test_a_conversation_without_facts_leaves_none(harness: MemoryHarness) -> None:
    await harness.make_store(extraction=True, chat_model_key="chat")
    harness.chat.answers = ['{"facts": []}']
    assert await harness.parts.conversations.add(ACME, "notes", TALK) == []
    harness.chat.answers = ["I would rather not."]
    with pytest.raises(UpstreamFailed):
        await harness.parts.conversations.add(ACME, "notes", TALK)
    assert await contents(harness) == []


def test_facts_are_bounded() -> None:
    many = ",".join('{"content": "x", "importance": 7}' for _ in range(50))
    assert read_facts(f'{{"facts": [{many}]}}') == [Fact("x", 1.0)] * MAX_FACTS
    for text in ("", "{", "[]", '{"facts": 1}', "}{", "{" * 100_000 + "}"):
        with pytest.raises(UpstreamFailed):
            read_facts(text)


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "messages"),
        ([ChatMessage("user", "x")] * 101, "messages"),
        ([ChatMessage("user", "x" * 100_001)], "messages"),
        ([ChatMessage("moon", "x")], "messages[0].role"),
        ([ChatMessage("system", "x")], "messages"),
    ],
)
async def test_a_bad_conversation_is_refused(harness: MemoryHarness, messages: Any, field: str) -> None:
    await harness.make_store()
    with pytest.raises(InvalidInput) as caught:
        await harness.parts.conversations.add(ACME, "notes", messages)
    assert caught.value.field == field


async def test_long_memories_get_a_summary_which_recall_shows(harness: MemoryHarness) -> None:
    await harness.make_store(auto_summarize=True, chat_model_key="chat")
    harness.chat.answers = ["Tea, in short."]
    memory = await harness.add("tea " * 200)
    assert memory.summary == "Tea, in short."
    assert (await harness.add("short tea")).summary == ""
    recall = await harness.parts.searches.recall(ACME, "notes", Query("tea", min_score=0.0))
    assert "- Tea, in short." in recall.context.splitlines()
    changed = await harness.parts.changes.update(ACME, "notes", memory.id, MemoryChange(content="brief"))
    assert changed.summary == ""


async def test_a_memory_is_kept_though_its_summary_fails(harness: MemoryHarness) -> None:
    await harness.make_store(auto_summarize=True, chat_model_key="chat")
    harness.chat.error = Unavailable("away")
    added = await harness.parts.additions.add(ACME, "notes", NewMemory("tea " * 200))
    assert (added.memory.summary, added.duplicate) == ("", False)
