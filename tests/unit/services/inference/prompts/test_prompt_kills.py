"""Prompts whose process is killed at some write: whole before and after, and nothing is left of a deleted one."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

from core.errors import NotFound
from core.storage.ports import Collection, Document, Where
from core.tenancy import Scope
from services.inference.domain.prompts.comments import Comments
from services.inference.domain.prompts.prompts import PromptChanges, Prompts, Wanted
from services.inference.domain.prompts.records import Prompt
from services.inference.domain.prompts.tables import COLLECTIONS, PROMPT_COMMENTS, PROMPT_VERSIONS, PROMPTS
from tests.support.prompt_calls import NEW, PROJECT, deploy, numbers, with_versions
from tests.support.stores import MemoryStore


class Killed(Exception):
    """The process ends here."""


class MortalStore(MemoryStore):
    """Dies at the write of the number `left`, before it or right after it."""

    left = -1
    after = False

    async def _write(self, write: Any) -> Any:
        self.left -= 1
        if self.left == 0 and not self.after:
            write.close()
            raise Killed
        done = await write
        if self.left == 0:
            raise Killed
        return done

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None:
        await self._write(super().insert(scope, collection, document))

    async def insert_many(self, scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        return int(await self._write(super().insert_many(scope, collection, documents)))

    async def update(
        self,
        scope: Scope,
        collection: Collection,
        id: str,
        changes: Mapping[str, Any],
        *,
        where: Where | None = None,
    ) -> Document | None:
        updated: Document | None = await self._write(super().update(scope, collection, id, changes, where=where))
        return updated

    async def delete(self, scope: Scope, collection: Collection, id: str) -> bool:
        return bool(await self._write(super().delete(scope, collection, id)))

    async def delete_where(self, scope: Scope, collection: Collection, where: Where) -> int:
        return int(await self._write(super().delete_where(scope, collection, where)))


@pytest.fixture
def store() -> MortalStore:
    return MortalStore()


@pytest.fixture
def prompts(store: MortalStore) -> Prompts:
    return Prompts(store)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 4))
@pytest.mark.parametrize("act", ["update", "promote", "set_current"])
async def test_a_process_killed_at_any_write_leaves_the_prompt_as_it_was_or_is_to_be(
    store: MortalStore, prompts: Prompts, act: str, at: int, after: bool
) -> None:
    before = await with_versions(prompts, 2)
    first = (await prompts.versions(PROJECT, "hello"))[1][1]

    async def change() -> Prompt:
        if act == "update":
            return await prompts.update(PROJECT, "hello", PromptChanges(template="new"), by="me")
        if act == "promote":
            return await deploy(prompts, "promote", before.current.id)
        return await prompts.set_current(PROJECT, "hello", first.id)

    store.left, store.after = at, after
    with suppress(Killed):
        await change()
    store.left = -1
    left = await prompts.get(PROJECT, "hello")
    assert left.revision - before.revision == (left != before)
    assert await numbers(prompts) == list(range(left.last_number, 0, -1))
    done = await change()
    assert await numbers(prompts) == list(range(done.last_number, 0, -1))
    for number in range(1, done.last_number + 1):
        assert (await prompts.resolve(PROJECT, "hello", Wanted(number)))[1].number == number


@pytest.mark.parametrize("again", ["delete", "create"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 5))
async def test_a_deletion_that_was_killed_is_completed(
    store: MortalStore, prompts: Prompts, at: int, after: bool, again: str
) -> None:
    """Its texts were left in the store for good."""
    old = await with_versions(prompts, 3)
    await Comments(store, prompts).create(PROJECT, "hello", "well done", "", by="me")
    store.left, store.after = at, after
    with pytest.raises(Killed):
        await prompts.delete(PROJECT, "hello")
    store.left = -1
    if at > 1 or after:
        with pytest.raises(NotFound):
            await prompts.get(PROJECT, "hello")
        assert (await prompts.list(PROJECT))[0] == []
    if again == "delete":
        if (at, after) != (4, True):
            await prompts.delete(PROJECT, "hello")
        assert await store.count(PROJECT, PROMPTS) == 0
    elif at > 1 or after:
        new = await prompts.create(PROJECT, NEW, by="me")
        assert new.id != old.id
        assert await numbers(prompts) == [1]
        assert await store.count(PROJECT, PROMPTS) == 1
    if again == "delete" or at > 1 or after:
        assert await store.count(PROJECT, PROMPT_VERSIONS) == 0
        assert await store.count(PROJECT, PROMPT_COMMENTS) == 0


async def test_a_change_of_a_prompt_that_is_being_deleted_leaves_nothing(store: MortalStore, prompts: Prompts) -> None:
    """The change has read the prompt when the deletion begins, and copies its version when that is done."""
    await prompts.create(PROJECT, NEW, by="me")
    inserting = store.insert_many

    async def slow(scope: Scope, collection: Collection, documents: Sequence[Document]) -> int:
        await prompts.delete(PROJECT, "hello")
        return await inserting(scope, collection, documents)

    store.insert_many = slow  # type: ignore[method-assign]
    with pytest.raises(NotFound):
        await prompts.update(PROJECT, "hello", PromptChanges(template="x"), by="me")
    assert [await store.count(PROJECT, each) for each in COLLECTIONS] == [0, 0, 0]
