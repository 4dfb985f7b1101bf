"""References between records, of which one is deleted while the other is written."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from core.errors import Conflict, NotFound, Unavailable
from core.storage.ports import Collection, Level
from core.storage.references import Closable, delete_unreferenced, referring
from core.storage.table import Table
from core.tenancy import Project, Tenant
from tests.support.stores import MemoryStore

PROJECT = Project(Tenant("acme"), "p1")
PARENTS = Collection("parents", Level.PROJECT)


class Parent(Closable, frozen=True):
    id: str


class Family:
    """A parent, and its children as they come."""

    def __init__(self) -> None:
        self.store = MemoryStore(PARENTS)
        self.parents = Table(self.store, PARENTS, Parent)
        self.children = 0
        self.counts = 0
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        """Happens once, after the children have been counted."""

    async def count(self) -> int:
        self.counts += 1
        counted, meanwhile, self.meanwhile = self.children, self.meanwhile, None
        await asyncio.sleep(0)
        if meanwhile is not None:
            await meanwhile()
        return counted

    async def delete(self) -> int:
        return await delete_unreferenced(self.parents, PROJECT, "p", self.count)

    async def reopen(self) -> None:
        await self.store.update(PROJECT, PARENTS, "p", {"closing": None})
        self.children = 1  # one that has looked, and seen that the parent is open

    async def there(self) -> bool:
        return await self.store.get(PROJECT, PARENTS, "p") is not None


@pytest.fixture
async def family() -> Family:
    made = Family()
    await made.store.insert(PROJECT, PARENTS, {"id": "p"})
    return made


async def test_what_is_unused_goes(family: Family) -> None:
    assert await family.delete() == 0
    assert not await family.there()
    assert await family.delete() == 0


async def test_what_is_used_stays_and_is_open_again(family: Family) -> None:
    family.children = 3
    assert await family.delete() == 3
    assert "closing" not in (await family.store.get(PROJECT, PARENTS, "p") or {"closing": "gone"})


async def test_what_cannot_be_counted_is_open_again(family: Family) -> None:
    """It took no new references until somebody tried to delete it once more."""

    async def away() -> None:
        raise Unavailable("Away.")

    family.meanwhile = away
    with pytest.raises(Unavailable):
        await family.delete()
    assert "closing" not in (await family.store.get(PROJECT, PARENTS, "p") or {"closing": "gone"})


async def test_what_was_opened_again_meanwhile_is_counted_again(family: Family) -> None:
    """A change of a provider opens it. It was deleted all the same, from under an index that had begun in it."""
    family.meanwhile = family.reopen
    assert await family.delete() == 1
    assert await family.there()
    assert family.counts == 2


async def test_a_deletion_that_gives_up_does_not_open_for_another_one(family: Family) -> None:
    family.children = 1

    async def other_one_finds_none() -> None:
        family.children = 0
        assert await family.delete() == 0

    family.meanwhile = other_one_finds_none
    assert await family.delete() == 1
    assert not await family.there()


async def test_of_many_at_once_none_fails(family: Family) -> None:
    assert await asyncio.gather(*(family.delete() for _ in range(5))) == [0] * 5
    assert not await family.there()


async def test_it_does_not_try_for_ever(family: Family) -> None:
    async def reopen_each_time() -> int:
        await family.store.update(PROJECT, PARENTS, "p", {"closing": None})
        return 0

    with pytest.raises(Conflict):
        await delete_unreferenced(family.parents, PROJECT, "p", reopen_each_time)
    assert await family.there()


class Child:
    """A record that refers to the parent, and what becomes of it."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.did: list[str] = []
        self.undo_fails = False
        self.held: asyncio.Event | None = None

    async def write(self) -> str:
        self.did.append("written")
        self.family.children += 1
        return "child"

    async def check(self, written: str) -> None:
        assert written == "child"
        if self.held is not None:
            self.held.set()
            await asyncio.Event().wait()
        parent = await self.family.parents.get(PROJECT, "p")
        if parent is None or parent.closing:
            raise NotFound("The parent is being deleted.")

    async def undo(self, written: str) -> None:
        assert written == "child"
        if self.undo_fails:
            raise Unavailable("away")
        self.did.append("taken back")
        self.family.children -= 1

    async def refer(self) -> str:
        return await referring(self.write, check=self.check, undo=self.undo)


async def test_a_reference_to_what_is_there_stays(family: Family) -> None:
    child = Child(family)
    assert await child.refer() == "child"
    assert child.did == ["written"]
    assert await family.delete() == 1


async def test_a_reference_to_what_is_being_deleted_is_taken_back(family: Family) -> None:
    child = Child(family)

    async def refer() -> None:
        with pytest.raises(NotFound):
            await child.refer()

    family.meanwhile = refer  # after the children were counted
    assert await family.delete() == 0
    assert child.did == ["written", "taken back"]
    assert (family.children, await family.there()) == (0, False)


async def test_of_a_deletion_and_a_reference_at_the_same_time_one_gives_way(family: Family) -> None:
    for turns in range(12):
        await family.store.insert_many(PROJECT, PARENTS, [{"id": "p"}])
        family.children = 0
        child = Child(family)
        deletion = asyncio.create_task(family.delete())
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.gather(asyncio.create_task(child.refer()), return_exceptions=True)
        await deletion
        assert (family.children == 1) is await family.there()


async def test_a_caller_that_is_cancelled_leaves_no_unchecked_reference(family: Family) -> None:
    """Its client went away between the write and the look, and the reference stayed."""
    child = Child(family)
    child.held = asyncio.Event()
    call = asyncio.create_task(child.refer())
    await child.held.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert child.did == ["written", "taken back"]


async def test_the_reason_is_told_where_it_cannot_be_taken_back(family: Family) -> None:
    child = Child(family)
    child.undo_fails = True
    await family.parents.update(PROJECT, "p", closing="now")
    with pytest.raises(NotFound), capture_logs() as told:
        await child.refer()
    assert [each["event"] for each in told] == ["a record refers to one that is being deleted"]
