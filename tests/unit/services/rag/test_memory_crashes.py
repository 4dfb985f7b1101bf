"""Memories after a crash at any write: records and vectors agree, and what was deleted stays away."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from core.errors import Unavailable
from services.rag.domain.memory.checks import Filter, NewMemory
from services.rag.domain.memory.memories import MemoryChange
from services.rag.domain.memory.tables import MEMORY_STORES
from services.rag.ports import IndexRef, VectorPoint
from tests.support.memory_harness import ACME, MemoryHarness

WRITES = frozenset({"insert", "insert_many", "update", "increment", "delete", "delete_where"})
DAY = 86_400.0


class Killed(BaseException):
    """The process ends here."""


class Killer:
    """Ends the process at its write number `at`, before it is carried out and, counted as one more, after that."""

    def __init__(self, at: int) -> None:
        self.left = at

    def tick(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1


class KilledStore:
    """A document store whose writes are counted."""

    def __init__(self, store: Any, killer: Killer) -> None:
        self._store = store
        self._killer = killer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)
        if name not in WRITES:
            return method  # type: ignore[no-any-return]

        async def write(*args: Any, **kwargs: Any) -> Any:
            self._killer.tick()
            answer = await method(*args, **kwargs)
            self._killer.tick()
            return answer

        return write


async def add(harness: MemoryHarness, id: str) -> None:
    await harness.parts.memories.add(ACME, "notes", NewMemory("new", "user", "ada"))


async def add_batch(harness: MemoryHarness, id: str) -> None:
    await harness.parts.memories.add_batch(ACME, "notes", [NewMemory("one"), NewMemory("two")])


async def change_content(harness: MemoryHarness, id: str) -> None:
    await harness.parts.memories.update(ACME, "notes", id, MemoryChange(content="changed"))


async def archive(harness: MemoryHarness, id: str) -> None:
    await harness.parts.memories.update(ACME, "notes", id, MemoryChange(status="archived"))


async def delete(harness: MemoryHarness, id: str) -> None:
    await harness.parts.memories.delete(ACME, "notes", id)


async def delete_all(harness: MemoryHarness, id: str) -> None:
    await harness.parts.memories.delete_matching(ACME, "notes", Filter(), every=True)


async def make_store(harness: MemoryHarness, id: str) -> None:
    await harness.make_store(key="second")


async def delete_store(harness: MemoryHarness, id: str) -> None:
    await harness.parts.stores.delete(ACME, "notes")


async def expire(harness: MemoryHarness, id: str) -> None:
    harness.now += 2 * DAY
    await harness.clean_up()


GONE = {delete: "kept", delete_all: "kept", delete_store: "kept"}


@pytest.mark.parametrize(
    "change", [add, add_batch, change_content, archive, delete, delete_all, make_store, delete_store, expire]
)
async def test_a_crash_at_any_write_leaves_records_and_vectors_that_agree(
    change: Callable[[MemoryHarness, str], Awaitable[None]],
) -> None:
    """Counts went wrong, and vectors stayed of memories that were gone."""
    for at in range(100):
        harness = MemoryHarness()
        config: dict[str, Any] = {"ttl_days": 1.0} if change is expire else {"max_memories": 2}
        await harness.make_store(**config)
        kept = await harness.add("kept", importance=1.0)
        store, killer = harness.documents, Killer(at)
        harness.documents = KilledStore(store, killer)
        harness.vectors.writing = killer.tick
        harness.restart()
        acknowledged = True
        try:
            await change(harness, kept.id)
        except Killed:
            acknowledged = False
        harness.documents, harness.vectors.writing = store, lambda: None
        harness.restart()
        await check(harness, change, kept.id, acknowledged=acknowledged)
        if acknowledged:
            assert at > 2
            return
    raise AssertionError("it never ended")


async def check(harness: MemoryHarness, change: Any, kept: str, *, acknowledged: bool) -> None:
    for _ in range(2):  # the second time after the vectors of the first have been cleaned up
        there = {record["content"] for record in await harness.records()}
        if change is not expire and await stores(harness) and "kept" in there:
            found = {match.memory.content for match in await harness.search("kept new changed one two", top_k=9)}
            active = {record["content"] for record in await harness.records() if record["status"] == "active"}
            assert found == active
        await harness.clean_up()
        await harness.clean_up()
    records = await harness.records()
    assert harness.vector_ids() == {record["vectorId"] for record in records}
    assert await harness.parts.intents.count(ACME) == 0
    assert len(harness.vectors.infos) == await harness.documents.count(ACME, MEMORY_STORES)
    if acknowledged and change in GONE:
        assert kept not in {record["id"] for record in records}
    if acknowledged and change is add:
        assert {record["content"] for record in records} == {"kept", "new"}
    if change in (add, archive, change_content, make_store):
        assert kept in {record["id"] for record in records}


async def stores(harness: MemoryHarness) -> bool:
    found, _ = await harness.parts.stores.page(ACME)
    return any(store.key == "notes" for store in found)


async def test_a_change_that_outlasts_its_intent_is_refused_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its vector would have been removed by then, and the memory never found."""
    harness = MemoryHarness()
    await harness.make_store()
    kept = await harness.add("kept")
    original = harness.vectors.upsert

    async def upsert(ref: IndexRef, points: Sequence[VectorPoint]) -> None:
        await original(ref, points)
        await harness.clean_up()

    monkeypatch.setattr(harness.vectors, "upsert", upsert)
    for change in (add, change_content):
        with pytest.raises(Unavailable) as caught:
            await change(harness, kept.id)
        assert caught.value.reason == "CHANGE_EXPIRED"
    monkeypatch.undo()
    assert [record["content"] for record in await harness.records()] == ["kept"]
    assert harness.vector_ids() == {kept.vector_id}
    assert len(await harness.search("kept")) == 1
