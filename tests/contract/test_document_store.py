"""Contract of every document store, whatever the engine."""

import asyncio
import inspect
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.errors import Conflict, FailedPrecondition, InvalidInput, PayloadTooLarge
from core.storage.documents import encode
from core.storage.migrations import Migration, Migrations
from core.storage.ports import (
    INTEGER,
    TEXT,
    Collection,
    Cond,
    Document,
    DocumentStore,
    Level,
    Op,
    Order,
    Page,
)
from core.storage.schema import Schema
from core.tenancy import MAIN, Main, Project, Scope, Tenant
from tests.contract.conftest import Backend
from tests.contract.documents import (
    ACME,
    ALIEN,
    BLUE,
    CALLS,
    COUNTS,
    EVERY,
    GLOBEX,
    LEASES,
    LOGINS,
    NEWEST,
    NOTES,
    OLDEST,
    RED,
    SCHEMA,
    TENANTS,
    USERS,
    counting,
    ids,
    put,
)


async def walk(store: DocumentStore, order: Order, size: int, where: dict[str, Any] | None = None) -> list[str]:
    found: list[str] = []
    token = ""
    while True:
        page = await store.find(RED, NOTES, where, order=order, page_size=size, page_token=token)
        found += [item["id"] for item in page.items]
        if not (token := page.next_token):
            return found


class TestRecords:
    async def test_what_was_inserted_is_read_back(self, store: DocumentStore) -> None:
        document = {"id": "n1", "text": "höhe 😀", "n": 1, "x": 0.1, "yes": True, "none": None, "deep": {"a": [1, {}]}}
        await store.insert(RED, NOTES, document)
        assert await store.get(RED, NOTES, "n1") == document | {"project": "red"}
        assert await store.get(RED, NOTES, "n2") is None

    async def test_records_of_main_and_of_a_tenant(self, store: DocumentStore) -> None:
        await store.insert(MAIN, TENANTS, {"id": "t", "slug": "acme", "project": "the field of the caller"})
        await store.insert(ACME, USERS, {"id": "u", "email": "a@b.c"})
        assert await store.get(MAIN, TENANTS, "t") == {"id": "t", "slug": "acme", "project": "the field of the caller"}
        assert await store.find_one(MAIN, TENANTS, {"project": "the field of the caller"}) is not None
        assert await store.get(ACME, USERS, "u") == {"id": "u", "email": "a@b.c"}

    async def test_the_project_comes_from_the_scope_not_from_the_document(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1", "project": "blue"})
        assert (await store.get(RED, NOTES, "n1") or {})["project"] == "red"
        assert await store.get(BLUE, NOTES, "n1") is None

    async def test_a_document_is_not_shared_with_the_caller(self, store: DocumentStore) -> None:
        document: Document = {"id": "n1", "tags": ["a"]}
        await store.insert(RED, NOTES, document)
        document["tags"].append("b")
        read = await store.get(RED, NOTES, "n1") or {}
        read["tags"].append("c")
        changes = {"list": [1]}
        await store.update(RED, NOTES, "n1", changes)
        changes["list"].append(2)
        assert await store.get(RED, NOTES, "n1") == {"id": "n1", "tags": ["a"], "list": [1], "project": "red"}

    async def test_update_sets_and_removes_top_level_fields(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1", "a": 1, "b": 2, "c": {"x": 1}})
        new = await store.update(RED, NOTES, "n1", {"a": None, "c": {"y": None}, "d": "new"})
        assert new == {"id": "n1", "b": 2, "c": {"y": None}, "d": "new", "project": "red"}
        assert await store.get(RED, NOTES, "n1") == new

    async def test_update_of_a_hundred_fields_at_once(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1", **{f"old{i}": i for i in range(100)}})
        changes = {**{f"old{i}": None for i in range(100)}, **{f"new{i}": i for i in range(100)}}
        assert await store.update(RED, NOTES, "n1", changes) == {
            "id": "n1", "project": "red", **{f"new{i}": i for i in range(100)},
        }  # fmt: skip

    async def test_update_of_what_is_not_there(self, store: DocumentStore) -> None:
        assert await store.update(RED, NOTES, "n1", {"a": 1}) is None

    @pytest.mark.parametrize("field", ["id", "project"])
    async def test_update_cannot_move_a_record(self, store: DocumentStore, field: str) -> None:
        await put(store, {"id": "n1"})
        with pytest.raises(InvalidInput) as caught:
            await store.update(RED, NOTES, "n1", {field: "other"})
        assert caught.value.field == field

    async def test_delete(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1"}, {"id": "n2", "kind": "a"}, {"id": "n3", "kind": "a"})
        assert await store.delete(RED, NOTES, "n1") is True
        assert await store.delete(RED, NOTES, "n1") is False
        assert await store.delete_where(RED, NOTES, {"kind": "a"}) == 2
        assert await store.count(RED, NOTES) == 0

    async def test_check_of_a_working_store(self, store: DocumentStore) -> None:
        await store.check()


class TestUniqueness:
    async def test_one_id_per_project(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1"})
        with pytest.raises(Conflict) as caught:
            await put(store, {"id": "n1"})
        assert caught.value.field == "id"
        await put(store, {"id": "n1"}, scope=BLUE)

    async def test_a_unique_group_holds_within_a_project(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1", "key": "k"})
        with pytest.raises(Conflict) as caught:
            await put(store, {"id": "n2", "key": "k"})
        assert caught.value.field == "key"
        await put(store, {"id": "n2", "key": "k"}, scope=BLUE)

    async def test_a_group_of_two_fields(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1", "kind": "a", "number": 1}, {"id": "n2", "kind": "a", "number": 2})
        with pytest.raises(Conflict) as caught:
            await put(store, {"id": "n3", "kind": "a", "number": 1.0})
        assert caught.value.field == "kind, number"

    async def test_a_document_without_the_field_is_not_constrained(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1"}, {"id": "n2"}, {"id": "n3", "key": None}, {"id": "n4", "key": None})
        await put(store, {"id": "n5", "kind": "a"}, {"id": "n6", "kind": "a"})

    async def test_update_is_constrained_too(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1", "key": "a"}, {"id": "n2", "key": "b"})
        with pytest.raises(Conflict):
            await store.update(RED, NOTES, "n2", {"key": "a"})
        assert (await store.get(RED, NOTES, "n2") or {})["key"] == "b"
        assert await store.update(RED, NOTES, "n2", {"key": "b", "more": 1})

    async def test_texts_that_differ_only_behind_a_nul_are_different(self, store: DocumentStore) -> None:
        """SQLite's JSON functions cut a text at NUL: the two keys were one."""
        await put(store, {"id": "n1", "key": "a\0b"}, {"id": "n2", "key": "a\0c"}, {"id": "n3", "key": "a"})
        assert await ids(store, {"key": "a\0c"}) == {"n2"}

    async def test_fifty_at_once_one_wins(self, store: DocumentStore) -> None:
        made = await asyncio.gather(
            *(store.insert(RED, NOTES, {"id": f"n{i}", "key": "k"}) for i in range(50)), return_exceptions=True
        )
        assert made.count(None) == 1
        assert all(isinstance(error, Conflict) for error in made if error is not None)
        assert await store.count(RED, NOTES) == 1

    async def test_compare_and_set_of_fifty_one_wins(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1", "version": 1})
        done = await asyncio.gather(
            *(store.update(RED, NOTES, "n1", {"version": 2, "by": i}, where={"version": 1}) for i in range(50))
        )
        winners = [document for document in done if document is not None]
        assert len(winners) == 1
        assert await store.get(RED, NOTES, "n1") == winners[0]


class TestInsertMany:
    async def test_known_ids_are_skipped(self, store: DocumentStore) -> None:
        documents = [{"id": f"n{i}", "key": f"k{i}", "text": "first"} for i in range(100)]
        assert await store.insert_many(RED, NOTES, documents) == 100
        assert await store.insert_many(RED, NOTES, documents) == 0
        more = [{"id": "n1", "key": "k2", "text": "second"}, {"id": "new"}, {"id": "new"}]
        assert await store.insert_many(RED, NOTES, more) == 1
        assert (await store.get(RED, NOTES, "n1") or {})["text"] == "first"
        assert await store.insert_many(RED, NOTES, []) == 0

    async def test_a_conflict_leaves_out_what_conflicts_and_the_rest_is_there(self, store: DocumentStore) -> None:
        batch = [{"id": "n1", "key": "k"}, {"id": "n2", "key": "k"}, {"id": "n3", "key": "other"}]
        for _ in range(2):
            with pytest.raises(Conflict) as caught:
                await store.insert_many(RED, NOTES, batch)
            assert caught.value.field == "key"
            assert await ids(store, None) == {"n1", "n3"}
        assert await store.insert_many(RED, NOTES, [*batch[::2], {"id": "n4"}]) == 1

    async def test_a_document_that_cannot_be_leaves_out_all(self, store: DocumentStore) -> None:
        """It is a bug of the caller or a value of a user's, which is told before anything is written."""
        with pytest.raises(InvalidInput):
            await store.insert_many(RED, NOTES, [{"id": "n1"}, {"id": "n2", "key": 5}])
        assert await store.count(RED, NOTES) == 0

    async def test_beside_single_inserts(self, store: DocumentStore) -> None:
        """A single insert must not be lost with a batch that fails."""
        bad = [{"id": "b1", "key": "k"}, {"id": "b2", "key": "k"}]
        done = await asyncio.gather(
            *(
                store.insert_many(RED, NOTES, bad) if i % 2 else store.insert(RED, NOTES, {"id": f"n{i}"})
                for i in range(40)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(each, Conflict) for each in done) == 20
        assert await ids(store, None) == {"b1", *(f"n{i}" for i in range(0, 40, 2))}


SAMPLES: dict[str, Any] = {
    "none": None, "true": True, "false": False, "zero": 0, "one": 1, "one_and_a_half": 1.5, "two": 2, "big": 2**53 + 1,
    "min": -(2**63), "empty": "", "a": "a", "b": "b", "digit": "1", "word": "true", "umlaut": "ä", "face": "😀",
    "list": ["a", 1, None, True, 1.5, "[]"], "empty_list": [], "object": {"a": 1}, "list_text": '["a",1]',
    "pair": ["a", 1], "tenth": 0.1,
}  # fmt: skip


def shown(value: object) -> str:
    """A test id that is the same in every process: sets are sorted."""
    if isinstance(value, Cond):
        return f"{value.op.value} {shown(value.value)}"
    return repr(sorted(value)) if isinstance(value, set) else repr(value)


class TestWhere:
    @pytest.fixture(autouse=True)
    async def samples(self, store: DocumentStore) -> None:
        await store.insert_many(RED, NOTES, [{"id": name, "v": value} for name, value in SAMPLES.items()])
        await store.insert_many(RED, NOTES, [{"id": "missing"}, {"id": "other", "w": 1}])

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            (None, {"none", "missing", "other"}),
            (True, {"true"}),
            (False, {"false"}),
            (0, {"zero"}),
            (1, {"one"}),
            (1.0, {"one"}),
            (1.5, {"one_and_a_half"}),
            (0.1, {"tenth"}),
            (2**53 + 1, {"big"}),
            (-(2**63), {"min"}),
            ("", {"empty"}),
            ("1", {"digit"}),
            ("true", {"word"}),
            ('["a",1]', {"list_text"}),
            ("😀", {"face"}),
            (Cond(Op.EQ, "a"), {"a"}),
            (Cond(Op.NE, None), SAMPLES.keys() - {"none"}),
            (Cond(Op.NE, True), (SAMPLES.keys() - {"true"}) | {"missing", "other"}),
            (Cond(Op.NE, "a"), (SAMPLES.keys() - {"a"}) | {"missing", "other"}),
            (Cond(Op.GT, 1), {"one_and_a_half", "two", "big"}),
            (Cond(Op.GTE, 1), {"one", "one_and_a_half", "two", "big"}),
            (Cond(Op.LT, 1), {"zero", "min", "tenth"}),
            (Cond(Op.LTE, 1.5), {"zero", "one", "one_and_a_half", "min", "tenth"}),
            (Cond(Op.GT, "a"), {"b", "word", "umlaut", "face"}),
            (Cond(Op.LTE, "a"), {"empty", "a", "digit", "list_text"}),
            (Cond(Op.GTE, "ä"), {"umlaut", "face"}),
            (Cond(Op.LT, "1"), {"empty"}),
            (Cond(Op.IN, ["a", 1, True, None, 0.1]), {"a", "one", "true", "none", "missing", "other", "tenth"}),
            (Cond(Op.IN, {"a", "b"}), {"a", "b"}),
            (Cond(Op.IN, [f"x{i}" for i in range(5000)] + ["b"]), {"b"}),
            (Cond(Op.IN, ['["a",1]', "1"]), {"list_text", "digit"}),
            (Cond(Op.IN, []), set()),
            (Cond(Op.CONTAINS, "a"), {"list", "pair"}),
            (Cond(Op.CONTAINS, 1), {"list", "pair"}),
            (Cond(Op.CONTAINS, True), {"list"}),
            (Cond(Op.CONTAINS, None), {"list"}),
            (Cond(Op.CONTAINS, 1.5), {"list"}),
            (Cond(Op.CONTAINS, False), set()),
            (Cond(Op.CONTAINS, "1"), set()),
            ((Cond(Op.GTE, 1), Cond(Op.LT, 2)), {"one", "one_and_a_half"}),
        ],
        ids=shown,
    )
    async def test_operators(self, store: DocumentStore, condition: Any, expected: set[str]) -> None:
        where = {"v": condition}
        assert await ids(store, where) == set(expected)
        assert await store.count(RED, NOTES, where) == len(expected)
        one = await store.find_one(RED, NOTES, where)
        assert one is None if not expected else one is not None and one["id"] in expected

    async def test_all_conditions_must_hold(self, store: DocumentStore) -> None:
        assert await ids(store, {"v": None, "w": 1}) == {"other"}
        assert await ids(store, {"v": 1, "w": 1}) == set()

    async def test_by_id_and_project(self, store: DocumentStore) -> None:
        assert await ids(store, {"id": "a"}) == {"a"}
        assert await ids(store, {"id": Cond(Op.IN, ["a", "b", "gone"])}) == {"a", "b"}
        assert await ids(store, {"project": "blue"}) == set()
        assert await ids(store, {"project": "red", "id": "a"}, scope=EVERY) == {"a"}

    async def test_delete_and_update_where(self, store: DocumentStore) -> None:
        assert await store.update(RED, NOTES, "one", {"w": 5}, where={"v": True}) is None
        assert await store.update(RED, NOTES, "one", {"w": 5}, where={"v": Cond(Op.LTE, 1)}) is not None
        assert await store.delete_where(RED, NOTES, {"v": Cond(Op.GTE, 1)}) == 4
        assert await store.count(RED, NOTES) == len(SAMPLES) - 2

    @pytest.mark.parametrize("value", [["a"], {"a": 1}, b"a", object(), Cond(Op.IN, "ab"), Cond(Op.GT, None), ()])
    async def test_what_no_condition_can_be(self, store: DocumentStore, value: Any) -> None:
        with pytest.raises(TypeError):
            await store.find(RED, NOTES, {"v": value})

    @pytest.mark.parametrize("value", [2**63, float("nan"), float("inf"), "\ud800"])
    async def test_values_that_no_document_can_hold(self, store: DocumentStore, value: Any) -> None:
        with pytest.raises(InvalidInput) as caught:
            await store.find(RED, NOTES, {"v": value})
        assert caught.value.field == "v"


class TestPages:
    @pytest.mark.parametrize("order", [NEWEST, OLDEST, Order("text"), Order("id"), Order("id", descending=False)])
    async def test_every_record_once_in_order(self, store: DocumentStore, order: Order) -> None:
        """With ties, with records that lack the field, and for every size of page."""
        random.seed(1)
        times = [None, 0.5, 1, 1.5, 2, 1753351022.123457]
        documents: list[Document] = [
            {"id": f"n{i:02}", "createdAt": random.choice(times), "text": random.choice(["", "a", "b\0", "b\x01", "ä"])}
            for i in range(40)
        ] + [{"id": "z1"}, {"id": "z0", "text": None}]
        random.shuffle(documents)
        await store.insert_many(RED, NOTES, documents)

        def key(document: Document) -> Any:
            value = document.get(order.field)
            return (value is not None, value or ("" if order.field == "text" else 0), document["id"])

        expected = [each["id"] for each in sorted(documents, key=key, reverse=order.descending)]
        for size in (1, 7, 21, 41, 42, 1000):
            assert await walk(store, order, size) == expected

    @pytest.mark.parametrize("order", [NEWEST, OLDEST])
    async def test_stable_under_inserts(self, store: DocumentStore, order: Order) -> None:
        """Neither repeated nor left out because somebody else wrote before or behind the reader's place."""
        await store.insert_many(RED, NOTES, [{"id": f"n{i}", "createdAt": 100 + i // 3} for i in range(30)])
        found: list[str] = []
        token, round = "", 0
        while True:
            page = await store.find(RED, NOTES, order=order, page_size=4, page_token=token)
            found += [item["id"] for item in page.items]
            if not (token := page.next_token):
                break
            round += 1
            edge = page.items[0]["createdAt"]
            await put(store, {"id": f"before{round}", "createdAt": edge + (1 if order.descending else -1)})
        originals = [id for id in found if id.startswith("n")]
        assert len(originals) == 30 == len(set(originals))
        assert len(found) == len(set(found))

    async def test_the_last_page_has_no_token(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1"}, {"id": "n2"})
        assert (await store.find(RED, NOTES, page_size=2)).next_token == ""
        assert (await store.find(RED, NOTES, {"id": "gone"})) == Page([], "")

    @pytest.mark.parametrize("order", [NEWEST, OLDEST])
    async def test_a_page_of_large_documents_is_short_and_has_a_token(self, store: DocumentStore, order: Order) -> None:
        """A thousand records of 48 KiB took a minute to make an answer of, which was too large to send."""
        sizes = [700_000, 700_000, 700_000, 5_000_000, 10, 10]
        await put(store, *({"id": f"n{at}", "createdAt": at, "text": "x" * size} for at, size in enumerate(sizes)))
        pages: list[list[str]] = []
        token = ""
        while not pages or token:
            page = await store.find(RED, NOTES, order=order, page_size=1000, page_token=token)
            pages.append([document["id"] for document in page.items])
            token = page.next_token
        expected = [["n0", "n1"], ["n2"], ["n3"], ["n4", "n5"]]
        assert pages == (expected if order is OLDEST else [["n5", "n4"], ["n3"], ["n2", "n1"], ["n0"]])

    async def test_a_token_is_bound_to_what_was_listed(self, store: DocumentStore) -> None:
        for scope in (RED, BLUE, ALIEN):
            await put(store, *({"id": f"n{i}", "createdAt": i, "kind": "a"} for i in range(3)), scope=scope)
        await store.insert_many(ACME, USERS, [{"id": "u1"}, {"id": "u2"}])
        where = {"kind": "a"}
        token = (await store.find(RED, NOTES, where, page_size=1)).next_token
        assert (await store.find(RED, NOTES, where, page_size=2, page_token=token)).items
        attempts: list[tuple[Scope, Collection, dict[str, Any] | None, Order]] = [
            (BLUE, NOTES, where, NEWEST),
            (ALIEN, NOTES, where, NEWEST),
            (EVERY, NOTES, where, NEWEST),
            (ACME, USERS, where, NEWEST),
            (RED, NOTES, None, NEWEST),
            (RED, NOTES, {"kind": "b"}, NEWEST),
            (RED, NOTES, {"kind": Cond(Op.NE, "a")}, NEWEST),
            (RED, NOTES, where, OLDEST),
            (RED, NOTES, where, Order("kind")),
        ]
        for other_scope, collection, other, order in attempts:
            with pytest.raises(InvalidInput) as caught:
                await store.find(other_scope, collection, other, order=order, page_token=token)
            assert caught.value.field == "pageToken"

    async def test_a_changed_token_is_refused(self, store: DocumentStore) -> None:
        await put(store, *({"id": f"n{i}", "createdAt": i} for i in range(3)))
        token = (await store.find(RED, NOTES, page_size=1)).next_token
        changed = [token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(len(token))]
        for bad in [*changed, token + "A", token[:-1], token + "=", "x", "=", "\0", "ä", "\ud800", "A" * 10_000]:
            with pytest.raises(InvalidInput) as caught:
                await store.find(RED, NOTES, page_token=bad)
            assert caught.value.field == "pageToken"

    @pytest.mark.parametrize("size", [0, -1, 1001])
    async def test_the_size_of_a_page_is_bounded(self, store: DocumentStore, size: int) -> None:
        with pytest.raises(InvalidInput) as caught:
            await store.find(RED, NOTES, page_size=size)
        assert caught.value.field == "pageSize"


class TestInsertCounted:
    """Documents, and what they add to counters, are there together or not at all."""

    async def counts(self, store: DocumentStore, scope: Scope = RED) -> dict[str, tuple[int, int]]:
        found = (await store.find(scope, COUNTS, order=Order("id"))).items
        return {each["kind"]: (each["calls"], each["tokens"]) for each in found}

    async def test_each_document_is_counted_once(self, store: DocumentStore) -> None:
        calls = [{"id": f"c{i}", "kind": "ab"[i % 2], "tokens": i} for i in range(10)]
        assert await store.insert_counted(RED, CALLS, calls[:6], COUNTS, counting) == 6
        assert await store.insert_counted(RED, CALLS, [*calls, calls[9]], COUNTS, counting) == 4
        assert await store.insert_counted(RED, CALLS, calls, COUNTS, counting) == 0
        assert await store.insert_counted(RED, CALLS, [], COUNTS, counting) == 0
        assert await self.counts(store) == {"a": (5, 20), "b": (5, 25)}
        assert await store.count(RED, CALLS) == 10

    async def test_texts_that_the_caller_has_are_the_documents(self, store: DocumentStore) -> None:
        calls: list[Document] = [{"id": f"c{i}", "project": "red", "kind": "é", "tokens": i} for i in range(3)]
        for some, count in ((calls[:2], 2), (calls, 1)):
            texts = [encode(call) for call in some]
            assert await store.insert_counted(RED, CALLS, some, COUNTS, counting, texts=texts) == count
        assert [await store.get(RED, CALLS, call["id"]) for call in calls] == calls
        assert await self.counts(store) == {"é": (3, 3)}

    async def test_calls_at_once_lose_nothing(self, store: DocumentStore) -> None:
        await asyncio.gather(
            *(
                store.insert_counted(RED, CALLS, [{"id": f"c{i}.{j}", "tokens": 1} for j in range(5)], COUNTS, counting)
                for i in range(40)
            )
        )
        assert await self.counts(store) == {"": (200, 200)}

    async def test_a_sum_of_more_than_64_bits_changes_nothing(self, store: DocumentStore) -> None:
        most = 2**63 - 1
        await store.insert_counted(RED, CALLS, [{"id": "c1", "tokens": most}], COUNTS, counting)
        with pytest.raises(InvalidInput) as caught:
            await store.insert_counted(RED, CALLS, [{"id": "c2", "tokens": 1}], COUNTS, counting)
        assert caught.value.field == "tokens"
        assert await self.counts(store) == {"": (1, most)}
        assert await store.count(RED, CALLS) == 1

    async def test_a_document_that_cannot_be_leaves_out_all(self, store: DocumentStore) -> None:
        bad: list[Document] = [{"id": "c1"}, {"id": "c2", "kind": 5}]
        with pytest.raises(InvalidInput):
            await store.insert_counted(RED, CALLS, bad, COUNTS, lambda calls: counting(calls[:1]))
        assert await store.count(RED, CALLS) == 0
        assert await self.counts(store) == {}

    async def test_scopes_are_counted_apart(self, store: DocumentStore) -> None:
        for scope in (RED, BLUE, ALIEN):
            assert await store.insert_counted(scope, CALLS, [{"id": "c1", "tokens": 3}], COUNTS, counting) == 1
        for scope in (RED, BLUE, ALIEN):
            assert await self.counts(store, scope) == {"": (1, 3)}

    async def test_ids_may_hold_any_character(self, store: DocumentStore) -> None:
        calls = [{"id": 'a\0"\x01é'}, {"id": "a\x01"}]
        for expected in (2, 0):
            assert await store.insert_counted(RED, CALLS, calls, COUNTS, counting) == expected

    async def test_what_is_unique_or_expires_cannot_be_counted(self, store: DocumentStore) -> None:
        for documents, counters in ((NOTES, COUNTS), (CALLS, LEASES)):
            with pytest.raises(TypeError):
                await store.insert_counted(RED, documents, [{"id": "n1"}], counters, counting)


Call = Callable[[DocumentStore, Scope, Collection], Awaitable[Any]]
READS: dict[str, Call] = {
    "get": lambda store, scope, of: store.get(scope, of, "n1"),
    "find_one": lambda store, scope, of: store.find_one(scope, of, {"secret": "s"}),
    "find": lambda store, scope, of: store.find(scope, of),
    "count": lambda store, scope, of: store.count(scope, of),
    "totals": lambda store, scope, of: store.totals(scope, of, None, group_by=["secret"], sums=[]),
    "delete": lambda store, scope, of: store.delete(scope, of, "n1"),
    "delete_where": lambda store, scope, of: store.delete_where(scope, of, {"secret": "s"}),
}
_COUNTED = {NOTES: CALLS, USERS: LOGINS}
"""Collections in place of those with unique groups."""
WRITES: dict[str, Call] = {
    "insert": lambda store, scope, of: store.insert(scope, of, {"id": "n2"}),
    "insert_many": lambda store, scope, of: store.insert_many(scope, of, [{"id": "n2"}]),
    "insert_counted": lambda store, scope, of: store.insert_counted(
        scope, _COUNTED.get(of, of), [{"id": "n2"}], LOGINS if of is USERS else COUNTS, counting
    ),
    "update": lambda store, scope, of: store.update(scope, of, "n1", {"secret": "stolen"}),
    "increment": lambda store, scope, of: store.increment(scope, of, "n2", {"n": 1}),
}
NOTHING: tuple[Any, ...] = (None, 0, False, [], Page([], ""))


class TestScopes:
    def test_every_method_of_the_port_is_tried(self) -> None:
        methods = {name for name, _ in inspect.getmembers(DocumentStore, inspect.isfunction) if name[0] != "_"}
        assert (
            methods - {"create_tenant", "drop_tenant", "sweep", "scrub", "check", "close"}
            == READS.keys() | WRITES.keys()
        )

    @pytest.mark.parametrize("method", [*READS, "update"])
    @pytest.mark.parametrize("stranger", [BLUE, ALIEN], ids=["project", "tenant"])
    async def test_what_the_scope_does_not_cover_is_not_there(
        self, store: DocumentStore, method: str, stranger: Scope
    ) -> None:
        await put(store, {"id": "n1", "secret": "s"})
        assert await (READS | WRITES)[method](store, stranger, NOTES) in NOTHING
        assert await store.get(RED, NOTES, "n1") == {"id": "n1", "secret": "s", "project": "red"}

    @pytest.mark.parametrize("method", READS)
    async def test_what_one_tenant_deletes_stays_with_another(self, store: DocumentStore, method: str) -> None:
        await store.insert(ACME, USERS, {"id": "n1", "secret": "s"})
        assert await READS[method](store, GLOBEX, USERS) in NOTHING
        assert await store.get(ACME, USERS, "n1") == {"id": "n1", "secret": "s"}

    @pytest.mark.parametrize("method", [*READS, *WRITES])
    @pytest.mark.parametrize(
        ("scope", "collection"),
        [(ACME, TENANTS), (RED, TENANTS), (EVERY, TENANTS), (MAIN, USERS), (RED, USERS), (EVERY, USERS), (MAIN, NOTES),
         (ACME, NOTES)],
    )  # fmt: skip
    async def test_a_scope_of_the_wrong_level(
        self, store: DocumentStore, method: str, scope: Scope, collection: Collection
    ) -> None:
        with pytest.raises(TypeError):
            await (READS | WRITES)[method](store, scope, collection)

    @pytest.mark.parametrize("method", WRITES)
    async def test_every_project_may_not_write(self, store: DocumentStore, method: str) -> None:
        with pytest.raises(TypeError):
            await WRITES[method](store, EVERY, NOTES)

    async def test_every_project_reads_and_deletes_across_projects_of_one_tenant(self, store: DocumentStore) -> None:
        for scope in (RED, BLUE, ALIEN):
            await put(store, {"id": "same", "n": 1}, {"id": f"own-{scope.id}", "n": 2}, scope=scope)
        found: list[tuple[str, str]] = []
        token = ""
        while True:
            page = await store.find(EVERY, NOTES, order=Order("n"), page_size=1, page_token=token)
            found += [(item["project"], item["id"]) for item in page.items]
            if not (token := page.next_token):
                break
        assert found == [("red", "own-red"), ("blue", "own-blue"), ("red", "same"), ("blue", "same")]
        assert await store.count(EVERY, NOTES, {"n": 1}) == 2
        assert await store.totals(EVERY, NOTES, None, group_by=["project"], sums=["n"]) == [
            {"project": "blue", "count": 2, "n": 3},
            {"project": "red", "count": 2, "n": 3},
        ]
        assert await store.delete_where(EVERY, NOTES, {"project": "blue"}) == 2
        assert await store.delete(EVERY, NOTES, "same") is True
        assert await store.count(EVERY, NOTES) == 1
        assert await store.count(ALIEN, NOTES) == 2

    @pytest.mark.parametrize("method", [*READS, *WRITES])
    async def test_an_unknown_tenant_is_refused_and_leaves_no_trace(
        self, backend: Backend, store: DocumentStore, method: str
    ) -> None:
        for scope, collection in ((Tenant("nobody"), USERS), (Project(Tenant("nobody"), "red"), NOTES)):
            with pytest.raises(FailedPrecondition):
                await (READS | WRITES)[method](store, scope, collection)
        assert not backend.traces("nobody")

    @pytest.mark.parametrize("method", [*READS, *WRITES])
    async def test_a_collection_that_was_not_declared(self, store: DocumentStore, method: str) -> None:
        with pytest.raises(TypeError):
            await (READS | WRITES)[method](store, RED, Collection("later", Level.PROJECT, {"n": INTEGER}))


class TestSchema:
    """The declared schema is applied to each database when it is first used."""

    async def test_a_collection_that_was_added_later(self, backend: Backend, store: DocumentStore) -> None:
        later = Collection("later", Level.PROJECT, {"key": TEXT}, unique=(("key",),))
        await store.insert(ACME, USERS, {"id": "u1"})
        newer = backend.open(Schema([TENANTS, USERS, NOTES, later]))
        await newer.insert(RED, later, {"id": "l1", "key": "k"})
        with pytest.raises(Conflict):
            await newer.insert(RED, later, {"id": "l2", "key": "k"})
        assert await newer.get(ACME, USERS, "u1") == {"id": "u1"}
        await newer.close()

    async def test_a_new_tenant_is_used_at_once_by_several_stores(self, backend: Backend) -> None:
        stores = [backend.open(SCHEMA) for _ in range(5)]
        new = Tenant("new")
        await asyncio.gather(*(each.create_tenant(new) for each in stores for _ in range(5)))
        await asyncio.gather(
            *(each.insert(new, USERS, {"id": f"u{i}.{j}"}) for i, each in enumerate(stores) for j in range(5))
        )
        assert await stores[0].count(new, USERS) == 25
        await asyncio.gather(*(each.close() for each in stores))

    async def test_to_create_a_tenant_that_is_there_changes_nothing(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1"})
        await store.create_tenant(ACME)
        assert await store.get(RED, NOTES, "n1") is not None

    async def test_the_main_database_needs_no_creating(self, backend: Backend) -> None:
        first = backend.open(SCHEMA)
        assert await first.count(MAIN, TENANTS) == 0
        await first.close()

    @pytest.mark.parametrize("name", ["", "Notes", "a b", 'a"b', "a;drop", "sqlite_x", "x" * 64, "ä", "1a"])
    def test_refuses_hostile_names(self, name: str) -> None:
        with pytest.raises(ValueError):
            Schema([Collection(name, Level.TENANT)])

    def test_refuses_two_collections_of_one_name_in_one_database(self) -> None:
        with pytest.raises(ValueError):
            Schema([NOTES, Collection("notes", Level.TENANT)])
        Schema([NOTES, NOTES, Collection("notes", Level.MAIN)])

    async def test_a_scrub_changes_nothing_that_is_there(self, store: DocumentStore) -> None:
        await store.insert(RED, NOTES, {"id": "kept"})
        await store.insert(RED, NOTES, {"id": "gone"})
        await store.delete(RED, NOTES, "gone")
        await store.scrub(ACME)
        await store.scrub(ACME)
        assert [each["id"] for each in (await store.find(RED, NOTES)).items] == ["kept"]


class TestDroppedTenants:
    async def test_everything_of_it_goes_and_nothing_else(self, backend: Backend, store: DocumentStore) -> None:
        await put(store, {"id": "n1"})
        await put(store, {"id": "n1"}, scope=ALIEN)
        await store.drop_tenant(ACME)
        await store.drop_tenant(ACME)
        assert not backend.traces("acme")
        assert await store.count(ALIEN, NOTES) == 1

    @pytest.mark.parametrize("method", [*READS, *WRITES])
    async def test_every_call_fails_and_recreates_nothing(
        self, backend: Backend, store: DocumentStore, method: str
    ) -> None:
        other = backend.open(SCHEMA)
        await put(other, {"id": "n1"})
        await store.drop_tenant(ACME)
        for each in (store, other):
            with pytest.raises(FailedPrecondition) as caught:
                await (READS | WRITES)[method](each, RED, NOTES)
            assert caught.value.reason == "UNKNOWN_TENANT"
            with pytest.raises(FailedPrecondition):
                await each.scrub(ACME)
        assert not backend.traces("acme")
        await other.close()

    async def test_one_that_is_created_anew_begins_empty_in_every_store(
        self, backend: Backend, store: DocumentStore
    ) -> None:
        other = backend.open(SCHEMA)
        await put(other, {"id": "n1", "key": "k"})
        await store.drop_tenant(ACME)
        await store.create_tenant(ACME)
        for each, id in ((other, "n2"), (store, "n3")):
            assert await each.get(RED, NOTES, "n1") is None
            await put(each, {"id": id, "key": id})
        with pytest.raises(Conflict):
            await put(other, {"id": "n4", "key": "n3"})
        await other.close()


HOSTILE = [
    "'; DROP TABLE notes; --", '"', "\\", "\\u0000", "\0", "a\0b", "\x01", "\x01\x01", "\x01\x02", "\x00\x01\x02\x00",
    "$.id", "%", "_", "?", ":id", "\u2028", "\ufeff", "\U0010ffff", "x" * 1_000_000, "null", "{}", "é", "e\u0301",
]  # fmt: skip


class TestHostileInput:
    @pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:30])
    async def test_texts_are_kept_as_they_are(self, store: DocumentStore, text: str) -> None:
        await put(store, {"id": "other", "text": "other"})
        await put(store, {"id": f"i{text}", "text": text, "key": text, "deep": {"k": [text], text: 1}})
        kept = {"id": f"i{text}", "text": text, "key": text, "deep": {"k": [text], text: 1}, "project": "red"}
        assert await store.get(RED, NOTES, f"i{text}") == kept
        assert await store.find_one(RED, NOTES, {"id": f"i{text}"}) == kept
        assert await ids(store, {"text": text}) == {f"i{text}"}
        assert await ids(store, {"key": Cond(Op.IN, [text, "other"])}) == {f"i{text}"}
        assert await store.update(RED, NOTES, "other", {"text": text, "list": [text]}) is not None
        assert await ids(store, {"list": Cond(Op.CONTAINS, text)}) == {"other"}
        assert await store.totals(RED, NOTES, None, group_by=["text"], sums=[]) == [{"text": text, "count": 2}]
        assert await walk(store, Order("text"), 1) == sorted([f"i{text}", "other"], reverse=True)
        assert await store.delete(RED, NOTES, f"i{text}") is True

    @pytest.mark.parametrize(
        "name", ["", "a.b", "$set", "a'b", 'a"b', "a b", "a\0", "\ud800", "ä", "_id", "1a", "a" * 65, "a\n"]
    )
    async def test_hostile_field_names_are_refused(self, store: DocumentStore, name: str) -> None:
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: store.insert(RED, NOTES, {"id": "n1", name: 1}),
            lambda: store.insert_many(RED, NOTES, [{"id": "n1", name: 1}]),
            lambda: store.update(RED, NOTES, "n1", {name: 1}),
            lambda: store.update(RED, NOTES, "n1", {"a": 1}, where={name: 1}),
            lambda: store.find(RED, NOTES, {name: 1}),
            lambda: store.find(RED, NOTES, order=Order(name)),
            lambda: store.count(RED, NOTES, {name: 1}),
            lambda: store.delete_where(RED, NOTES, {name: 1}),
            lambda: store.totals(RED, NOTES, None, group_by=[name], sums=[]),
            lambda: store.totals(RED, NOTES, None, group_by=[], sums=[name]),
        ]
        for call in calls:
            with pytest.raises(InvalidInput):
                await call()
        assert await store.count(RED, NOTES) == 0

    @pytest.mark.parametrize(
        "value", ["\ud800", {"a": "\udfff"}, {"\ud800": 1}, float("nan"), [float("inf")], 2**64, b"x", {1}, {1: 1}]
    )
    async def test_what_json_cannot_hold_is_refused(self, store: DocumentStore, value: Any) -> None:
        await put(store, {"id": "n1"})
        with pytest.raises(InvalidInput):
            await put(store, {"id": "n2", "v": value})
        with pytest.raises(InvalidInput):
            await store.update(RED, NOTES, "n1", {"v": value})
        assert await ids(store, None) == {"n1"}

    async def test_integers_of_64_bits(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1", "low": -(2**63), "high": 2**63 - 1})
        assert await ids(store, {"low": -(2**63), "high": 2**63 - 1}) == {"n1"}
        with pytest.raises(InvalidInput):
            await put(store, {"id": "n2", "high": 2**63})

    @pytest.mark.parametrize("id", [None, "", 1, "\ud800"])
    async def test_an_id_is_a_text(self, store: DocumentStore, id: Any) -> None:
        with pytest.raises(InvalidInput) as caught:
            await put(store, {"id": id})
        assert caught.value.field == "id"

    async def test_a_document_is_bounded(self, store: DocumentStore) -> None:
        for large in ({"text": "x" * 17_000_000}, {"text": "\U0001f600" * 4_200_000}, {"list": [1] * 1_300_000}):
            with pytest.raises(PayloadTooLarge):
                await put(store, {"id": "n1", **large})
        await put(store, {"id": "n1", "text": "x" * 16_000_000})
        with pytest.raises(PayloadTooLarge):
            await store.update(RED, NOTES, "n1", {"list": [1] * 1_300_000})
        with pytest.raises(PayloadTooLarge):
            await store.update(RED, NOTES, "n1", {"more": "x" * 2_000_000})
        assert (await store.get(RED, NOTES, "n1") or {}).keys() == {"id", "text", "project"}


class TestTotals:
    @pytest.fixture(autouse=True)
    async def usage(self, store: DocumentStore) -> None:
        await put(
            store,
            {"id": "1", "model": "a", "ok": True, "tokens": 10, "cost": 0.5},
            {"id": "2", "model": "a", "ok": True, "tokens": 5, "cost": 0.25},
            {"id": "3", "model": "a", "ok": False, "tokens": 1},
            {"id": "4", "model": "b", "ok": True, "tokens": None, "cost": None},
            {"id": "5", "cost": 1},
            {"id": "6", "model": None, "tokens": 2**40},
        )
        await put(store, {"id": "1", "model": "a", "tokens": 1000}, scope=BLUE)

    async def test_of_everything(self, store: DocumentStore) -> None:
        assert await store.totals(RED, NOTES, None, group_by=[], sums=["tokens", "cost"]) == [
            {"count": 6, "tokens": 16 + 2**40, "cost": 1.75}
        ]

    async def test_of_nothing(self, store: DocumentStore) -> None:
        nothing = {"model": "none"}
        assert await store.totals(RED, NOTES, nothing, group_by=[], sums=["cost"]) == [{"count": 0, "cost": 0}]
        assert await store.totals(RED, NOTES, nothing, group_by=["model"], sums=["cost"]) == []

    async def test_by_a_field(self, store: DocumentStore) -> None:
        assert await store.totals(RED, NOTES, None, group_by=["model"], sums=["tokens"]) == [
            {"model": None, "count": 2, "tokens": 2**40},
            {"model": "a", "count": 3, "tokens": 16},
            {"model": "b", "count": 1, "tokens": 0},
        ]

    async def test_by_two_fields_with_booleans(self, store: DocumentStore) -> None:
        rows = await store.totals(RED, NOTES, {"model": "a"}, group_by=["model", "ok"], sums=["cost"])
        assert rows == [
            {"model": "a", "ok": False, "count": 1, "cost": 0},
            {"model": "a", "ok": True, "count": 2, "cost": 0.75},
        ]
        assert rows[0]["ok"] is False
        assert [row["ok"] for row in await store.totals(RED, NOTES, None, group_by=["ok"], sums=[])] == [
            None,
            False,
            True,
        ]

    async def test_at_most_ten_thousand_rows(self, store: DocumentStore) -> None:
        await store.insert_many(RED, NOTES, [{"id": f"n{i}", "model": f"m{i:05}"} for i in range(10_050)])
        rows = await store.totals(RED, NOTES, None, group_by=["model"], sums=[])
        assert len(rows) == 10_000
        assert [row["model"] for row in rows[:3]] == [None, "a", "b"]

    @pytest.mark.parametrize(("group_by", "sums"), [(["a"], ["a"]), (["count"], []), (["a", "a"], []), ([], ["count"])])
    async def test_names_that_would_hide_each_other(
        self, store: DocumentStore, group_by: list[str], sums: list[str]
    ) -> None:
        with pytest.raises(ValueError):
            await store.totals(RED, NOTES, None, group_by=group_by, sums=sums)

    @pytest.mark.parametrize(
        ("group_by", "sums"),
        [(["cost"], []), (["createdAt"], []), (["deep"], []), (["v"], []), ([], ["text"]), ([], ["v"])],
    )
    async def test_fields_of_other_types(self, store: DocumentStore, group_by: list[str], sums: list[str]) -> None:
        with pytest.raises(TypeError):
            await store.totals(RED, NOTES, None, group_by=group_by, sums=sums)


class TestSeveralStores:
    async def test_two_at_once_lose_nothing(self, backend: Backend, store: DocumentStore) -> None:
        other = backend.open(SCHEMA)
        stores = [store, other]
        await asyncio.gather(*(stores[i % 2].insert(RED, NOTES, {"id": f"n{i}"}) for i in range(100)))
        assert await store.count(RED, NOTES) == 100 == await other.count(RED, NOTES)
        wins = await asyncio.gather(
            *(stores[i % 2].insert(RED, NOTES, {"id": f"k{i}", "key": "k"}) for i in range(20)), return_exceptions=True
        )
        assert wins.count(None) == 1
        await other.close()

    async def test_what_is_closed_and_opened_again_is_all_there(self, backend: Backend, store: DocumentStore) -> None:
        await put(store, {"id": "n1"})
        await store.close()
        again = backend.open(SCHEMA)
        assert await again.get(RED, NOTES, "n1") is not None
        await again.close()


class TestMigrations:
    """Two real steps: names become lower-case keys, then the names go."""

    def plan(self, *, broken: bool = False, ran: list[str] | None = None) -> Schema:
        ran = [] if ran is None else ran

        async def add_key(store: DocumentStore, scope: Main | Tenant) -> None:
            ran.append("add_key")
            for note in await self.notes(store):
                await store.update(Project(ACME, note["project"]), NOTES, note["id"], {"key": note["name"].lower()})

        async def drop_name(store: DocumentStore, scope: Main | Tenant) -> None:
            ran.append("drop_name")
            for note in await self.notes(store):
                await store.update(Project(ACME, note["project"]), NOTES, note["id"], {"name": None})
                if broken:
                    raise RuntimeError("the machine stops here")

        steps = (Migration(1, "notes get a key", add_key), Migration(2, "names go", drop_name))
        return Schema([USERS, NOTES], Migrations("notes", tenant=steps))

    async def notes(self, store: DocumentStore) -> list[Document]:
        notes = (await store.find(EVERY, NOTES, order=Order("id"))).items
        return [note for note in notes if "name" in note]

    @pytest.fixture(autouse=True)
    async def old(self, store: DocumentStore) -> None:
        await put(store, {"id": "n1", "name": "One"}, {"id": "n2", "name": "Two"})
        await put(store, {"id": "n1", "name": "One"}, scope=BLUE)

    async def test_runs_once_in_order(self, backend: Backend, store: DocumentStore) -> None:
        ran: list[str] = []
        for _ in range(2):
            migrating = backend.open(self.plan(ran=ran))
            await migrating.count(RED, NOTES)
            await migrating.close()
        assert ran == ["add_key", "drop_name"]
        assert await store.get(BLUE, NOTES, "n1") == {"id": "n1", "key": "one", "project": "blue"}
        assert await store.find_one(RED, NOTES, {"key": "two"}) == {"id": "n2", "key": "two", "project": "red"}

    async def test_goes_on_with_the_step_that_failed(self, backend: Backend, store: DocumentStore) -> None:
        ran: list[str] = []
        failing = backend.open(self.plan(broken=True, ran=ran))
        with pytest.raises(RuntimeError):
            await failing.count(RED, NOTES)
        await failing.close()
        again = backend.open(self.plan(ran=ran))
        await again.count(RED, NOTES)
        await again.close()
        assert ran == ["add_key", "drop_name", "drop_name"]
        assert await store.get(RED, NOTES, "n1") == {"id": "n1", "key": "one", "project": "red"}
        assert await self.notes(store) == []

    async def test_several_at_once_run_each_step_once(self, backend: Backend) -> None:
        ran: list[str] = []
        stores = [backend.open(self.plan(ran=ran)) for _ in range(4)]
        await asyncio.gather(*(each.count(RED, NOTES) for each in stores for _ in range(3)))
        await asyncio.gather(*(each.close() for each in stores))
        assert ran == ["add_key", "drop_name"]

    async def test_owners_have_versions_of_their_own(self, backend: Backend) -> None:
        ran: list[str] = []
        mine = self.plan(ran=ran)
        for plan in (mine, Schema([NOTES], Migrations("others", tenant=mine.migrations.tenant))):
            opened = backend.open(plan)
            await opened.count(RED, NOTES)
            await opened.close()
        assert ran == ["add_key", "drop_name"] * 2

    async def test_a_new_tenant_has_them_all(self, backend: Backend) -> None:
        opened = backend.open(self.plan())
        await opened.create_tenant(Tenant("new"))
        await opened.insert(Project(Tenant("new"), "p"), NOTES, {"id": "n1", "name": "Kept"})
        assert (await opened.get(Project(Tenant("new"), "p"), NOTES, "n1") or {})["name"] == "Kept"
        await opened.close()

    def test_versions_are_numbered_in_order(self) -> None:
        async def nothing(store: DocumentStore, scope: Main | Tenant) -> None: ...

        with pytest.raises(ValueError):
            Migrations("x", main=(Migration(2, "second", nothing), Migration(1, "first", nothing)))
