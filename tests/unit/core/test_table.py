"""Records and documents are two spellings of the same."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import pytest

from core.storage.ports import JSON, TEXT, TIME, Collection, Level, Order
from core.storage.table import Record, Table, from_document, to_document
from core.tenancy import Project, Tenant
from tests.support.stores import MemoryStore

ACME = Project(Tenant("acme"), "p1")
LABELS = Collection("labels", Level.PROJECT, {"ownerId": TEXT, "createdAt": TIME, "freeJson": JSON})


class Size(msgspec.Struct, frozen=True):
    in_bytes: int = 0


class Label(Record, frozen=True):
    hidden: ClassVar[frozenset[str]] = frozenset({"secret"})

    id: str
    owner_id: str
    created_at: float = 0.0
    tags: tuple[str, ...] = ()
    size: Size = Size()
    free_json: Mapping[str, Any] = {}
    secret: str = ""
    ended_at: float | None = None


LABEL = Label("n1", "u1", 1.5, ("a",), Size(5), {"$a.b": [1, 1.0, None]}, "hush")


@pytest.fixture
def labels() -> Table[Label]:
    return Table(MemoryStore(LABELS), LABELS, Label)


def test_a_document_spells_fields_as_json_does_and_leaves_out_none() -> None:
    assert to_document(LABEL) == {
        "id": "n1",
        "ownerId": "u1",
        "createdAt": 1.5,
        "tags": ("a",),
        "size": {"in_bytes": 5},
        "freeJson": {"$a.b": [1, 1.0, None]},
        "secret": "hush",
    }


def test_documents_of_other_versions_are_read() -> None:
    assert from_document(Label, {"id": "n1", "ownerId": "u1"}) == Label("n1", "u1")
    assert from_document(Label, {**to_document(LABEL), "later": 1, "endedAt": None, "project": "p1"}) == LABEL
    assert from_document(Label, {"id": "n1", "ownerId": "u1", "createdAt": 5}).created_at == 5.0


def test_a_secret_is_not_shown() -> None:
    assert "hush" not in repr(LABEL)
    assert "u1" in repr(LABEL)


async def test_a_record_survives_the_store(labels: Table[Label]) -> None:
    await labels.insert(ACME, LABEL)
    assert await labels.get(ACME, "n1") == LABEL
    assert repr((await labels.get(ACME, "n1") or LABEL).free_json) == repr(LABEL.free_json)
    assert await labels.find_one(ACME, {"ownerId": "u1"}) == LABEL
    assert await labels.get(ACME, "") is None


async def test_changes_are_spelt_as_the_record_does(labels: Table[Label]) -> None:
    await labels.insert(ACME, LABEL)
    changed = await labels.update(ACME, "n1", where={"ownerId": "u1"}, owner_id="u2", ended_at=2.0, size=Size(6))
    assert changed == msgspec.structs.replace(LABEL, owner_id="u2", ended_at=2.0, size=Size(6))
    assert await labels.update(ACME, "n1", where={"ownerId": "u1"}, owner_id="u3") is None
    assert (await labels.update(ACME, "n1", ended_at=None) or LABEL).ended_at is None
    with pytest.raises(TypeError, match="no field ownerId"):
        await labels.update(ACME, "n1", ownerId="u3")


async def test_many_are_read_in_pages_and_one_by_one(labels: Table[Label]) -> None:
    assert await labels.insert_many(ACME, [Label(f"n{at}", "u1", at) for at in range(60)]) == 60
    page, token = await labels.page(ACME)
    assert (len(page), page[0].id) == (50, "n59")
    rest, end = await labels.page(ACME, page_token=token)
    assert (len(rest), end) == (10, "")
    assert [each.id async for each in labels.scan(ACME)] == [f"n{at}" for at in range(60)]
    assert [each.id async for each in labels.scan(ACME, {"id": "n7"}, order=Order("id"))] == ["n7"]
    assert await labels.count(ACME) == 60
    assert await labels.delete(ACME, "n0")
    assert await labels.delete_where(ACME, {"ownerId": "u1"}) == 59
