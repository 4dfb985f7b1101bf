"""Search and recall of memories: filters, ranking, counts of uses, on stores in memory."""

import pytest

from core.errors import InvalidInput
from services.rag.domain.memory.checks import Filter
from services.rag.domain.memory.searches import Query
from services.rag.domain.memory.tables import MEMORIES
from tests.support.memory_harness import ACME, MemoryHarness

DAY = 86_400.0


@pytest.fixture
def harness() -> MemoryHarness:
    return MemoryHarness()


async def test_a_memory_is_found_by_its_meaning(harness: MemoryHarness) -> None:
    store = await harness.make_store()
    await harness.add("Ada prefers dark mode")
    await harness.add("The invoice is due in May")
    (best, other) = await harness.search("does Ada like dark mode")
    assert best.memory.content == "Ada prefers dark mode"
    assert 0 <= other.score < best.score <= 1
    assert store.config.embedding_dimension == 256
    await harness.check_consistent()


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


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
async def test_every_metric_ranks_the_nearest_first(harness: MemoryHarness, metric: str) -> None:
    store = await harness.make_store(metric=metric)
    assert store.config.metric == metric
    for text in ("tea", "tea green", "bread"):
        await harness.add(text)
    matches = await harness.search("tea")
    assert [match.memory.content for match in matches] == ["tea", "tea green", "bread"]
    assert all(0 <= match.similarity <= 1 for match in matches)
