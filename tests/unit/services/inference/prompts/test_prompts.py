"""Prompts: versions, resolution, and what is left after any accident."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

from core.errors import Conflict, InvalidInput, NotFound, PorticoError
from core.storage.closed_projects import close_project
from core.storage.ports import Collection, Document, Where
from core.tenancy import Project, Scope, Tenant
from services.inference.domain.prompts.comments import Comments
from services.inference.domain.prompts.prompts import NewPrompt, PromptChanges, Prompts, Wanted
from services.inference.domain.prompts.records import Prompt
from services.inference.domain.prompts.tables import COLLECTIONS, PROMPT_COMMENTS, PROMPT_VERSIONS, PROMPTS
from tests.support.stores import MemoryStore

PROJECT = Project(Tenant("acme"), "p1")
OTHERS = [Project(Tenant("acme"), "p2"), Project(Tenant("globex"), "p1")]
NEW = NewPrompt(name="Greeting", template="Hello {{name}}", key="hello")


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


async def with_versions(prompts: Prompts, count: int) -> Prompt:
    prompt = await prompts.create(PROJECT, NEW, by="me")
    for number in range(2, count + 1):
        prompt = await prompts.update(PROJECT, "hello", PromptChanges(template=f"v{number}"), by="me")
    return prompt


async def numbers(prompts: Prompts, size: int = 0, token: str = "") -> list[int]:
    return [each.number for each in (await prompts.versions(PROJECT, "hello", size=size, token=token))[1]]


async def text(prompts: Prompts, number: int | None = None, environment: str = "", project: Project = PROJECT) -> str:
    return (await prompts.render(project, "hello", Wanted(number, environment), {"name": "Ada"})).text


async def deploy(prompts: Prompts, action: str, version_id: str = "", environment: str = "prod") -> Prompt:
    return await prompts.deploy(PROJECT, "hello", action, environment, version_id, "", by="me")


async def test_each_change_is_a_version(prompts: Prompts) -> None:
    created = await prompts.create(PROJECT, NEW, by="me")
    assert await numbers(prompts) == [1]
    updated = await prompts.update(PROJECT, "hello", PromptChanges(name="Bye", comment="why"), by="you")
    assert (updated.current.number, updated.current.name, updated.current.template) == (2, "Bye", NEW.template)
    assert (updated.current.comment, updated.current.created_by) == ("why", "you")
    assert await numbers(prompts) == [2, 1]
    assert (await prompts.get(PROJECT, created.id)).id == created.id
    _, first = await prompts.resolve(PROJECT, "hello", Wanted(1))
    assert first == created.current


async def test_a_number_is_never_used_twice(prompts: Prompts) -> None:
    """An earlier version was made current, and the next change got a number that there was."""
    first = (await prompts.create(PROJECT, NEW, by="me")).current
    await prompts.update(PROJECT, "hello", PromptChanges(template="two"), by="me")
    back = await prompts.set_current(PROJECT, "hello", first.id)
    assert back.current == first
    assert await numbers(prompts) == [2, 1]
    third = await prompts.update(PROJECT, "hello", PromptChanges(description="d"), by="me")
    assert (third.current.number, third.current.template) == (3, NEW.template)
    assert await numbers(prompts) == [3, 2, 1]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
async def test_pages_of_versions(prompts: Prompts, size: int) -> None:
    await with_versions(prompts, 7)
    found, token = [], ""
    while True:
        _, versions, token = await prompts.versions(PROJECT, "hello", size=size, token=token)
        assert len(versions) <= size
        found += [each.number for each in versions]
        if not token:
            break
    assert found == [7, 6, 5, 4, 3, 2, 1]


async def test_resolution(prompts: Prompts) -> None:
    """An unknown version and an environment without one were served the current text, silently."""
    await with_versions(prompts, 3)
    one = (await prompts.resolve(PROJECT, "hello", Wanted(1)))[1]
    assert [await text(prompts), await text(prompts, 2), await text(prompts, 1)] == ["v3", "v2", "Hello Ada"]
    for wanted, field, reason in [
        (Wanted(4), "version", "VERSION_NOT_FOUND"),
        (Wanted(environment="prod"), "environment", "NOT_DEPLOYED"),
    ]:
        with pytest.raises(NotFound) as caught:
            await prompts.resolve(PROJECT, "hello", wanted)
        assert (caught.value.field, caught.value.reason) == (field, reason)
    await deploy(prompts, "plan", one.id)
    with pytest.raises(NotFound):
        await text(prompts, environment="prod")
    await deploy(prompts, "activate")
    assert await text(prompts, environment="prod") == "Hello Ada"
    assert await text(prompts, 2, "prod") == "v2"
    with pytest.raises(NotFound):
        await text(prompts, environment="staging")


async def test_every_active_version_can_be_rolled_back_to(prompts: Prompts) -> None:
    await with_versions(prompts, 2)
    versions = (await prompts.versions(PROJECT, "hello"))[1]
    for version in reversed(versions):
        await deploy(prompts, "promote", version.id)
    assert await text(prompts, environment="prod") == "v2"
    await deploy(prompts, "rollback")
    assert await text(prompts, environment="prod") == "Hello Ada"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"key": "Not Ok"}, "key"),
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"template": ""}, "template"),
        ({"template": " \n"}, "template"),
        ({"template": "{{#a}}"}, "template"),
        ({"template": "a\0"}, "template"),
        ({"description": "x" * 2001}, "description"),
        ({"metadata": {"a": "x" * 20_000}}, "metadata"),
        ({"comment": "x" * 2001}, "versionComment"),
    ],
)
async def test_bad_input_names_its_field_and_leaves_nothing(
    store: MortalStore, prompts: Prompts, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await prompts.create(PROJECT, NewPrompt(**{"name": "N", "template": "t", **changes}), by="me")
    assert caught.value.field == field
    assert [await store.count(PROJECT, each) for each in COLLECTIONS] == [0, 0, 0]
    if field == "key":
        return
    before = await prompts.create(PROJECT, NEW, by="me")
    with pytest.raises(InvalidInput) as caught:
        await prompts.update(PROJECT, "hello", PromptChanges(**changes), by="me")
    assert caught.value.field == field
    assert await prompts.get(PROJECT, "hello") == before


@pytest.mark.parametrize(
    ("action", "environment", "version", "note", "field", "error"),
    [
        ("push", "prod", "", "", "action", InvalidInput),
        ("promote", "production", "", "", "environment", InvalidInput),
        ("promote", "prod", "", "", "versionId", InvalidInput),
        ("promote", "prod", "pmv_none", "", "versionId", NotFound),
        ("promote", "prod", "pmv_none", "x" * 501, "note", InvalidInput),
    ],
)
async def test_a_bad_deployment_names_its_field(
    prompts: Prompts, action: str, environment: str, version: str, note: str, field: str, error: type[PorticoError]
) -> None:
    """Answered 500."""
    await prompts.create(PROJECT, NEW, by="me")
    with pytest.raises(error) as caught:
        await prompts.deploy(PROJECT, "hello", action, environment, version, note, by="me")
    assert caught.value.field == field


@pytest.mark.parametrize("other", OTHERS, ids=["project", "tenant"])
async def test_the_same_key_elsewhere_is_another_prompt(prompts: Prompts, other: Project) -> None:
    mine = await with_versions(prompts, 2)
    theirs = await prompts.create(other, NewPrompt(name="Theirs", template="theirs", key="hello"), by="them")
    assert await text(prompts, project=other) == "theirs"
    for id in (mine.id, "hello"):
        with pytest.raises(NotFound):
            await prompts.deploy(other, id, "promote", "prod", mine.current.id, "", by="them")
    with pytest.raises(NotFound):
        await prompts.get(other, mine.id)
    with pytest.raises(NotFound):
        await prompts.set_current(other, "hello", mine.current.id)
    with pytest.raises(NotFound):
        await prompts.resolve(other, "hello", Wanted(2))
    await prompts.delete(other, theirs.key)
    assert await prompts.get(PROJECT, "hello") == mine
    assert await numbers(prompts) == [2, 1]


async def test_a_version_of_another_prompt_is_none_of_this(prompts: Prompts) -> None:
    await prompts.create(PROJECT, NEW, by="me")
    other = await prompts.create(PROJECT, NewPrompt("Other", "t", key="other"), by="me")
    with pytest.raises(NotFound):
        await deploy(prompts, "promote", other.current.id)


async def test_keys(prompts: Prompts) -> None:
    await prompts.create(PROJECT, NEW, by="me")
    with pytest.raises(Conflict) as caught:
        await prompts.create(PROJECT, NEW, by="me")
    assert caught.value.field == "key"
    made = [await prompts.create(PROJECT, NewPrompt("Hello", "t"), by="me") for _ in range(2)]
    assert [each.key for each in made] == ["hello-2", "hello-3"]


async def test_search(prompts: Prompts) -> None:
    for name, description in [("Alpha", "first"), ("Beta", "the SECOND"), ("Ärger", "")]:
        await prompts.create(PROJECT, NewPrompt(name, "t", description=description), by="me")
    for search, found in [("", 3), ("ALPHA", 1), ("second", 1), ("ärger", 1), ("a", 3), ("none", 0)]:
        assert len((await prompts.list(PROJECT, search))[0]) == found, search
    first, token = await prompts.list(PROJECT, size=2)
    rest, end = await prompts.list(PROJECT, size=2, token=token)
    assert ([each.key for each in (*first, *rest)], end) == (["arger", "beta", "alpha"], "")


async def test_changes_at_the_same_time_are_all_made(prompts: Prompts) -> None:
    await prompts.create(PROJECT, NEW, by="me")
    await asyncio.gather(
        *(prompts.update(PROJECT, "hello", PromptChanges(template=f"t{at}"), by="me") for at in range(8))
    )
    assert await numbers(prompts) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    versions = (await prompts.versions(PROJECT, "hello"))[1]
    assert {each.template for each in versions} == {NEW.template, *(f"t{at}" for at in range(8))}
    await asyncio.gather(*(deploy(prompts, "promote", each.id, "dev") for each in versions))
    prompt = await prompts.get(PROJECT, "hello")
    assert sorted(each.version.number for each in prompt.history) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    deployment = prompt.deployments["dev"]
    assert [deployment.active, deployment.previous] == [each.version for each in prompt.history[:2]]


async def test_nothing_begins_in_a_deleted_project(store: MortalStore, prompts: Prompts) -> None:
    await close_project(store, PROJECT)
    with pytest.raises(NotFound) as caught:
        await prompts.create(PROJECT, NEW, by="me")
    assert caught.value.reason == "PROJECT_DELETED"
    assert await store.count(PROJECT, PROMPTS) == 0


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
    """What was left of it held its texts for good."""
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


class TestComments:
    async def test_they_are_about_a_version(self, store: MortalStore, prompts: Prompts) -> None:
        comments = Comments(store, prompts)
        prompt = await with_versions(prompts, 2)
        one = (await prompts.resolve(PROJECT, "hello", Wanted(1)))[1]
        await comments.create(PROJECT, "hello", "current", "", by="me")
        second = await comments.create(PROJECT, "hello", " first ", one.id, by="you")
        listed, _ = await comments.list(PROJECT, "hello")
        assert [(each.content, each.version_number) for each in listed] == [("first", 1), ("current", 2)]
        assert [each.content for each in await comments.of_versions(PROJECT, prompt, [one.id])] == ["first"]
        await comments.delete(PROJECT, "hello", second.id)
        with pytest.raises(NotFound) as caught:
            await comments.delete(PROJECT, "hello", second.id)
        assert caught.value.field == "commentId"
        with pytest.raises(InvalidInput):
            await comments.create(PROJECT, "hello", " ", "", by="me")

    async def test_one_of_another_prompt_stays(self, store: MortalStore, prompts: Prompts) -> None:
        comments = Comments(store, prompts)
        await prompts.create(PROJECT, NEW, by="me")
        await prompts.create(PROJECT, NewPrompt("Other", "t", key="other"), by="me")
        comment = await comments.create(PROJECT, "other", "mine", "", by="me")
        with pytest.raises(NotFound):
            await comments.delete(PROJECT, "hello", comment.id)
        assert await store.count(PROJECT, PROMPT_COMMENTS) == 1
