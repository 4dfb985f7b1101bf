"""Memories: deduplication, changes, filters, expiry, eviction and counts, on stores in memory."""

from collections.abc import Sequence
from typing import Any

import pytest

from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound, Unavailable
from core.tenancy import Project, Tenant
from services.rag.domain.memory.changes import MemoryChange
from services.rag.domain.memory.checks import MAX_BATCH, MAX_CONTENT, Filter, NewMemory
from services.rag.domain.memory.searches import Query
from services.rag.domain.memory.stores import NewStore, StoreChange
from services.rag.domain.memory.tables import MEMORIES, MEMORY_STORES
from services.rag.ports import IndexRef, VectorPoint
from tests.support.memory_harness import ACME, MemoryHarness

DAY = 86_400.0
OTHERS = (Project(Tenant("acme"), "p2"), Project(Tenant("globex"), "p1"))


@pytest.fixture
def harness() -> MemoryHarness:
    return MemoryHarness()


async def consistent(harness: MemoryHarness, project: Project = ACME) -> None:
    """Every memory has its vector with the metadata that filters see, and there is no other vector."""
    records = await harness.records(project)
    points = {id: point for points in harness.vectors.points.values() for id, point in points.items()}
    assert {record["vectorId"] for record in records} == points.keys()
    for record in records:
        seen = points[record["vectorId"]].metadata
        assert (seen["scope"], seen["scopeId"], seen["status"]) == (
            record["scope"], record["scopeId"], record["status"],
        )  # fmt: skip
        assert seen["tags"] == list(record.get("tags", []))
    assert await harness.parts.intents.count(project) == 0


async def test_a_memory_is_found_by_its_meaning(harness: MemoryHarness) -> None:
    store = await harness.make_store()
    await harness.add("Ada prefers dark mode")
    await harness.add("The invoice is due in May")
    (best, other) = await harness.search("does Ada like dark mode")
    assert best.memory.content == "Ada prefers dark mode"
    assert 0 <= other.score < best.score <= 1
    assert store.config.embedding_dimension == 256
    await consistent(harness)


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
    await consistent(harness)


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
    await consistent(harness)


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


async def test_filters_are_met_before_the_number_of_matches_is_cut(harness: MemoryHarness) -> None:
    """topK was applied before tags and scope, so that a search for a rare tag found nothing."""
    await harness.make_store()
    for number in range(60):
        await harness.add(f"tea note {number}", tags=("common",))
    await harness.add("tea", tags=("rare", "other"))
    await harness.add("tea", scope="user", scope_id="ada")
    assert await harness.found("tea", filter=Filter(tags=("rare", "none")), top_k=1) == ["tea"]
    assert await harness.found("tea", filter=Filter(scope="user", scope_id="ada"), top_k=1) == ["tea"]
    assert await harness.found("tea", filter=Filter(scope="user", scope_id="bob")) == []
    assert len(await harness.found("tea note", filter=Filter(scope="global"), top_k=100)) == 61


async def test_scope_ids_of_other_scopes_do_not_match(harness: MemoryHarness) -> None:
    await harness.make_store()
    await harness.add("tea", scope="user", scope_id="x")
    await harness.add("tea", scope="session", scope_id="x")
    assert len(await harness.search("tea", filter=Filter("user", "x"))) == 1
    assert len(await harness.search("tea", filter=Filter(scope_id="x"))) == 2
    with pytest.raises(InvalidInput):
        await harness.search("tea", filter=Filter("global", "x"))


async def test_archived_memories_are_kept_but_not_found(harness: MemoryHarness) -> None:
    await harness.make_store()
    memory = await harness.add("tea", tags=("drink",), scope="user", scope_id="ada")
    archived = await harness.parts.changes.update(ACME, "notes", memory.id, MemoryChange(status="archived"))
    assert (archived.status, archived.tags, archived.embedding_version) == ("archived", ("drink",), 1)
    assert await harness.found("tea") == []
    assert await harness.parts.memories.list(ACME, "notes", Filter()) == ([], 0)
    assert await harness.parts.memories.list(ACME, "notes", Filter(status="archived")) == ([archived], 1)
    assert await harness.parts.memories.list(ACME, "notes", Filter(status="all")) == ([archived], 1)
    await consistent(harness)
    # The same content is as good as new.
    again = await harness.parts.additions.add(ACME, "notes", NewMemory("tea", "user", "ada"))
    assert (again.memory.id, again.memory.status, again.duplicate) == (memory.id, "active", True)
    assert await harness.found("tea", filter=Filter(tags=("drink",))) == ["tea"]
    await consistent(harness)


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
    await consistent(harness)


async def test_only_another_content_is_embedded_again(harness: MemoryHarness) -> None:
    await harness.make_store()
    memory = await harness.add("tea")
    harness.embedder.texts.clear()
    for change in (MemoryChange(tags=("a",)), MemoryChange(status="archived"), MemoryChange(content="tea")):
        await harness.parts.changes.update(ACME, "notes", memory.id, change)
    assert harness.embedder.texts == []
    await consistent(harness)


async def test_a_change_to_a_content_that_is_there_is_refused(harness: MemoryHarness) -> None:
    await harness.make_store()
    await harness.add("coffee")
    memory = await harness.add("tea")
    with pytest.raises(Conflict) as caught:
        await harness.parts.changes.update(ACME, "notes", memory.id, MemoryChange(content="coffee"))
    assert caught.value.field == "content"
    await consistent(harness)


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
    await consistent(harness)
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
    await consistent(harness)


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
    await consistent(harness)


async def test_uses_are_counted_and_rank_higher(harness: MemoryHarness) -> None:
    await harness.make_store(ranking={"similarity": 0.1, "recency": 0.0, "importance": 0.0, "access": 1.0})
    used = await harness.add("tea one")
    await harness.add("tea two")
    for _ in range(2):
        await harness.search("one", top_k=1)
    await harness.parts.uses.flush()
    memory = await harness.parts.memories.get(ACME, "notes", used.id)
    assert (memory.access_count, memory.last_accessed_at) == (2, harness.now)
    assert await harness.found("two", top_k=1) == ["tea one"]
    assert (await harness.parts.stores.get(ACME, "notes")).last_activity_at == harness.now


async def test_counting_a_use_brings_no_deleted_memory_back(harness: MemoryHarness) -> None:
    await harness.make_store()
    memory = await harness.add("tea")
    await harness.search("tea")
    await harness.parts.memories.delete(ACME, "notes", memory.id)
    await harness.parts.uses.flush()
    assert await harness.records() == []


async def test_importance_and_recency_rank(harness: MemoryHarness) -> None:
    await harness.make_store()
    await harness.add("tea old", importance=0.1)
    harness.now += 30 * DAY
    await harness.add("tea new", importance=0.9)
    assert await harness.found("tea") == ["tea new", "tea old"]


async def test_the_least_similarity_cuts_and_stores_have_defaults(harness: MemoryHarness) -> None:
    await harness.make_store(default_top_k=2, default_min_score=0.5)
    for text in ("tea", "tea green", "tea green black white", "bread"):
        await harness.add(text)
    assert await harness.found("tea") == ["tea", "tea green"]
    assert len(await harness.found("tea", top_k=9)) == 3
    assert len(await harness.found("tea", top_k=9, min_score=0.0)) == 4
    with pytest.raises(InvalidInput) as caught:
        await harness.search("tea", min_score=2.0)
    assert caught.value.field == "minScore"
    with pytest.raises(InvalidInput):
        await harness.search("tea", top_k=101)
    with pytest.raises(InvalidInput):
        await harness.search("")


async def test_recall_packs_what_fits(harness: MemoryHarness) -> None:
    await harness.make_store()
    await harness.add("tea is green")
    await harness.add("tea " + "very " * 200 + "long")
    await harness.add("bread")
    recall = await harness.parts.searches.recall(ACME, "notes", Query("tea is green", min_score=0.0), 20)
    assert recall.context.splitlines()[0] == "- tea is green"
    assert (len(recall.matches), recall.tokens <= 20) == (2, True)
    default = await harness.parts.searches.recall(ACME, "notes", Query("tea is green"))
    assert default.context == "- tea is green"


async def test_vectors_that_no_memory_names_take_no_place(harness: MemoryHarness) -> None:
    """They may be there for a while after a crash."""
    await harness.make_store()
    memories = [await harness.add(f"tea {number}") for number in range(60)]
    for memory in memories[:50]:
        await harness.documents.delete(ACME, MEMORIES, memory.id)
    assert len(await harness.found("tea", top_k=5)) == 5


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


async def test_deleting_a_store_takes_all_of_it_and_frees_its_key(harness: MemoryHarness) -> None:
    await harness.make_store()
    await harness.add("tea")
    await harness.parts.stores.delete(ACME, "notes")
    assert (await harness.records(), harness.vectors.infos) == ([], {})
    with pytest.raises(NotFound):
        await harness.search("tea")
    await harness.make_store()
    assert await harness.found("tea") == []


async def test_a_store_whose_vectors_cannot_be_reached_is_deleted_all_the_same(harness: MemoryHarness) -> None:
    await harness.make_store()
    await harness.add("tea")
    harness.vectors.error = Unavailable("away")
    await harness.parts.stores.delete(ACME, "notes")
    with pytest.raises(NotFound):
        await harness.parts.stores.get(ACME, "notes")
    harness.vectors.error = None
    await harness.clean_up()
    assert harness.vectors.infos == {}
    assert await harness.documents.count(ACME, MEMORY_STORES) == 0


async def test_a_memory_added_while_its_store_is_deleted_is_taken_back(
    harness: MemoryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.make_store()
    store = await harness.parts.stores.get(ACME, "notes")
    original = harness.vectors.upsert

    async def upsert(ref: IndexRef, points: Sequence[VectorPoint]) -> None:
        await original(ref, points)
        await harness.documents.update(ACME, MEMORY_STORES, store.id, {"closing": "x", "key": "~"})

    monkeypatch.setattr(harness.vectors, "upsert", upsert)
    with pytest.raises(NotFound):
        await harness.add("tea")
    assert await harness.records() == []


@pytest.mark.parametrize(
    ("fields", "error", "named"),
    [
        ({"name": ""}, InvalidInput, "name"),
        ({"key": "No Key"}, InvalidInput, "key"),
        ({"vector_provider_key": ""}, InvalidInput, "vectorProviderKey"),
        ({"vector_provider_key": "none"}, NotFound, "vectorProviderKey"),
        ({"embedding_model_key": ""}, InvalidInput, "embeddingModelKey"),
        ({"embedding_model_key": "none"}, FailedPrecondition, "embeddingModelKey"),
        ({"config": {"embedding_dimension": 1536}}, InvalidInput, "config.embeddingDimension"),
        ({"config": {"metric": "manhattan"}}, InvalidInput, "config.metric"),
        ({"config": {"default_scope": "moon"}}, InvalidInput, "config.defaultScope"),
        ({"config": {"max_memories": -1}}, InvalidInput, "config.maxMemories"),
        ({"config": {"ttl_days": -1.0}}, InvalidInput, "config.ttlDays"),
        ({"config": {"default_top_k": 0}}, InvalidInput, "config.defaultTopK"),
        ({"config": {"default_min_score": 2.0}}, InvalidInput, "config.defaultMinScore"),
        ({"config": {"auto_summarize": True}}, InvalidInput, "config.chatModelKey"),
        ({"config": {"ranking": {"similarity": 0.0}}}, InvalidInput, "config.ranking.similarity"),
        ({"config": {"ranking": {"half_life_hours": 0.0}}}, InvalidInput, "config.ranking.halfLifeHours"),
    ],
)
async def test_a_bad_store_is_refused_and_leaves_nothing(
    harness: MemoryHarness, fields: dict[str, Any], error: type[Exception], named: str
) -> None:
    harness.act_as(ACME)
    given = {"name": "Notes", "vector_provider_key": "default", "embedding_model_key": "words", **fields}
    with pytest.raises(error) as caught:
        await harness.parts.stores.create(ACME, NewStore(**given))
    assert caught.value.field == named  # type: ignore[attr-defined]
    assert (harness.vectors.infos, await harness.documents.count(ACME, MEMORY_STORES)) == ({}, 0)
    assert await harness.parts.intents.count(ACME) == 0


async def test_a_key_that_is_taken_is_refused_and_the_index_stays(harness: MemoryHarness) -> None:
    await harness.make_store()
    with pytest.raises(Conflict):
        await harness.make_store()
    await harness.add("tea")
    assert len(harness.vectors.infos) == 1


async def test_settings_change_one_by_one_and_some_stay(harness: MemoryHarness) -> None:
    await harness.make_store(max_memories=7)
    stores = harness.parts.stores
    change = StoreChange(name="New", config={"ttl_days": 3.0, "ranking": {"recency": 0.4}})
    changed = await stores.update(ACME, "notes", change)
    assert (changed.name, changed.config.max_memories, changed.config.ttl_days) == ("New", 7, 3.0)
    assert (changed.config.ranking.recency, changed.config.ranking.similarity) == (0.4, 0.7)
    for config, named in (
        ({"metric": "euclidean"}, "config.metric"),
        ({"embedding_dimension": 9}, "config.embeddingDimension"),
    ):
        with pytest.raises(InvalidInput) as caught:
            await stores.update(ACME, "notes", StoreChange(config=config))
        assert caught.value.field == named
    with pytest.raises(InvalidInput):
        await stores.update(ACME, "notes", StoreChange())


async def test_an_inactive_store_neither_takes_nor_finds(harness: MemoryHarness) -> None:
    await harness.make_store()
    memory = await harness.add("tea")
    await harness.parts.stores.update(ACME, "notes", StoreChange(status="inactive"))
    with pytest.raises(FailedPrecondition):
        await harness.add("coffee")
    with pytest.raises(FailedPrecondition):
        await harness.search("tea")
    assert await harness.parts.memories.get(ACME, "notes", memory.id) == memory


async def test_a_model_or_an_index_that_is_gone_is_told_and_nothing_is_written(harness: MemoryHarness) -> None:
    await harness.make_store()
    await harness.add("tea")
    harness.embedder.models["words"] = 8
    with pytest.raises(FailedPrecondition) as caught:
        await harness.add("coffee")
    assert (caught.value.reason, caught.value.field) == ("EMBEDDING_DIMENSION", "embeddingModelKey")
    harness.embedder.models.clear()
    with pytest.raises(FailedPrecondition):
        await harness.search("tea")
    harness.embedder.models["words"] = 256
    harness.vectors.infos.clear()
    for call in (harness.add("coffee"), harness.search("tea")):
        with pytest.raises(FailedPrecondition) as caught:
            await call
        assert caught.value.reason == "VECTOR_INDEX_GONE"
    assert len(await harness.records()) == 1


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
async def test_every_metric_ranks_the_nearest_first(harness: MemoryHarness, metric: str) -> None:
    store = await harness.make_store(metric=metric)
    assert store.config.metric == metric
    for text in ("tea", "tea green", "bread"):
        await harness.add(text)
    matches = await harness.search("tea")
    assert [match.memory.content for match in matches] == ["tea", "tea green", "bread"]
    assert all(0 <= match.similarity <= 1 for match in matches)
