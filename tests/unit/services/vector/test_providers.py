"""Vector providers."""

import asyncio
from typing import Any

import pytest

from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound
from core.providers.records import NewProvider, Provider, ProviderChanges
from core.tenancy import Project, Tenant
from services.vector.domain.tables import PROVIDERS
from tests.unit.services.vector.conftest import ACME, House, point

OTHERS = [Project(Tenant("acme"), "p2"), Project(Tenant("globex"), "p1")]


def remote(**changes: Any) -> NewProvider:
    whole: dict[str, Any] = {"settings": {"url": "https://qdrant.example"}, **changes}
    return NewProvider(driver="remote", label="My Engine", **whole)


async def delete(house: House, key: str) -> None:
    await house.providers.delete(ACME, key, house.indexes.count_in)


async def test_every_project_has_the_default_without_set_up(house: House) -> None:
    for project in (ACME, *OTHERS):
        providers, _ = await house.providers.list(project)
        assert [(each.key, each.driver, each.status) for each in providers] == [("default", "embedded", "active")]
    ids = {(await house.providers.get(project, "default")).id for project in (ACME, *OTHERS)}
    assert len(ids) == 3


async def test_the_default_is_made_once_however_many_ask(house: House) -> None:
    found = await asyncio.gather(*(house.providers.get(ACME, "default") for _ in range(20)))
    assert len({provider.id for provider in found}) == 1


async def test_the_default_stays_and_its_key_is_taken(house: House) -> None:
    with pytest.raises(FailedPrecondition):
        await delete(house, "default")
    with pytest.raises(Conflict):
        await house.providers.create(Project(Tenant("globex"), "p1"), remote(key="default"))


async def test_a_provider_is_found_by_key_and_id_in_its_project_alone(house: House) -> None:
    made = await house.providers.create(ACME, remote())
    assert made.key == "my-engine"
    assert (await house.providers.create(ACME, remote())).key == "my-engine-2"
    assert await house.providers.get(ACME, made.id) == await house.providers.get(ACME, "my-engine") == made
    for project in OTHERS:
        for key in (made.id, made.key, ""):
            with pytest.raises(NotFound):
                await house.providers.get(project, key)


async def test_credentials_go_in_sealed_and_come_out_for_the_engine_alone(house: House) -> None:
    made = await house.providers.create(ACME, remote(credentials={"apiKey": "hunter2"}))
    stored = await house.store.get(ACME, PROVIDERS, made.id)
    assert "hunter2" not in f"{stored} {made}"
    assert house.providers.credentials(ACME, made) == {"apiKey": "hunter2"}
    await house.engines.use(ACME, made)
    assert house.opened[-1] == ({"apiKey": "hunter2"}, {"url": "https://qdrant.example"})


async def test_an_update_merges_credentials_and_an_empty_value_removes_one(house: House) -> None:
    made = await house.providers.create(ACME, remote(credentials={"apiKey": "one"}))
    kept = await house.providers.update(ACME, made.key, ProviderChanges(label="New"))
    assert (kept.label, house.providers.credentials(ACME, kept)) == ("New", {"apiKey": "one"})
    same = await house.providers.update(ACME, made.key, ProviderChanges(settings={"url": "https://qdrant.example"}))
    assert house.providers.credentials(ACME, same) == {"apiKey": "one"}
    gone = await house.providers.update(ACME, made.key, ProviderChanges(credentials={"apiKey": ""}))
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
async def test_bad_input_names_its_field(house: House, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await house.providers.create(ACME, remote(**changes))
    assert caught.value.field == field


async def test_an_update_is_checked_like_a_creation(house: House) -> None:
    made = await house.providers.create(ACME, remote())
    for settings in ({}, {"url": "http://169.254.169.254"}):
        with pytest.raises(InvalidInput):
            await house.providers.update(ACME, made.key, ProviderChanges(settings=settings))


async def test_an_address_is_checked_again_when_an_engine_is_opened(house: House) -> None:
    """A name that was harmless when the provider was made may lead elsewhere later."""
    made = await house.providers.create(ACME, remote())
    await house.store.update(ACME, PROVIDERS, made.id, {"settings": {"url": "http://169.254.169.254"}})
    with pytest.raises(InvalidInput):
        await house.engines.use(ACME, await house.providers.get(ACME, made.key))


async def test_a_disabled_provider_serves_nothing_and_the_change_is_seen_at_once(house: House) -> None:
    await house.index()
    await house.upsert(point("a"))
    await house.providers.update(ACME, "default", ProviderChanges(status="disabled"))
    with pytest.raises(FailedPrecondition):
        await house.upsert(point("b"))
    with pytest.raises(FailedPrecondition):
        await house.index("more")
    await house.providers.update(ACME, "default", ProviderChanges(status="active"))
    await house.upsert(point("b"))


async def test_a_provider_with_indexes_is_not_deleted_and_goes_on_working(house: House) -> None:
    made = await house.providers.create(ACME, remote())
    index = await house.index(provider=made.key)
    with pytest.raises(FailedPrecondition):
        await delete(house, made.key)
    await house.index("more", provider=made.key)
    await house.indexes.delete(ACME, made.key, index.key)
    await house.indexes.delete(ACME, made.key, "more")
    await delete(house, made.key)
    with pytest.raises(NotFound):
        await house.providers.get(ACME, made.key)


async def test_no_index_begins_in_a_provider_that_is_being_deleted(house: House) -> None:
    """Counting indexes and removing the provider are two steps, between which one could begin."""
    made = await house.providers.create(ACME, remote())

    async def race(project: Project, provider: Provider) -> int:
        counted = await house.indexes.count_in(project, provider)
        with pytest.raises(NotFound):
            await house.index(provider=made.key)
        return counted

    await house.providers.delete(ACME, made.key, race)
    assert house.remote.specs == {}


async def test_a_connection_is_kept_until_the_provider_changes(house: House) -> None:
    made: Provider = await house.providers.create(ACME, remote())
    before = len(house.opened)
    for _ in range(3):
        await house.engines.use(ACME, made)
    assert len(house.opened) == before + 1
    changed = await house.providers.update(ACME, made.key, ProviderChanges(settings={"url": "https://b.example"}))
    await house.engines.use(ACME, changed)
    assert house.opened[-1][1] == {"url": "https://b.example"}
