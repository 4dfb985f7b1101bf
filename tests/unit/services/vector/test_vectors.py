"""Checks of vectors before an engine sees them, and records of queries."""

import asyncio
import threading
from typing import Any

import pytest

from core.errors import FailedPrecondition, InvalidInput, NotFound
from core.tenancy import Project, Tenant
from services.vector.domain import filters
from services.vector.domain.index_migrations import NewIndexMigration
from services.vector.domain.index_resolver import IndexRef
from services.vector.domain.points import KeywordQuery, Match, Point, vector
from services.vector.domain.query_log import QueryLog, query_record
from services.vector.domain.tables import QUERY_LOGS
from services.vector.domain.vectors import CallerInfo
from services.vector.ports import Query
from tests.unit.services.vector.conftest import ACME, Harness, point

DOCS = IndexRef(ACME, "default", "docs")
CALLER = CallerInfo("r-1", "t-1")
NEAR = Query(vector((1.0, 0.1)))


@pytest.fixture
async def docs(harness: Harness) -> Harness:
    await harness.index()
    await harness.upsert(point("a", 1, 0, lang="en"), point("b", 0, 1, lang="de"))
    return harness


async def test_what_was_written_is_found_fetched_counted_and_deleted(docs: Harness) -> None:
    vectors = docs.vectors
    assert [match.id for match in await vectors.query(DOCS, NEAR, CALLER)] == ["a", "b"]
    german = filters.parse({"lang": "de"})
    filtered = Query(NEAR.vector, filter=german, include_values=True)
    assert [(match.id, list(match.values or ())) for match in await vectors.query(DOCS, filtered, CALLER)] == [
        ("b", [0, 1])
    ]
    assert [each.id for each in await vectors.fetch(DOCS, ["b", "x", "a"])] == ["b", "a"]
    assert (await vectors.count(DOCS, None), await vectors.count(DOCS, german)) == (2, 1)
    assert await vectors.delete(DOCS, [], german) == 1
    assert await vectors.delete(DOCS, ["a", "a", "x"], None) == 1
    assert await vectors.count(DOCS, None) == 0


async def test_equal_scores_are_ordered_by_id(docs: Harness) -> None:
    """They came in no order, another one after each restart."""
    await docs.upsert(*(point(f"c{at}", 3, 0) for at in (3, 1, 4, 2)))
    found = await docs.vectors.query(DOCS, Query(vector((1.0, 0.0)), top_k=6), CALLER)
    assert [each.id for each in found] == ["a", "c1", "c2", "c3", "c4", "b"]


@pytest.mark.parametrize(
    ("points", "field"),
    [
        ([], "vectors"),
        ([point("a", 1, 0, 0)], "vectors[0].values"),
        ([point("a", 1, 0), point("b", 1)], "vectors[1].values"),
        ([point("a", 0, 0)], "vectors[0].values"),
        ([point("", 1, 0)], "vectors[0].id"),
        ([point("a", 1, 0), point("b", 1, 0), point("a", 1, 0)], "vectors[2].id"),
        ([point("x" * 513, 1, 0)], "vectors[0].id"),
        ([Point("a", vector([1, 0]), {"x": float("nan")})], "vectors[0].metadata"),
        ([Point("a", vector([1, 0]), {"x": "y" * 41_000})], "vectors[0].metadata"),
    ],
)
async def test_a_bad_upsert_writes_nothing(docs: Harness, points: list[Point], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await docs.upsert(*points)
    assert caught.value.field == field
    assert await docs.vectors.count(DOCS, None) == 2


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (Query(vector([1])), "vector"),
        (Query(vector([0, 0])), "vector"),
        (Query(vector([1, 0]), top_k=0), "topK"),
        (Query(vector([1, 0]), top_k=1001), "topK"),
        (Query(vector([1, 0]), keywords=KeywordQuery("x")), "text"),
    ],
)
async def test_a_bad_query_names_its_field(docs: Harness, query: Query, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await docs.vectors.query(DOCS, query, CALLER)
    assert caught.value.field == field


async def test_bad_ids_and_deletions_are_refused(docs: Harness) -> None:
    some = filters.parse({"lang": "de"})
    for ids, filter in (([], None), (["a"], some), ([""], None), (["a"] * 10_001, None)):
        with pytest.raises(InvalidInput):
            await docs.vectors.delete(DOCS, ids, filter)
    for ids in ([], ["x"] * 1001):
        with pytest.raises(InvalidInput):
            await docs.vectors.fetch(DOCS, ids)


async def test_an_unknown_index_or_provider_is_not_found(docs: Harness) -> None:
    for ref in (IndexRef(ACME, "default", "x"), IndexRef(ACME, "x", "docs"), IndexRef(ACME, "default", "")):
        with pytest.raises(NotFound):
            await docs.vectors.query(ref, NEAR, CALLER)


async def test_a_large_request_is_read_beside_the_loop(docs: Harness) -> None:
    threads: list[int] = []

    def read() -> list[Point]:
        threads.append(threading.get_ident())
        return [point("c")]

    await docs.vectors.upsert(DOCS, read, 1_000)
    await docs.vectors.upsert(DOCS, read, 1_000_000)
    assert threads[0] == threading.get_ident() != threads[1]


async def test_a_known_index_costs_no_look_up_until_its_time_is_up(docs: Harness, monkeypatch: Any) -> None:
    looked: list[str] = []
    get = docs.indexes.get

    async def counted(project: Project, provider_key: str, key: str) -> Any:
        looked.append(key)
        return await get(project, provider_key, key)

    monkeypatch.setattr(docs.indexes, "get", counted)
    docs.resolver.forget(ACME)
    for _ in range(3):
        await docs.vectors.query(DOCS, NEAR, CALLER)
    assert looked == ["docs"]
    docs.now += 11
    await docs.vectors.query(DOCS, NEAR, CALLER)
    assert looked == ["docs", "docs"]


async def test_what_was_looked_up_before_a_change_is_not_kept(docs: Harness, monkeypatch: Any) -> None:
    """A look-up under way when an index changes brings what was before."""
    find = docs.jobs.find

    async def change(*arguments: Any) -> Any:
        docs.resolver.forget(ACME)
        return await find(*arguments)

    docs.resolver.forget(ACME)
    monkeypatch.setattr(docs.jobs, "find", change)
    await docs.vectors.query(DOCS, NEAR, CALLER)
    assert docs.resolver._known == {}


async def test_writes_wait_for_a_migration_and_reads_go_on(docs: Harness) -> None:
    await docs.index("copy")
    migration = await docs.migrations.create(ACME, NewIndexMigration("default", "docs", "default", "copy"))
    for write in (docs.upsert(point("c")), docs.vectors.delete(DOCS, ["a"], None)):
        with pytest.raises(FailedPrecondition) as caught:
            await write
        assert caught.value.reason == "MIGRATING"
    assert len(await docs.vectors.query(DOCS, NEAR, CALLER)) == 2
    await docs.migrations.cancel(ACME, migration.job.id)
    assert await docs.upsert(point("c")) == 1


async def test_queries_are_logged_off_their_path_and_summed_up(docs: Harness) -> None:
    index, _ = await docs.indexes.get(ACME, "default", "docs")
    await docs.vectors.query(DOCS, NEAR, CALLER)
    await docs.vectors.query(DOCS, Query(vector([1, 0]), top_k=1, filter=filters.parse({"lang": "xx"})), CALLER)
    assert (await docs.log.stats(ACME, index.id, 0)).queries == 0
    await docs.log.flush()
    stats = await docs.log.stats(ACME, index.id, 0)
    assert (stats.queries, stats.filtered) == (2, 1)
    assert stats.mean_top_score == pytest.approx(0.995, abs=0.001)
    entries, _ = await docs.log.page(ACME, index.id, 0, "")
    assert [(each.top_k, each.match_count, each.filtered) for each in entries] == [(1, 0, True), (5, 2, False)]
    assert (entries[0].request_id, entries[0].token_id) == ("r-1", "t-1")
    for other in (Project(Tenant("acme"), "p2"), Project(Tenant("globex"), "p1")):
        assert await docs.log.page(other, index.id, 0, "") == ([], "")
        assert (await docs.log.stats(other, index.id, 0)).queries == 0
    await docs.indexes.delete(ACME, "default", "docs")
    assert await docs.store.count(ACME, QUERY_LOGS) == 0


async def test_old_entries_go(harness: Harness) -> None:
    log = QueryLog(harness.store, harness.tasks, capacity=10, keep_days=0.0)
    log.add(ACME, query_record("i", "r", "t", NEAR, [Match("a", 0.5, {})], 1.5))
    await asyncio.sleep(0.001)
    await log.flush()
    assert await harness.store.count(ACME, QUERY_LOGS) == 0
