"""Queries of modules, on fakes of the other services."""

from typing import Any

import pytest

from core.errors import FailedPrecondition, InvalidInput, NotFound
from services.rag.domain.knowledge.texts import PIECE_CHARS
from services.rag.domain.retrieval.requests import Hybrid, MultiQuery, QueryRequest
from tests.support.fake_services import ranking
from tests.support.retrieval_harness import OTHER, RetrievalHarness


@pytest.fixture
def rag() -> RetrievalHarness:
    return RetrievalHarness()


def asked(query: str, **more: Any) -> QueryRequest:
    return QueryRequest(query=query, **more)


async def found(rag: RetrievalHarness, query: str, **more: Any) -> list[str]:
    result = await rag.retriever.query(rag.project, rag.module.key, asked(query, **more))
    return [match.content for match in result.matches]


async def test_the_chunks_that_match_best_come_first(rag: RetrievalHarness) -> None:
    await rag.add("fees.txt", "the fee is ten euros", "the library opens on monday")
    await rag.add("pets.txt", "dogs are not allowed")
    result = await rag.retriever.query(rag.project, "manual", asked("what is the fee", top_k=2))
    first = result.matches[0]
    assert (first.content, first.file_name, first.chunk_index) == ("the fee is ten euros", "fees.txt", 0)
    assert (first.char_start, first.char_end, first.metadata) == (0, 20, {"lang": "en"})
    assert (result.top_k, result.module_key, len(result.matches)) == (2, "manual", 2)


async def test_the_modules_settings_hold_where_the_request_says_nothing(rag: RetrievalHarness) -> None:
    rag.change(default_top_k=1, response_detail="text", default_min_score=0.3)
    await rag.add("a.txt", "one fee", "another fee", "unrelated words")
    result = await rag.retriever.query(rag.project, "manual", asked("fee"))
    assert (len(result.matches), result.top_k, result.detail) == (1, 1, "text")
    assert await found(rag, "nothing like it") == []
    assert len(await found(rag, "fee", top_k=3)) == 2
    assert len(await found(rag, "fee", top_k=3, min_score=-1.0)) == 3


async def test_filters_of_module_and_request_both_hold(rag: RetrievalHarness) -> None:
    rag.change(default_filter={"lang": "en"}, filterable_fields=("lang", "year"))
    await rag.add("en.txt", "the fee", metadata={"lang": "en", "year": 2020})
    await rag.add("old.txt", "the fee was", metadata={"lang": "en", "year": 1990})
    await rag.add("de.txt", "the fee die", metadata={"lang": "de", "year": 2020})
    assert await found(rag, "the fee", filter=b'{"year": {"$gt": 2000}}') == ["the fee"]
    assert await found(rag, "the fee", filter=b'{"lang": "de"}') == []
    with pytest.raises(InvalidInput) as caught:
        await found(rag, "the fee", filter=b'{"_owner": 1}')
    assert caught.value.field == "filter._owner"


async def test_distances_of_a_euclidean_index_become_similarities(rag: RetrievalHarness) -> None:
    rag.change(metric="euclidean")
    await rag.add("a.txt", "the fee is ten euros", "dogs are not allowed")
    result = await rag.retriever.query(rag.project, "manual", asked("what is the fee"))
    assert [each.score for each in result.matches] == [1 / (1 + each.vector_score) for each in result.matches]


async def test_modules_that_share_an_index_are_apart(rag: RetrievalHarness) -> None:
    """A filter that names the module itself must not lead to another one's documents."""
    rag.change(own_index=False)
    await rag.add("a.txt", "the fee of ours")
    await rag.add("b.txt", "the fee of others", module_id="mod_other")
    assert await found(rag, "the fee") == ["the fee of ours"]
    assert await found(rag, "the fee", filter=b'{"_ragModule": "mod_other"}') == []
    rag.change(isolate_by_module=False)
    assert sorted(await found(rag, "the fee")) == ["the fee of others", "the fee of ours"]


async def test_projects_are_apart(rag: RetrievalHarness) -> None:
    await rag.add("a.txt", "the fee of ours")
    rag.act_as(OTHER)
    with pytest.raises(NotFound):
        await rag.retriever.query(OTHER, "manual", asked("the fee"))


async def test_a_chunk_of_an_earlier_version_is_no_match(rag: RetrievalHarness) -> None:
    """Vectors of a version that has been replaced are there until they are removed."""
    await rag.add("a.txt", "the old fee")
    await rag.reindex("a.txt", "the new fee")
    assert await found(rag, "the old fee") == ["the new fee"]


async def test_a_document_that_is_being_deleted_is_no_match(rag: RetrievalHarness) -> None:
    await rag.add("a.txt", "the fee")
    await rag.forget("a.txt")
    assert await found(rag, "the fee") == []


async def test_a_disabled_module_answers_nothing(rag: RetrievalHarness) -> None:
    rag.change(status="disabled")
    with pytest.raises(FailedPrecondition) as caught:
        await found(rag, "the fee")
    assert caught.value.reason == "MODULE_DISABLED"


async def test_hybrid_is_as_the_module_says_unless_the_request_does(rag: RetrievalHarness) -> None:
    await rag.add("a.txt", "the fee")
    rag.change(hybrid={"enabled": True, "mode": "weighted", "alpha": 0.3})
    await found(rag, "the fee")
    assert rag.vectors.asked[-1] == {"text": "the fee", "fusion": "weighted", "dense_weight": 0.3}
    await found(rag, "the fee", hybrid=Hybrid(mode="rrf"))
    assert rag.vectors.asked[-1] == {"text": "the fee", "fusion": "rrf", "dense_weight": None}
    await found(rag, "the fee", hybrid=False)
    assert rag.vectors.asked[-1] == {"text": "", "fusion": "", "dense_weight": None}


async def test_reranked_matches_are_more_than_topk_at_first(rag: RetrievalHarness) -> None:
    rag.change(reranker_key="judge", reranker_oversample=4)
    rag.reranker.rank = ranking("dogs")
    await rag.add(
        "a.txt", "the fee is ten", "the fee is due", "the fee for dogs", "the fee for all cats that there are"
    )
    assert await found(rag, "the fee is", top_k=1) == ["the fee for dogs"]
    assert await found(rag, "the fee is", top_k=1, rerank=False) == ["the fee is ten"]
    assert [key for key, *_ in rag.reranker.asked] == ["judge"]
    assert await found(rag, "the fee is", top_k=1, reranker_key="other", min_score=1.1) == []


async def test_warnings_of_a_reranker_are_told(rag: RetrievalHarness) -> None:
    rag.change(reranker_key="judge")
    rag.reranker.warnings = ("The judge gave no usable answer.",)
    await rag.add("a.txt", "the fee")
    result = await rag.retriever.query(rag.project, "manual", asked("fee"))
    assert result.warnings == ("The judge gave no usable answer.",)


async def test_windows_show_the_text_around(rag: RetrievalHarness) -> None:
    rag.change(parent_window_size=60)
    await rag.add("a.txt", "opening words", "the fee is ten", "closing words")
    result = await rag.retriever.query(rag.project, "manual", asked("fee ten", top_k=1))
    assert result.matches[0].content == "the fee is ten"
    assert result.matches[0].window == "opening words\nthe fee is ten\nclosing words"


async def test_a_window_may_lie_in_two_pieces_of_the_text(rag: RetrievalHarness) -> None:
    rag.change(parent_window_size=40)
    await rag.add("long.txt", "x" * (PIECE_CHARS - 10), "the fee is ten", "y" * 100)
    result = await rag.retriever.query(rag.project, "manual", asked("the fee is ten", top_k=1))
    assert result.matches[0].window == f"{'x' * 12}\nthe fee is ten\n{'y' * 12}"


async def test_rephrased_questions_are_searched_for_too(rag: RetrievalHarness) -> None:
    rag.chat.answers = ["- charge for dogs\n\n* what is the fee\ncost of animals\nand one more"]
    await rag.add("a.txt", "the fee is ten", "the charge for dogs is one")
    matches = await found(rag, "what is the fee", multi_query=MultiQuery("chat", 2))
    assert rag.embedder.texts[-3:] == ["what is the fee", "charge for dogs", "cost of animals"]
    assert len(matches) == 2


async def test_every_query_is_logged(rag: RetrievalHarness) -> None:
    await rag.add("a.txt", "the fee is ten", "unrelated")
    await found(rag, "the fee", top_k=2, min_score=0.4)
    await found(rag, "zzz", min_score=0.4)
    await rag.log.flush()
    (missed, hit), _ = await rag.log.page(rag.project, rag.module.id, 0, "")
    assert (hit.query, hit.kind, hit.top_k, hit.match_count, hit.pre_filter_match_count) == (
        "the fee",
        "query",
        2,
        1,
        2,
    )
    assert (missed.match_count, missed.found, missed.top_score) == (0, False, None)
    stats = await rag.log.stats(rag.project, rag.module.id, 2)
    assert (stats.queries, stats.zero_hit_rate, sum(stats.score_bands)) == (2, 0.5, 1)
    assert [day.queries for day in stats.by_day] == [0, 2]
    assert stats.p95_latency_ms > 0
    assert (await rag.log.stats(rag.project, "mod_other", 0)).queries == 0
