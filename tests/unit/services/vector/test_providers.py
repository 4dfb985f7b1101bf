"""Vector providers."""

import asyncio
from typing import Any

import pytest

from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound
from core.providers.records import NewProvider, Provider, ProviderChanges
from core.tenancy import Project, Tenant
from services.vector.domain.tables import PROVIDERS
from tests.unit.services.vector.conftest import ACME, Harness, point

OTHERS = [Project(Tenant("acme"), "p2"), Project(Tenant("globex"), "p1")]


def remote(**changes: Any) -> NewProvider:
    whole: dict[str, Any] = {"settings": {"url": "https://qdrant.example"}, **changes}
    return NewProvider(driver="remote", label="My Engine", **whole)


async def delete(harness: Harness, key: str) -> None:
    await harness.providers.delete(ACME, key, harness.indexes.count_in)


async def test_every_project_has_the_default_without_set_up(harness: Harness) -> None:
    for project in (ACME, *OTHERS):
        providers, _ = await harness.providers.list(project)
        assert [(each.key, each.driver, each.status) for each in providers] == [("default", "embedded", "active")]
    ids = {(await harness.providers.get(project, "default")).id for project in (ACME, *OTHERS)}
    assert len(ids) == 3


async def test_the_default_is_made_once_however_many_ask(harness: Harness) -> None:
    found = await asyncio.gather(*(harness.providers.get(ACME, "default") for _ in range(20)))
    assert len({provider.id for provider in found}) == 1


async def test_the_default_stays_and_its_key_is_taken(harness: Harness) -> None:
    with pytest.raises(FailedPrecondition):
        await delete(harness, "default")
    with pytest.raises(Conflict):
        await harness.providers.create(Project(Tenant("globex"), "p1"), remote(key="default"))


async def test_a_provider_is_found_by_key_and_id_in_its_project_alone(harness: Harness) -> None:
    made = await harness.providers.create(ACME, remote())
    assert made.key == "my-engine"
    assert (await harness.providers.create(ACME, remote())).key == "my-engine-2"
    assert await harness.providers.get(ACME, made.id) == await harness.providers.get(ACME, "my-engine") == made
    for project in OTHERS:
        for key in (made.id, made.key, ""):
            with pytest.raises(NotFound):
                await harness.providers.get(project, key)


async def test_credentials_go_in_sealed_and_come_out_for_the_engine_alone(harness: Harness) -> None:
    made = await harness.providers.create(ACME, remote(credentials={"apiKey": "hunter2"}))
    stored = await harness.store.get(ACME, PROVIDERS, made.id)
    assert "hunter2" not in f"{stored} {made}"
    assert harness.providers.credentials(ACME, made) == {"apiKey": "hunter2"}
    await harness.engines.use(ACME, made)
    assert harness.opened[-1] == ({"apiKey": "hunter2"}, {"url": "https://qdrant.example"})


async def test_an_update_merges_credentials_and_an_empty_value_removes_one(harness: Harness) -> None:
    made = await harness.providers.create(ACME, remote(credentials={"apiKey": "one"}))
    kept = await harness.providers.update(ACME, made.key, ProviderChanges(label="New"))
    assert (kept.label, harness.providers.credentials(ACME, kept)) == ("New", {"apiKey": "one"})
    same = await harness.providers.update(ACME, made.key, ProviderChanges(settings={"url": "https://qdrant.example"}))
    assert harness.providers.credentials(ACME, same) == {"apiKey": "one"}
    gone = await harness.providers.update(ACME, made.key, ProviderChanges(credentials={"apiKey": ""}))
    assert gone.sealed == ""


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"settings": {}}, "settings.url"),
        ({"settings": {"url": "nonsense"}}, "settings.url"),
        ({"settings": {"url": "http://169.254.169.254"}}, "settings.url"),
        ({"settings": {"url": "https://x", "port": 1}}, "settings.port"),
        ({"settings": {"url": ["x"]}}, "settings.url"),
        ({"credentials": {"password": "x"}}, "credentials.password"),
        ({"credentials": {"apiKey": "x" * 9000}}, "credentials.apiKey"),
        ({"key": "Not A Key"}, "key"),
        ({"key": "a" * 65}, "key"),
        ({"status": "paused"}, "status"),
        ({"description": "x" * 2001}, "description"),
        ({"metadata": {"x": "y" * 20_000}}, "metadata"),
    ],
)
async def test_bad_input_names_its_field(harness: Harness, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await harness.providers.create(ACME, remote(**changes))
    assert caught.value.field == field


async def test_an_update_is_checked_like_a_creation(harness: Harness) -> None:
    made = await harness.providers.create(ACME, remote())
    for settings in ({}, {"url": "http://169.254.169.254"}):
        with pytest.raises(InvalidInput):
            await harness.providers.update(ACME, made.key, ProviderChanges(settings=settings))


async def test_an_address_is_checked_again_when_an_engine_is_opened(harness: Harness) -> None:
    """A name that was harmless when the provider was made may lead elsewhere later."""
    made = await harness.providers.create(ACME, remote())
    await harness.store.update(ACME, PROVIDERS, made.id, {"settings": {"url": "http://169.254.169.254"}})
    with pytest.raises(InvalidInput):
        await harness.engines.use(ACME, await harness.providers.get(ACME, made.key))


async def test_a_disabled_provider_serves_nothing_and_the_change_is_seen_at_once(harness: Harness) -> None:
    await harness.index()
    await harness.upsert(point("a"))
    await harness.providers.update(ACME, "default", ProviderChanges(status="disabled"))
    with pytest.raises(FailedPrecondition):
        await harness.upsert(point("b"))
    with pytest.raises(FailedPrecondition):
        await harness.index("more")
    await harness.providers.update(ACME, "default", ProviderChanges(status="active"))
    await harness.upsert(point("b"))


async def test_a_provider_with_indexes_is_not_deleted_and_goes_on_working(harness: Harness) -> None:
    made = await harness.providers.create(ACME, remote())
    index = await harness.index(provider=made.key)
    with pytest.raises(FailedPrecondition):
        await delete(harness, made.key)
    await harness.index("more", provider=made.key)
    await harness.indexes.delete(ACME, made.key, index.key)
    await harness.indexes.delete(ACME, made.key, "more")
    await delete(harness, made.key)
    with pytest.raises(NotFound):
        await harness.providers.get(ACME, made.key)


async def test_no_index_begins_in_a_provider_that_is_being_deleted(harness: Harness) -> None:
    """The count of indexes and the removal of the provider are two steps, between which one could begin."""
    made = await harness.providers.create(ACME, remote())

    async def race(project: Project, provider: Provider) -> int:
        counted = await harness.indexes.count_in(project, provider)
        with pytest.raises(NotFound):
            await harness.index(provider=made.key)
        return counted

    await harness.providers.delete(ACME, made.key, race)
    assert harness.remote.specs == {}


async def test_a_connection_is_kept_until_the_provider_changes(harness: Harness) -> None:
    made: Provider = await harness.providers.create(ACME, remote())
    before = len(harness.opened)
    for _ in range(3):
        await harness.engines.use(ACME, made)
    assert len(harness.opened) == before + 1
    changed = await harness.providers.update(ACME, made.key, ProviderChanges(settings={"url": "https://b.example"}))
    await harness.engines.use(ACME, changed)
    assert harness.opened[-1][1] == {"url": "https://b.example"}
