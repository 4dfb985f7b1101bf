"""The MongoDB store's own behaviour, beside the contract of every document store."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.pool import AsyncConnection as Connection

from core.config import ConfigError, load
from core.errors import Conflict, FailedPrecondition, PayloadTooLarge, Unavailable
from core.storage.factory import StoreSettings, make_store
from core.storage.mongodb import MongoStore
from core.storage.mongodb_counting import _Work
from core.storage.ports import TEXT, Collection, Order
from core.storage.schema import Schema
from tests.contract.conftest import MONGODB_MARK, MongoBackend
from tests.contract.documents import ACME, BLUE, CALLS, COUNTS, NOTES, RED, SCHEMA, counting, put
from tests.support.mongodb import MISSING
from tests.support.ports import reserved_port

pytestmark = MONGODB_MARK


@pytest.fixture
async def mongo(mongodb_url: str | None) -> AsyncIterator[MongoBackend]:
    if mongodb_url is None:
        pytest.skip(MISSING)
    backend = MongoBackend(mongodb_url)
    yield backend
    await backend.remove()


@pytest.fixture
async def notes(mongo: MongoBackend) -> MongoStore:
    store = mongo.open(SCHEMA)
    await store.create_tenant(ACME)
    return store


async def raw(mongo: MongoBackend, collection: str = "notes") -> list[dict[str, Any]]:
    async with AsyncMongoClient[dict[str, Any]](mongo.url) as client:
        return await client[f"{mongo.prefix}tenant_acme"][collection].find().to_list()


class TestServer:
    async def test_one_that_is_away_is_unavailable(self) -> None:
        url = f"mongodb://127.0.0.1:{reserved_port()}/?directConnection=true"
        store = MongoStore(url, SCHEMA, seconds=0.2)
        for call in (store.get(RED, NOTES, "n1"), store.create_tenant(ACME), store.check(), store.drop_tenant(ACME)):
            with pytest.raises(Unavailable):
                await call
        await store.close()

    async def test_a_closed_store_says_so(self, notes: MongoStore) -> None:
        await notes.close()
        with pytest.raises(Unavailable):
            await notes.get(RED, NOTES, "n1")

    def test_a_url_is_needed(self) -> None:
        with pytest.raises(ConfigError, match="MONGODB_URL"):
            make_store(load(StoreSettings, {"DB_PROVIDER": "mongodb"}), SCHEMA)

    async def test_the_password_is_not_shown(self) -> None:
        settings = load(StoreSettings, {"DB_PROVIDER": "mongodb", "MONGODB_URL": "mongodb://me:hunter2@127.0.0.1/"})
        assert "hunter2" not in repr(settings)


class TestUniqueGroups:
    async def test_a_change_of_a_part_keeps_to_the_whole(self, notes: MongoStore) -> None:
        await put(notes, {"id": "n1", "kind": "a", "number": 1}, {"id": "n2", "kind": "a", "number": 2})
        with pytest.raises(Conflict) as caught:
            await notes.update(RED, NOTES, "n2", {"number": 1.0})
        assert caught.value.field == "kind, number"
        await notes.update(RED, NOTES, "n1", {"number": None})
        assert await notes.update(RED, NOTES, "n2", {"number": 1}) is not None

    async def test_two_parts_changed_at_once_never_make_two_of_a_kind(self, notes: MongoStore) -> None:
        await put(notes, *({"id": f"n{i}", "kind": f"k{i}", "number": i} for i in range(8)))
        changes = [
            notes.update(RED, NOTES, f"n{i}", change) for i in range(8) for change in ({"kind": "k"}, {"number": 0})
        ]
        await asyncio.gather(*changes, return_exceptions=True)
        found = (await notes.find(RED, NOTES)).items
        assert len({(each["kind"], each["number"]) for each in found}) == len(found) == 8

    async def test_one_that_is_declared_later_holds_for_what_is_there(self, mongo: MongoBackend) -> None:
        before = Collection("notes", NOTES.level, {"name": TEXT})
        after = replace(before, unique=(("name",),))
        store = mongo.open(Schema([before]))
        await store.create_tenant(ACME)
        await store.insert_many(RED, before, [{"id": f"n{i}", "name": f"x{i}"} for i in range(3)])
        await store.insert(BLUE, before, {"id": "n0", "name": "x0"})
        later = mongo.open(Schema([after]))
        with pytest.raises(Conflict):
            await later.insert(RED, after, {"id": "n9", "name": "x1"})
        await later.insert(RED, after, {"id": "n9", "name": "x9"})
        without = mongo.open(Schema([before]))
        await without.insert(RED, before, {"id": "n10", "name": "x9"})
        assert all("_unique" in each and not each["_unique"] for each in await raw(mongo))

    async def test_records_that_break_it_are_an_operators_matter(self, mongo: MongoBackend) -> None:
        before = Collection("notes", NOTES.level, {"name": TEXT})
        store = mongo.open(Schema([before]))
        await store.create_tenant(ACME)
        await store.insert_many(RED, before, [{"id": f"n{i}", "name": "same"} for i in range(2)])
        after = replace(before, unique=(("name",),))
        with pytest.raises(Unavailable, match="brought up to date"):
            await mongo.open(Schema([after])).get(RED, after, "n1")


class TestTenants:
    async def test_a_removal_is_seen_by_a_store_that_has_just_used_it(self, mongo: MongoBackend) -> None:
        """Guards against a late write that brings the database back."""
        store, other = mongo.open(SCHEMA, trust_seconds=0.5), mongo.open(SCHEMA, trust_seconds=0.5)
        await store.create_tenant(ACME)

        async def write() -> None:
            for number in itertools.count():
                await put(other, {"id": f"n{number}"})

        await put(other, {"id": "first"})
        removal = asyncio.create_task(store.drop_tenant(ACME))
        with pytest.raises(FailedPrecondition):
            await write()
        await removal
        assert not mongo.traces("acme")

    async def test_two_prefixes_are_two_installations(self, mongo: MongoBackend, notes: MongoStore) -> None:
        with pytest.raises(FailedPrecondition):
            await mongo.open(SCHEMA, prefix=f"{mongo.prefix}b").get(RED, NOTES, "n1")


class TestChanges:
    async def test_a_large_change_beside_others_loses_none(self, notes: MongoStore) -> None:
        await put(notes, {"id": "n1", "n": 0})
        large = [notes.update(RED, NOTES, "n1", {f"f{i}": "x" * 70_000}) for i in range(5)]
        small = [notes.increment(RED, NOTES, "n1", {"n": 1}) for _ in range(10)]
        await asyncio.gather(*large, *small)
        found = await notes.get(RED, NOTES, "n1") or {}
        assert found["n"] == 10
        assert [len(found[f"f{i}"]) for i in range(5)] == [70_000] * 5

    async def test_what_is_too_large_changes_nothing(self, notes: MongoStore) -> None:
        await put(notes, {"id": "n1", "text": "x" * 15_000_000})
        with pytest.raises(PayloadTooLarge):
            await notes.update(RED, NOTES, "n1", {"more": "x" * 2_000_000})
        assert "more" not in (await notes.get(RED, NOTES, "n1") or {})

    async def test_a_field_that_holds_none_counts_as_nought(self, notes: MongoStore) -> None:
        await put(notes, {"id": "n1", "n": None})
        assert (await notes.increment(RED, NOTES, "n1", {"n": 2}))["n"] == 2

    async def test_no_hidden_field_is_shown(self, notes: MongoStore) -> None:
        await put(notes, {"id": "n1", "key": "k"})
        documents = [
            await notes.get(RED, NOTES, "n1"),
            await notes.update(RED, NOTES, "n1", {"text": "t"}),
            await notes.increment(RED, NOTES, "n1", {"n": 1}),
            *(await notes.find(RED, NOTES)).items,
        ]
        assert not any(name.startswith("_") for each in documents for name in each or {})


class TestCounting:
    """A process may be killed between any two commands of a counted insert."""

    @pytest.mark.parametrize("commands", range(1, 12))
    async def test_a_batch_that_was_left_half_way_is_finished(
        self, mongo: MongoBackend, notes: MongoStore, commands: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = [{"id": f"c{i}", "kind": "ab"[i % 2], "tokens": 1} for i in range(4)]
        await notes.count(RED, CALLS)
        left = itertools.count(commands, -1)
        send = Connection.command

        async def killed(*arguments: Any, **options: Any) -> Any:
            if arguments[1] == f"{mongo.prefix}tenant_acme" and next(left) <= 0:
                raise KilledError
            return await send(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(Connection, "command", killed)
            with contextlib.suppress(KilledError):
                await notes.insert_counted(RED, CALLS, calls, COUNTS, counting)
        after = mongo.open(SCHEMA)
        more = [*calls, {"id": "c4", "kind": "a", "tokens": 1}]
        await after.insert_counted(RED, CALLS, more, COUNTS, counting)
        counts = {each["kind"]: each["calls"] for each in (await after.find(RED, COUNTS, order=Order("id"))).items}
        assert counts == {"a": 3, "b": 2}
        assert await after.count(RED, CALLS) == 5
        assert await raw(mongo, "portico_batches") == []
        assert not any("_batch" in each for each in await raw(mongo, "calls"))

    async def test_one_that_failed_is_counted_after_later_ones(
        self, notes: MongoStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The counters took a later batch of the same writer, and the one that had failed was counted as done."""
        first, second = ([{"id": f"{name}{i}", "kind": "a", "tokens": 1} for i in range(3)] for name in "xy")

        async def away(*arguments: Any) -> None:
            raise Unavailable("The store is away.")

        with monkeypatch.context() as patch:
            patch.setattr(_Work, "_count", away)
            with pytest.raises(Unavailable):
                await notes.insert_counted(RED, CALLS, first, COUNTS, counting)
        for calls in (second, first):
            await notes.insert_counted(RED, CALLS, calls, COUNTS, counting)
        (count,) = (await notes.find(RED, COUNTS, order=Order("id"))).items
        assert count["calls"] == 6

    async def test_many_counters_take_no_more_commands_than_one(
        self, mongo: MongoBackend, notes: MongoStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each counter took two round trips of its own."""
        commands = list[str]()
        send = Connection.command

        async def noting(*arguments: Any, **options: Any) -> Any:
            commands.extend([next(iter(arguments[2]))] if arguments[1] == f"{mongo.prefix}tenant_acme" else [])
            return await send(*arguments, **options)

        taken: list[int] = []
        await notes.insert_counted(RED, CALLS, [{"id": "first", "kind": "k", "tokens": 1}], COUNTS, counting)
        monkeypatch.setattr(Connection, "command", noting)
        for kinds in (1, 20, 20):
            calls = [{"id": f"{len(taken)}-{at}", "kind": f"k{at}", "tokens": 1} for at in range(kinds)]
            commands.clear()
            assert await notes.insert_counted(RED, CALLS, calls, COUNTS, counting) == kinds
            taken.append(len(commands))
        assert max(taken) <= taken[0] + 1, taken  # those that are there and those that are not are two commands
        counts = {
            each["kind"]: each["calls"]
            for each in (await notes.find(RED, COUNTS, order=Order("id"), page_size=100)).items
        }
        assert counts == {"k": 1, "k0": 3, **{f"k{at}": 2 for at in range(1, 20)}}


class KilledError(BaseException):
    """The end of a process."""
