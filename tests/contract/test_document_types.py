"""Types, nested values, counters and expiry: what every document store does with them, whatever the engine."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, ClassVar

import pytest

from core.errors import Conflict, InvalidInput
from core.storage.ports import BOOLEAN, INTEGER, JSON, NUMBER, TEXT, Collection, Cond, DocumentStore, Level, Op, Order
from core.storage.schema import Schema
from tests.contract.conftest import Backend
from tests.contract.documents import ACME, BLUE, EVERY, LEASES, NOTES, RED, SCHEMA, ids, put


class TestTypes:
    """A declared field holds values of its type alone, and is compared with no others."""

    GOOD: ClassVar[dict[str, list[Any]]] = {
        "text": ["", "a"],
        "tokens": [0, -(2**63), 2**63 - 1],
        "cost": [1, 0.5, -(2**53)],
        "createdAt": [0, 1764166140.25],
        "ok": [True, False],
    }
    BAD: ClassVar[dict[str, list[Any]]] = {
        "text": [1, True, [], ["a"], {}],
        "tokens": [1.0, "1", True, 2**63, [1], {}],
        "cost": ["1", False, [1.5], {}, 2**64],
        "createdAt": ["2026-11-26T00:00:00Z", True, [1], {}],
        "ok": [0, 1, "true", [True], {}],
    }

    @pytest.mark.parametrize("name", GOOD)
    async def test_takes_its_own_type_and_nothing(self, store: DocumentStore, name: str) -> None:
        for at, value in enumerate([*self.GOOD[name], None]):
            await put(store, {"id": f"n{at}", name: value})
            kept = await store.update(RED, NOTES, f"n{at}", {name: value})
            assert repr((kept or {}).get(name)) == repr(value)
            assert f"n{at}" in await ids(store, {name: value})

    @pytest.mark.parametrize("name", BAD)
    async def test_refuses_every_other(self, store: DocumentStore, name: str) -> None:
        await put(store, {"id": "n1"})
        for value in self.BAD[name]:
            calls: list[Awaitable[Any]] = [
                store.insert(RED, NOTES, {"id": "n2", name: value}),
                store.insert_many(RED, NOTES, [{"id": "n2", name: value}]),
                store.update(RED, NOTES, "n1", {name: value}),
                store.increment(RED, NOTES, "n2", {"n": 1}, initial={name: value}),
            ]
            for call in calls:
                with pytest.raises(InvalidInput) as caught:
                    await call
                assert caught.value.field == name
            if not isinstance(value, list | dict):
                for where in (value, Cond(Op.NE, value), Cond(Op.IN, [value])):
                    with pytest.raises(InvalidInput) as caught:
                        await store.find(RED, NOTES, {name: where})
                    assert caught.value.field == name
        assert await ids(store, None) == {"n1"}

    @pytest.mark.parametrize("name", ["v", "deep"])
    async def test_what_has_no_scalar_type_cannot_be_an_order(self, store: DocumentStore, name: str) -> None:
        with pytest.raises(TypeError):
            await store.find(RED, NOTES, order=Order(name))

    async def test_no_query_looks_into_free_json(self, store: DocumentStore) -> None:
        for where in (None, "a", Cond(Op.CONTAINS, "a")):
            with pytest.raises(TypeError):
                await store.find(RED, NOTES, {"deep": where})

    @pytest.mark.parametrize(
        "collection",
        [
            Collection("c", Level.PROJECT, unique=(("key",),)),
            Collection("c", Level.PROJECT, {"key": JSON}, indexes=(("key",),)),
            Collection("c", Level.PROJECT, {"key": BOOLEAN}, unique=(("key",),)),
            Collection("c", Level.PROJECT, {"at": NUMBER}, expiry="at"),
            Collection("c", Level.PROJECT, expiry="at"),
            Collection("c", Level.PROJECT, {"a.b": TEXT}),
            Collection("c", Level.PROJECT, {"id": INTEGER}),
            Collection("c", Level.PROJECT, {"project": INTEGER}),
        ],
    )
    def test_declarations_that_no_engine_takes(self, collection: Collection) -> None:
        with pytest.raises(ValueError):
            Schema([collection])


class TestNested:
    """Values that one engine alone could hold are refused, but for free JSON."""

    AWKWARD: ClassVar[dict[str, Any]] = {
        "a name that begins with $": {"$set": 1},
        "a name with a dot": {"a": {"b.c": 1}},
        "a name with NUL": {"a": [{"b\0": 1}]},
        "an empty name": {"": 1},
    }

    @pytest.mark.parametrize("value", AWKWARD.values(), ids=AWKWARD.keys())
    async def test_names(self, store: DocumentStore, value: Any) -> None:
        await put(store, {"id": "n1"})
        calls: list[Awaitable[Any]] = [
            put(store, {"id": "n2", "v": value}),
            store.update(RED, NOTES, "n1", {"v": value}),
        ]
        for call in calls:
            with pytest.raises(InvalidInput) as caught:
                await call
            assert caught.value.field == "v"
        await put(store, {"id": "n2", "deep": value})
        assert (await store.update(RED, NOTES, "n1", {"deep": value}) or {})["deep"] == value
        assert (await store.get(RED, NOTES, "n2") or {})["deep"] == value

    @pytest.mark.parametrize("value", [{"a": 2**63}, [2**63], [[-(2**63) - 1]]])
    async def test_integers_of_more_than_64_bits(self, store: DocumentStore, value: Any) -> None:
        with pytest.raises(InvalidInput):
            await put(store, {"id": "n1", "v": value})
        await put(store, {"id": "n1", "v": {"a": [2**63 - 1, -(2**63)]}})

    async def test_depth(self, store: DocumentStore) -> None:
        def nested(levels: int) -> Any:
            value: Any = 1
            for _ in range(levels):
                value = [value]
            return value

        await put(store, {"id": "n1", "v": nested(63)})
        with pytest.raises(InvalidInput):
            await put(store, {"id": "n2", "v": nested(64)})
        await put(store, {"id": "n2", "deep": nested(200)})
        assert (await store.get(RED, NOTES, "n2") or {})["deep"] == nested(200)
        assert (await store.update(RED, NOTES, "n2", {"kind": "a"}) or {})["deep"] == nested(200)

    async def test_numbers_are_given_back_as_they_were(self, store: DocumentStore) -> None:
        value = {"i": 1, "f": 1.0, "big": 2**62, "e": 1e300, "minus": -0.0, "tenth": 0.1}
        await put(store, {"id": "n1", "v": value, "deep": value, "cost": 1.0, "number": 1})
        kept = await store.get(RED, NOTES, "n1") or {}
        assert repr(kept["v"]) == repr(value) == repr(kept["deep"])
        assert (repr(kept["cost"]), repr(kept["number"])) == ("1.0", "1")


class TestIncrement:
    async def test_adds_and_makes_what_is_not_there(self, store: DocumentStore) -> None:
        first = await store.increment(RED, NOTES, "c", {"n": 2, "tokens": 5}, initial={"kind": "counter", "text": "\0"})
        assert first == {"id": "c", "project": "red", "n": 2, "tokens": 5, "kind": "counter", "text": "\0"}
        second = await store.increment(RED, NOTES, "c", {"n": -3, "tokens": 0}, initial={"kind": "other"})
        assert second == first | {"n": -1}
        assert await store.get(RED, NOTES, "c") == second
        await put(store, {"id": "old", "key": "k"})
        assert (await store.increment(RED, NOTES, "old", {"n": 1}))["n"] == 1
        assert await store.get(BLUE, NOTES, "c") is None

    async def test_loses_nothing_at_once_and_from_several_stores(self, backend: Backend, store: DocumentStore) -> None:
        other = backend.open(SCHEMA)
        done = await asyncio.gather(
            *(each.increment(RED, NOTES, "c", {"n": 1}) for each in (store, other) for _ in range(50))
        )
        assert sorted(each["n"] for each in done) == list(range(1, 101))
        await other.close()

    async def test_of_a_hundred_fields(self, backend: Backend) -> None:
        many = Collection("many", Level.PROJECT, {f"f{i}": INTEGER for i in range(100)})
        store = backend.open(Schema([many]))
        await store.create_tenant(ACME)
        for _ in range(2):
            counted = await store.increment(RED, many, "c", {f"f{i}": i for i in range(100)})
        assert counted["f99"] == 198
        await store.close()

    @pytest.mark.parametrize(("start", "amount"), [(2**63 - 1, 1), (-(2**63), -1), (2**62, 2**62), (-1, -(2**63))])
    async def test_a_sum_of_more_than_64_bits_changes_nothing(
        self, store: DocumentStore, start: int, amount: int
    ) -> None:
        await put(store, {"id": "c", "n": start, "tokens": 1})
        with pytest.raises(InvalidInput):
            await store.increment(RED, NOTES, "c", {"tokens": 1, "n": amount})
        assert await store.get(RED, NOTES, "c") == {"id": "c", "project": "red", "n": start, "tokens": 1}

    async def test_a_new_document_keeps_to_its_unique_group(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1", "key": "k"})
        with pytest.raises(Conflict):
            await store.increment(RED, NOTES, "c", {"n": 1}, initial={"key": "k"})
        assert await store.get(RED, NOTES, "c") is None

    @pytest.mark.parametrize("amounts", [{}, {"cost": 1}, {"v": 1}, {"n": 1, "kind": "x"}])
    async def test_is_of_integers_alone(self, store: DocumentStore, amounts: dict[str, Any]) -> None:
        with pytest.raises((TypeError, InvalidInput)):
            await store.increment(RED, NOTES, "c", amounts)
        with pytest.raises(TypeError):
            await store.increment(RED, NOTES, "c", {"n": 1}, initial={"n": 2})
        assert await store.count(RED, NOTES) == 0

    async def test_begins_anew_where_the_document_has_expired(self, store: DocumentStore) -> None:
        gone, later = time.time() - 1, time.time() + 1000
        assert (await store.increment(RED, LEASES, "c", {"n": 5}, initial={"until": gone}))["n"] == 5
        assert (await store.increment(RED, LEASES, "c", {"n": 1}, initial={"until": later}))["n"] == 1
        assert (await store.increment(RED, LEASES, "c", {"n": 1}, initial={"until": gone}))["n"] == 2


class TestExpiry:
    @pytest.fixture(autouse=True)
    async def leases(self, store: DocumentStore) -> None:
        now = time.time()
        for id, until in (("gone", now - 1), ("zero", 0), ("kept", now + 1000), ("forever", None)):
            await store.insert(RED, LEASES, {"id": id, "key": id, "until": until, "n": 1})
        await store.insert(BLUE, LEASES, {"id": "gone", "until": now - 1})

    async def test_what_has_expired_is_gone_from_every_read(self, store: DocumentStore) -> None:
        found = await store.find(RED, LEASES, order=Order("id"))
        assert [each["id"] for each in found.items] == ["kept", "forever"]
        assert await store.get(RED, LEASES, "gone") is None
        assert await store.find_one(RED, LEASES, {"key": "zero"}) is None
        assert await store.count(EVERY, LEASES) == 2
        assert await store.totals(EVERY, LEASES, None, group_by=[], sums=["n"]) == [{"count": 2, "n": 2}]
        assert await store.update(RED, LEASES, "gone", {"n": 2}) is None
        assert await store.delete(RED, LEASES, "gone") is False
        assert await store.delete_where(RED, LEASES, {"n": 1}) == 2

    async def test_it_stands_in_nobodys_way(self, store: DocumentStore) -> None:
        await store.insert(RED, LEASES, {"id": "gone", "key": "gone", "n": 2})
        await store.insert(RED, LEASES, {"id": "other", "key": "zero", "n": 2})
        with pytest.raises(Conflict):
            await store.insert(RED, LEASES, {"id": "kept"})
        assert (await store.get(RED, LEASES, "gone") or {})["n"] == 2

    async def test_nor_in_that_of_a_batch_or_a_change(self, store: DocumentStore) -> None:
        assert await store.update(RED, LEASES, "kept", {"key": "gone"}) is not None
        batch = [{"id": "zero", "key": "zero"}, {"id": "kept"}]
        assert await store.insert_many(RED, LEASES, batch) == 1

    async def test_a_sweep_deletes_it(self, store: DocumentStore) -> None:
        await store.count(RED, LEASES)
        await store.sweep()
        assert await store.sweep() == 0
        assert await store.count(RED, LEASES) == 2

    async def test_a_time_can_be_put_off(self, store: DocumentStore) -> None:
        assert await store.update(RED, LEASES, "kept", {"until": None}) is not None
        assert await store.update(RED, LEASES, "forever", {"until": time.time() - 1}) is not None
        assert await store.get(RED, LEASES, "forever") is None
        assert await store.get(RED, LEASES, "kept") is not None
