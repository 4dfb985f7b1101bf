"""Memories: deduplication, changes, lists, deletion, expiry and eviction, on stores in memory."""

from typing import Any

import pytest

from core.errors import Conflict, InvalidInput, NotFound
from core.tenancy import Project, Tenant
from services.rag.domain.memory.changes import MemoryChange
from services.rag.domain.memory.checks import MAX_BATCH, MAX_CONTENT, Filter, NewMemory
from services.rag.domain.memory.searches import Query
from tests.support.memory_harness import ACME, MemoryHarness

DAY = 86_400.0
OTHERS = (Project(Tenant("acme"), "p2"), Project(Tenant("globex"), "p1"))


@pytest.fixture
def harness() -> MemoryHarness:
    return MemoryHarness()


async def test_the_same_content_is_kept_once_in_a_scope_and_not_across(harness: MemoryHarness) -> None:
    """Deduplication looked at the text alone: one user's memory was given to another."""
    await harness.make_store()
    first = await harness.add("likes tea", scope="user", scope_id="ada")
    again = await harness.parts.additions.add(ACME, "notes", NewMemory("likes tea", "user", "ada"))
    assert (again.memory.id, again.duplicate) == (first.id, True)
    others = [
        await harness.add("likes tea", scope="user", scope_id="bob"),
        await harness.add("likes tea", scope="agent", scope_id="ada"),
        await harness.add("likes tea"),
    ]
    assert len({first.id, *(each.id for each in others)}) == 4
    await harness.check_consistent()


async def test_without_deduplication_the_same_content_is_kept_twice(harness: MemoryHarness) -> None:
    await harness.make_store(deduplication=False)
    assert (await harness.add("tea")).id != (await harness.add("tea")).id
    added = await harness.parts.additions.add_batch(ACME, "notes", [NewMemory("tea"), NewMemory("tea")])
    assert [each.duplicate for each in added] == [False, False]
    assert len(await harness.records()) == 4


async def test_a_batch_counts_what_it_has_twice_and_what_was_there(harness: MemoryHarness) -> None:
    await harness.make_store()
    await harness.add("one")
    batch = [NewMemory(text) for text in ("one", "two", "three", "two")]
    harness.embedder.texts.clear()
    added = await harness.parts.additions.add_batch(ACME, "notes", batch)
    assert [each.duplicate for each in added] == [True, False, False, True]
    assert harness.embedder.texts == ["two", "three"]
    await harness.check_consistent()


@pytest.mark.parametrize("length", [0, MAX_BATCH + 1])
async def test_a_batch_of_none_or_too_many_is_refused(harness: MemoryHarness, length: int) -> None:
    await harness.make_store()
    with pytest.raises(InvalidInput) as caught:
        await harness.parts.additions.add_batch(ACME, "notes", [NewMemory(f"m{at}") for at in range(length)])
    assert caught.value.field == "memories"


async def test_one_bad_memory_keeps_the_whole_batch_out(harness: MemoryHarness) -> None:
    await harness.make_store()
    with pytest.raises(InvalidInput) as caught:
        await harness.parts.additions.add_batch(ACME, "notes", [NewMemory("good"), NewMemory("bad", source="moon")])
    assert caught.value.field == "memories[1].source"
    assert await harness.records() == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"content": ""}, "content"),
        ({"content": " \n"}, "content"),
        ({"content": "x" * (MAX_CONTENT + 1)}, "content"),
        ({"content": "a\0b"}, "content"),
        ({"scope": "planet"}, "scope"),
        ({"scope": "user"}, "scopeId"),
        ({"scope_id": "ada"}, "scopeId"),
        ({"source": "moon"}, "source"),
        ({"importance": 1.5}, "importance"),
        ({"importance": float("nan")}, "importance"),
        ({"tags": ("a,b",)}, "tags"),
        ({"tags": ("x" * 65,)}, "tags"),
        ({"tags": tuple(map(str, range(33)))}, "tags"),
        ({"metadata": {"a": "x" * 20_000}}, "metadata"),
    ],
)
async def test_a_bad_memory_is_refused_by_the_name_of_its_field(
    harness: MemoryHarness, fields: dict[str, Any], named: str
) -> None:
    await harness.make_store()
    with pytest.raises(InvalidInput) as caught:
        await harness.parts.additions.add(ACME, "notes", NewMemory(**{"content": "x", **fields}))
    assert caught.value.field == named
    assert await harness.records() == []


async def test_archived_memories_are_kept_but_not_found(harness: MemoryHarness) -> None:
    await harness.make_store()
    memory = await harness.add("tea", tags=("drink",), scope="user", scope_id="ada")
    archived = await harness.parts.changes.update(ACME, "notes", memory.id, MemoryChange(status="archived"))
    assert (archived.status, archived.tags, archived.embedding_version) == ("archived", ("drink",), 1)
    assert await harness.found("tea") == []
    assert await harness.parts.memories.list(ACME, "notes", Filter()) == ([], 0)
    assert await harness.parts.memories.list(ACME, "notes", Filter(status="archived")) == ([archived], 1)
    assert await harness.parts.memories.list(ACME, "notes", Filter(status="all")) == ([archived], 1)
    await harness.check_consistent()
    # The same content is as good as new.
    again = await harness.parts.additions.add(ACME, "notes", NewMemory("tea", "user", "ada"))
    assert (again.memory.id, again.memory.status, again.duplicate) == (memory.id, "active", True)
    assert await harness.found("tea", filter=Filter(tags=("drink",))) == ["tea"]
    await harness.check_consistent()


async def test_a_change_keeps_what_the_vector_is_filtered_by(harness: MemoryHarness) -> None:
    """A new content overwrote the vector's metadata: scope and tags were lost."""
    await harness.make_store()
    memory = await harness.add("tea", tags=("drink",), scope="user", scope_id="ada", metadata={"a": 1, "b": 2})
    change = MemoryChange(content="green tea", metadata={"b": None, "c": 3}, importance=0.9)
    changed = await harness.parts.changes.update(ACME, "notes", memory.id, change)
    assert (changed.content, changed.metadata, changed.importance) == ("green tea", {"a": 1, "c": 3}, 0.9)
    assert (changed.embedding_version, changed.created_at) == (2, memory.created_at)
    assert await harness.found("green", filter=Filter("user", "ada", ("drink",))) == ["green tea"]
    assert await harness.parts.memories.get(ACME, "notes", memory.id) == changed
    tagless = await harness.parts.changes.update(ACME, "notes", memory.id, MemoryChange(tags=()))
    assert tagless.tags == ()
    assert await harness.found("green", filter=Filter(tags=("drink",))) == []
    await harness.check_consistent()


async def test_only_another_content_is_embedded_again(harness: MemoryHarness) -> None:
    await harness.make_store()
    memory = await harness.add("tea")
    harness.embedder.texts.clear()
    for change in (MemoryChange(tags=("a",)), MemoryChange(status="archived"), MemoryChange(content="tea")):
        await harness.parts.changes.update(ACME, "notes", memory.id, change)
    assert harness.embedder.texts == []
    await harness.check_consistent()


async def test_a_change_to_a_content_that_is_there_is_refused(harness: MemoryHarness) -> None:
    await harness.make_store()
    await harness.add("coffee")
    memory = await harness.add("tea")
    with pytest.raises(Conflict) as caught:
        await harness.parts.changes.update(ACME, "notes", memory.id, MemoryChange(content="coffee"))
    assert caught.value.field == "content"
    await harness.check_consistent()


async def test_a_change_of_nothing_is_refused(harness: MemoryHarness) -> None:
    await harness.make_store()
    memory = await harness.add("tea")
    with pytest.raises(InvalidInput):
        await harness.parts.changes.update(ACME, "notes", memory.id, MemoryChange())


async def test_bulk_deletion_takes_what_meets_all_filters_with_its_vectors(harness: MemoryHarness) -> None:
    """Vectors stayed behind, and `before` was not looked at."""
    await harness.make_store()
    old = await harness.add("old tea", scope="user", scope_id="ada", tags=("drink",))
    harness.now += DAY
    await harness.add("new tea", scope="user", scope_id="ada", tags=("drink",))
    await harness.add("bread", scope="user", scope_id="ada", tags=("food", "cheap"))
    await harness.add("tea of bob", scope="user", scope_id="bob", tags=("drink",))
    memories = harness.parts.memories
    assert await memories.delete_matching(ACME, "notes", Filter("user", "ada", before=old.created_at + 1)) == 1
    assert await memories.delete_matching(ACME, "notes", Filter("user", "ada", ("cheap", "none"))) == 1
    await harness.check_consistent()
    assert {record["content"] for record in await harness.records()} == {"new tea", "tea of bob"}
    with pytest.raises(InvalidInput):
        await memories.delete_matching(ACME, "notes", Filter())
    assert await memories.delete_matching(ACME, "notes", Filter(), every=True) == 2
    assert harness.vector_ids() == set()


async def test_lists_are_filtered_counted_and_paged(harness: MemoryHarness) -> None:
    await harness.make_store()
    for number in range(7):
        harness.now += 1
        tags = ("even",) if number % 2 == 0 else ("odd", "seven")
        await harness.add(f"Note {number}", tags=tags, scope="user", scope_id=str(number % 3))
    memories = harness.parts.memories

    async def listed(given: Filter, **page: int) -> tuple[list[str], int]:
        found, total = await memories.list(ACME, "notes", given, **page)
        return [memory.content[-1] for memory in found], total

    assert await listed(Filter(), limit=3) == (["6", "5", "4"], 7)
    assert await listed(Filter(), limit=3, skip=5) == (["1", "0"], 7)
    assert await listed(Filter(tags=("odd",))) == (["5", "3", "1"], 3)
    assert await listed(Filter(tags=("even", "seven")), limit=2, skip=1) == (["5", "4"], 7)
    assert await listed(Filter(search="note 4")) == (["4"], 1)
    assert await listed(Filter(scope="user", scope_id="0")) == (["6", "3", "0"], 3)
    with pytest.raises(InvalidInput):
        await listed(Filter(status="moon"))
    with pytest.raises(InvalidInput):
        await listed(Filter(), skip=-1)


async def test_memories_expire_and_so_do_their_vectors(harness: MemoryHarness) -> None:
    await harness.make_store(ttl_days=1.0)
    memory = await harness.add("tea")
    assert memory.expires_at == harness.now + DAY
    harness.now += DAY / 2
    await harness.add("coffee")
    harness.now += DAY / 2
    assert await harness.found("tea") == ["coffee"]
    assert await harness.parts.stores.count(ACME, await harness.parts.stores.get(ACME, "notes")) == 1
    with pytest.raises(NotFound):
        await harness.parts.memories.get(ACME, "notes", memory.id)
    await harness.clean_up()
    assert harness.vector_ids() == {record["vectorId"] for record in await harness.records()}
    harness.now += DAY
    await harness.clean_up()
    assert harness.vector_ids() == set()
    assert await harness.parts.intents.count(ACME) == 0


async def test_a_duplicate_begins_its_time_to_live_anew(harness: MemoryHarness) -> None:
    await harness.make_store(ttl_days=1.0)
    await harness.add("tea")
    harness.now += 0.9 * DAY
    await harness.add("tea")
    harness.now += 0.9 * DAY
    assert await harness.found("tea") == ["tea"]


async def test_beyond_the_limit_the_weakest_go(harness: MemoryHarness) -> None:
    """Archived ones first, then by importance and use, decayed since the last use."""
    await harness.make_store(max_memories=3)
    weak = await harness.add("weak", importance=0.1)
    await harness.add("strong", importance=0.9)
    await harness.add("middle", importance=0.5)
    await harness.add("another", importance=0.3)
    assert {record["content"] for record in await harness.records()} == {"strong", "middle", "another"}
    with pytest.raises(NotFound):
        await harness.parts.memories.get(ACME, "notes", weak.id)
    found, _ = await harness.parts.memories.list(ACME, "notes", Filter(search="strong"))
    await harness.parts.changes.update(ACME, "notes", found[0].id, MemoryChange(status="archived"))
    await harness.add("faint", importance=0.0)  # new ones stay
    assert {record["content"] for record in await harness.records()} == {"faint", "middle", "another"}
    await harness.check_consistent()


async def test_what_is_used_is_evicted_later(harness: MemoryHarness) -> None:
    await harness.make_store(max_memories=2)
    await harness.add("green tea")
    await harness.add("black coffee")
    for _ in range(3):
        await harness.search("green tea", top_k=1)
    await harness.parts.uses.flush()
    harness.now += 60
    await harness.add("white bread")
    assert {record["content"] for record in await harness.records()} == {"green tea", "white bread"}


async def test_a_batch_larger_than_the_limit_ends_at_the_limit(harness: MemoryHarness) -> None:
    await harness.make_store(max_memories=5)
    await harness.parts.additions.add_batch(ACME, "notes", [NewMemory(f"note {at}") for at in range(20)])
    assert len(await harness.records()) == 5
    await harness.check_consistent()


async def test_projects_and_tenants_with_the_same_keys_share_nothing(harness: MemoryHarness) -> None:
    for project in (ACME, *OTHERS):
        await harness.make_store(project)
        await harness.add("tea", project=project)
        await harness.add(f"tea of {project.id} {project.tenant.slug}", project=project)
    for project in (ACME, *OTHERS):
        texts = {"tea", f"tea of {project.id} {project.tenant.slug}"}
        assert set(await harness.found("tea", project=project)) == texts
        listed, total = await harness.parts.memories.list(project, "notes", Filter())
        assert ({memory.content for memory in listed}, total) == (texts, 2)
        recall = await harness.parts.searches.recall(project, "notes", Query("tea", min_score=0.0))
        assert set(recall.context.splitlines()) == {f"- {text}" for text in texts}
        store = await harness.parts.stores.get(project, "notes")
        assert await harness.parts.stores.counts(project) == {store.id: 2}
    foreign = (await harness.records(OTHERS[0]))[0]["id"]
    harness.act_as(ACME)
    for call in (
        harness.parts.memories.get(ACME, "notes", foreign),
        harness.parts.memories.delete(ACME, "notes", foreign),
        harness.parts.changes.update(ACME, "notes", foreign, MemoryChange(content="mine")),
    ):
        with pytest.raises(NotFound):
            await call
    assert await harness.parts.memories.delete_matching(ACME, "notes", Filter(), every=True) == 2
    await harness.parts.stores.delete(ACME, "notes")
    for project in OTHERS:
        assert len(await harness.search("tea", project=project)) == 2


async def test_a_memory_of_another_store_is_not_there(harness: MemoryHarness) -> None:
    """An id alone gave access, whatever store and project it was asked for in."""
    await harness.make_store()
    await harness.make_store(key="other")
    memory = await harness.add("tea")
    with pytest.raises(NotFound):
        await harness.parts.memories.get(ACME, "other", memory.id)
    with pytest.raises(NotFound):
        await harness.parts.memories.delete(ACME, "other", memory.id)
