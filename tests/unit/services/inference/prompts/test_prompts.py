"""Prompts: versions, resolution, and what is left after any accident."""

import asyncio
from typing import Any

import pytest

from core.errors import Conflict, InvalidInput, NotFound, PorticoError
from core.storage.closed_projects import close_project
from core.tenancy import Project, Tenant
from services.inference.domain.prompts.comments import Comments
from services.inference.domain.prompts.prompts import NewPrompt, PromptChanges, Prompts, Wanted
from services.inference.domain.prompts.tables import COLLECTIONS, PROMPT_COMMENTS, PROMPTS
from tests.support.prompt_calls import NEW, PROJECT, deploy, numbers, text, with_versions
from tests.support.stores import MemoryStore

OTHERS = [Project(Tenant("acme"), "p2"), Project(Tenant("globex"), "p1")]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def prompts(store: MemoryStore) -> Prompts:
    return Prompts(store)


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
    store: MemoryStore, prompts: Prompts, changes: dict[str, Any], field: str
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


async def test_nothing_begins_in_a_deleted_project(store: MemoryStore, prompts: Prompts) -> None:
    await close_project(store, PROJECT)
    with pytest.raises(NotFound) as caught:
        await prompts.create(PROJECT, NEW, by="me")
    assert caught.value.reason == "PROJECT_DELETED"
    assert await store.count(PROJECT, PROMPTS) == 0


class TestComments:
    async def test_they_are_about_a_version(self, store: MemoryStore, prompts: Prompts) -> None:
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

    async def test_one_of_another_prompt_stays(self, store: MemoryStore, prompts: Prompts) -> None:
        comments = Comments(store, prompts)
        await prompts.create(PROJECT, NEW, by="me")
        await prompts.create(PROJECT, NewPrompt("Other", "t", key="other"), by="me")
        comment = await comments.create(PROJECT, "other", "mine", "", by="me")
        with pytest.raises(NotFound):
            await comments.delete(PROJECT, "hello", comment.id)
        assert await store.count(PROJECT, PROMPT_COMMENTS) == 1
