"""Deleting what is not used, while others come to use it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.errors import Conflict
from core.storage.ports import Collection, Level
from core.storage.unused import delete_unused
from core.tenancy import Project, Tenant
from tests.support.stores import MemoryStore

PROJECT = Project(Tenant("acme"), "p1")
PARENTS = Collection("parents", Level.PROJECT)


class Family:
    """A parent, and its children as they come."""

    def __init__(self) -> None:
        self.store = MemoryStore(PARENTS)
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
        return await delete_unused(self.store, PROJECT, PARENTS, "p", self.count)

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
        await delete_unused(family.store, PROJECT, PARENTS, "p", reopen_each_time)
    assert await family.there()
