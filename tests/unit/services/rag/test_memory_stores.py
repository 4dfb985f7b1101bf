"""Memory stores: settings, deletion, and what is refused, on stores in memory."""

from collections.abc import Sequence
from typing import Any

import pytest

from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound, Unavailable
from services.rag.domain.memory.stores import NewStore, StoreChange
from services.rag.domain.memory.tables import MEMORY_STORES
from services.rag.ports import IndexRef, VectorPoint
from tests.support.memory_harness import ACME, MemoryHarness


@pytest.fixture
def harness() -> MemoryHarness:
    return MemoryHarness()


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
