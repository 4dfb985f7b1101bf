"""Indexes: names, reuse, and what a crash or a rival leaves behind."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound, Unavailable
from core.tenancy import Project, Tenant
from services.vector.domain.index_resolver import IndexRef
from services.vector.domain.indexes import ACTIVE, CREATING, NewIndex
from services.vector.domain.tables import INDEXES
from services.vector.ports import IndexLocation
from tests.unit.services.vector.conftest import ACME, Harness, point

OTHERS = [Project(Tenant("acme"), "p2"), Project(Tenant("globex"), "p1")]


async def create(harness: Harness, name: str = "docs", dimension: int = 2, metric: str = "", **more: Any) -> Any:
    return await harness.indexes.create(ACME, "default", NewIndex(name, dimension, metric, **more))


async def count(harness: Harness, key: str = "docs", project: Project = ACME) -> int:
    return await harness.vectors.count(IndexRef(project, "default", key), None)


async def test_an_index_of_that_name_is_reused_whatever_the_case(harness: Harness) -> None:
    made, reused = await create(harness, "My Docs", 2, "dotproduct", metadata={"a": 1})
    assert (made.key, made.spec.metric, made.metadata, reused) == ("my-docs", "dot", {"a": 1}, False)
    again, reused = await create(harness, " my DOCS ", 2, "dot")
    assert (again.id, again.metadata, reused) == (made.id, {"a": 1}, True)


@pytest.mark.parametrize(("dimension", "metric"), [(3, ""), (2, "dot")])
async def test_an_index_of_that_name_made_for_something_else_is_a_conflict(
    harness: Harness, dimension: int, metric: str
) -> None:
    await create(harness)
    with pytest.raises(Conflict) as caught:
        await create(harness, "DOCS", dimension, metric)
    assert "dimension 2" in caught.value.message


async def test_an_index_with_keyword_search_serves_who_does_not_ask_for_them(harness: Harness) -> None:
    able = harness.embedded.capabilities = replace(harness.embedded.capabilities, hybrid=True)
    drivers = {"embedded": replace(harness.providers.drivers["embedded"], capabilities=able)}
    harness.providers.drivers = drivers
    made, _ = await create(harness, hybrid=True)
    assert (await create(harness)) == (made, True)
    await create(harness, "plain")
    with pytest.raises(Conflict):
        await create(harness, "plain", hybrid=True)


async def test_names_that_make_one_key_get_two(harness: Harness) -> None:
    keys = [(await create(harness, name))[0].key for name in ("a b", "a-b", "A/B!", "日本")]
    assert keys == ["a-b", "a-b-2", "a-b-3", "index"]


async def test_one_of_many_at_the_same_moment_makes_it(harness: Harness) -> None:
    made = await asyncio.gather(*(create(harness) for _ in range(20)))
    assert len({index.id for index, _ in made}) == 1
    assert len(harness.embedded.specs) == 1


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (NewIndex("", 2), "name"),
        (NewIndex("x" * 201, 2), "name"),
        (NewIndex("a\0b", 2), "name"),
        (NewIndex("x", 0), "dimension"),
        (NewIndex("x", 65_537), "dimension"),
        (NewIndex("x", 2, "manhattan"), "metric"),
        (NewIndex("x", 2, hybrid=True), "hybrid"),
        (NewIndex("x", 2, metadata={"x": "y" * 20_000}), "metadata"),
    ],
)
async def test_bad_input_names_its_field(harness: Harness, new: NewIndex, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await harness.indexes.create(ACME, "default", new)
    assert caught.value.field == field
    assert await harness.indexes.list(ACME, "default", 0, "") == ([], "")


async def test_what_the_engine_cannot_hold_leaves_no_record(harness: Harness) -> None:
    async def refuse(call: str, location: IndexLocation) -> None:
        raise InvalidInput("Too long for this engine.", field="dimension")

    harness.embedded.before = refuse
    with pytest.raises(InvalidInput):
        await create(harness)
    assert await harness.store.count(ACME, INDEXES) == 0


async def test_the_same_keys_elsewhere_are_other_indexes(harness: Harness) -> None:
    await harness.index()
    await harness.upsert(point("a"))
    for project in OTHERS:
        assert await harness.indexes.list(project, "default", 0, "") == ([], "")
        with pytest.raises(NotFound):
            await harness.indexes.get(project, "default", "docs")
        with pytest.raises(NotFound):
            await harness.indexes.delete(project, "default", "docs")
        with pytest.raises(NotFound):
            await count(harness, project=project)
        await harness.index(project=project)
        assert await count(harness, project=project) == 0
        await harness.indexes.delete(project, "default", "docs")
    assert await count(harness) == 1


async def test_an_update_keeps_the_key_and_a_taken_name_is_refused(harness: Harness) -> None:
    made, _ = await create(harness)
    await create(harness, "other")
    renamed = await harness.indexes.update(ACME, "default", "docs", "Papers", {"n": 1})
    assert (renamed.id, renamed.key, renamed.name, renamed.metadata) == (made.id, "docs", "Papers", {"n": 1})
    with pytest.raises(Conflict):
        await harness.indexes.update(ACME, "default", "docs", "OTHER", None)
    with pytest.raises(InvalidInput):
        await harness.indexes.update(ACME, "default", "docs", None, None)
    with pytest.raises(NotFound):
        await harness.indexes.update(ACME, "default", "nothing", "x", None)
    _, reused = await create(harness, "papers")
    assert reused
    fresh, reused = await create(harness, "docs")
    assert (fresh.key, reused) == ("docs-2", False)


async def test_a_new_index_of_a_deleted_ones_name_begins_empty(harness: Harness) -> None:
    first = await harness.index()
    await harness.upsert(point("a"))
    await harness.indexes.delete(ACME, "default", "docs")
    second = await harness.index()
    assert (second.key, second.id == first.id) == (first.key, False)
    assert await count(harness) == 0
    assert [location.index_id for location in harness.embedded.specs] == [second.id]


async def test_a_deletion_that_the_engine_does_not_take_is_finished_later(harness: Harness) -> None:
    await harness.index()
    await harness.upsert(point("a"))
    away = True

    async def fail(call: str, location: IndexLocation) -> None:
        if call == "drop" and away:
            raise Unavailable("The engine is away.")

    harness.embedded.before = fail
    with pytest.raises(Unavailable):
        await harness.indexes.delete(ACME, "default", "docs")
    for attempt in (harness.indexes.get(ACME, "default", "docs"), count(harness)):
        with pytest.raises(NotFound):
            await attempt
    assert await harness.indexes.list(ACME, "default", 0, "") == ([], "")
    away = False
    await harness.jobs.start()
    async with asyncio.timeout(5):
        while await harness.store.count(ACME, INDEXES):
            await asyncio.sleep(0.005)
    assert harness.embedded.points == {}


async def test_a_deletion_can_be_repeated_until_it_is_done(harness: Harness) -> None:
    await harness.index()

    async def fail(call: str, location: IndexLocation) -> None:
        raise Unavailable("The engine is away.")

    harness.embedded.before = fail
    for _ in range(2):
        with pytest.raises(Unavailable):
            await harness.indexes.delete(ACME, "default", "docs")
    harness.embedded.before = None
    await harness.indexes.delete(ACME, "default", "docs")
    with pytest.raises(NotFound):
        await harness.indexes.delete(ACME, "default", "docs")


async def test_a_half_deleted_index_does_not_keep_its_name(harness: Harness) -> None:
    old = await harness.index()
    await harness.upsert(point("a"))
    await harness.store.update(ACME, INDEXES, old.id, {"status": "deleting"})  # as a crash leaves it
    made, reused = await create(harness, "docs", 7)
    assert not reused
    assert await count(harness) == 0
    assert [location.index_id for location in harness.embedded.specs] == [made.id]


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("dimension", [2, 5])
async def test_a_half_made_index_is_not_seen_and_its_name_can_be_used(harness: Harness, dimension: int) -> None:
    async def crash(call: str, location: IndexLocation) -> None:
        raise Crash

    harness.embedded.before = crash
    with suppress(Crash):
        await create(harness)
    harness.embedded.before = None
    assert await harness.store.count(ACME, INDEXES, {"status": CREATING}) == 1
    assert await harness.indexes.list(ACME, "default", 0, "") == ([], "")
    with pytest.raises(NotFound):
        await harness.indexes.get(ACME, "default", "docs")
    made, reused = await create(harness, "docs", dimension)
    assert (made.status, made.spec.dimension, reused) == (ACTIVE, dimension, False)
    assert await harness.store.count(ACME, INDEXES) == 1
    assert await count(harness) == 0


async def test_an_index_that_is_deleted_while_it_is_made_leaves_nothing(harness: Harness) -> None:
    async def rival(call: str, location: IndexLocation) -> None:
        if call == "create":
            harness.embedded.before = None
            await create(harness, "docs", 9)  # made for something else, so it takes the name over

    harness.embedded.before = rival
    with pytest.raises(Conflict):
        await create(harness, "docs", 2)
    assert [spec.dimension for spec in harness.embedded.specs.values()] == [9]
    assert await harness.store.count(ACME, INDEXES) == 1


async def test_an_index_under_migration_is_not_deleted(harness: Harness) -> None:
    await harness.index()
    await harness.index("copy")
    from services.vector.domain.index_migrations import NewIndexMigration

    migration = await harness.migrations.create(ACME, NewIndexMigration("default", "docs", "default", "copy"))
    with pytest.raises(FailedPrecondition):
        await harness.indexes.delete(ACME, "default", "docs")
    await harness.migrations.cancel(ACME, migration.job.id)
    await harness.indexes.delete(ACME, "default", "docs")


async def test_a_change_elsewhere_is_seen_in_time(harness: Harness) -> None:
    """Another replica's deletion and new creation of a name, while this one still holds the old place."""
    await harness.index()
    await harness.upsert(point("a"))
    await harness.indexes.delete(ACME, "default", "docs")
    await harness.index()
    assert await harness.upsert(point("b")) == 1  # the engine no longer knows the old place
    assert await count(harness) == 1
