"""Registration of a tenant: whole, or not at all."""

import asyncio

import pytest

from core.errors import Conflict, InvalidInput, Unauthenticated
from core.storage.ports import Collection, Document, DocumentStore
from core.tenancy import Scope, Tenant
from services.auth.domain.registration import NewTenant
from services.auth.domain.tenants import RESERVATION_SECONDS, RESERVED_SLUGS
from tests.support.stores import MemoryStore
from tests.unit.services.auth.conftest import Harness

PASSWORD = "Correct-Horse-1"
OTHER_PASSWORD = "Another-Horse-2"


def asked(email: str = "ann@example.com", password: str = PASSWORD, name: str = "Acme", slug: str = "") -> NewTenant:
    return NewTenant(email, password, "Ann", name, slug)


class Dying(MemoryStore):
    """Dies before the n-th change, and stays dead: no clean-up comes after."""

    def __init__(self, alive: DocumentStore, changes: int) -> None:
        super().__init__()
        assert isinstance(alive, MemoryStore)
        self._databases = alive._databases
        self.left = changes
        self.armed = False

    def change(self) -> None:
        self.left -= self.armed
        if self.left < 0:
            raise ConnectionError("the process is dead")

    async def create_tenant(self, tenant: Tenant) -> None:
        self.change()
        await super().create_tenant(tenant)

    async def insert(self, scope: Scope, collection: Collection, document: Document) -> None:
        self.change()
        await super().insert(scope, collection, document)

    async def update(self, *arguments: object, **named: object) -> Document | None:
        self.change()
        return await super().update(*arguments, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", range(6))
async def test_a_crash_half_way_leaves_nothing_that_works_or_blocks(harness: Harness, changes: int) -> None:
    store = Dying(harness.store, changes)
    dying = await harness.start(store)
    store.armed = True
    with pytest.raises(ConnectionError):
        await dying.domain.registration.register(asked())
    process = await harness.start()
    accounts = process.domain.accounts
    for slug in ("", "acme"):
        with pytest.raises(Unauthenticated):
            await accounts.login("ann@example.com", PASSWORD, slug)
    assert await process.domain.tenants.get("acme") is None
    harness.clock.now += RESERVATION_SECONDS + 1
    made = await process.domain.registration.register(asked("bea@example.com", OTHER_PASSWORD))
    assert (await accounts.login("bea@example.com", OTHER_PASSWORD)).user.id == made.owner.id
    users = [user.email async for user in process.domain.tables.users.scan(Tenant("acme"), {})]
    projects = [project.id async for project in process.domain.tables.projects.scan(Tenant("acme"), {})]
    assert (users, projects) == (["bea@example.com"], [made.project.id])
    assert await process.domain.tenants.of_email("ann@example.com") == []
    with pytest.raises(Unauthenticated):
        await accounts.login("ann@example.com", PASSWORD)


async def test_a_failure_without_a_crash_frees_the_slug_at_once(harness: Harness) -> None:
    class Failing(MemoryStore):
        fail = True

        async def insert(self, scope: Scope, collection: Collection, document: Document) -> None:
            if self.fail and collection.name == "users":
                raise ConnectionError("this once")
            await super().insert(scope, collection, document)

    store = Failing()
    process = await harness.start(store)
    with pytest.raises(ConnectionError):
        await process.domain.registration.register(asked())
    store.fail = False
    harness.clock.now += 0.001
    await process.domain.registration.register(asked())


async def test_a_registration_under_way_is_not_taken_over(harness: Harness) -> None:
    process = await harness.start()
    reserved = await process.domain.tenants.reserve("acme", "Acme")
    with pytest.raises(Conflict):
        await process.domain.registration.register(asked())
    harness.clock.now += RESERVATION_SECONDS + 1
    await process.domain.registration.register(asked())
    with pytest.raises(Conflict):
        await process.domain.tenants.activate(reserved, "somebody")


async def test_of_those_who_take_over_one_wins(harness: Harness) -> None:
    process = await harness.start()
    await process.domain.tenants.reserve("acme", "Acme")
    harness.clock.now += RESERVATION_SECONDS + 1
    outcomes = await asyncio.gather(
        *(process.domain.registration.register(asked(f"u{number}@example.com")) for number in range(10)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Conflict) for each in outcomes) == 9


@pytest.mark.parametrize("slug", sorted(RESERVED_SLUGS))
async def test_reserved_slugs_are_refused_however_they_are_given(harness: Harness, slug: str) -> None:
    process = await harness.start()
    for wanted in (asked(name=slug.upper()), asked(slug=slug)):
        with pytest.raises(InvalidInput):
            await process.domain.registration.register(wanted)


async def test_default_is_a_good_slug(harness: Harness) -> None:
    process = await harness.start()
    assert (await process.domain.registration.register(asked(name="Default"))).tenant.slug == "default"
