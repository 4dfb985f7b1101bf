"""The use cases of a project's providers. Credentials never come out, except for the driver."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from uuid import uuid4

import msgspec
import orjson

from core import fields
from core.audit import changes as audit
from core.errors import Conflict, FailedPrecondition, NotFound
from core.project_changes import ProjectChanges
from core.providers.drivers import CREDENTIALS, SETTINGS, Configuration, Driver, Values
from core.providers.records import ACTIVE, STATUSES, NewProvider, Provider, ProviderChanges
from core.sealing import Sealer
from core.storage.closed_projects import check_project_open
from core.storage.keys import insert_with_key
from core.storage.ports import Collection, DocumentStore
from core.storage.references import delete_unreferenced, referring
from core.storage.table import Table
from core.tenancy import Project

DEFAULT = "default"
"""Key of the provider that every project has without any set-up, where a service has one."""

MAX_PROVIDERS = 1_000
"""Most providers of a project, in one service: some calls read them all."""

_ATTEMPTS = 20

D = TypeVar("D", bound=Driver)
W = TypeVar("W")

CountUsers = Callable[[Project, Provider], Awaitable[int]]
"""Count the records that use a provider."""


class HostGuard(Protocol):
    """The part of core.http.guard.OutboundGuard that is needed here."""

    async def validate_host(self, host: str, port: int, *, field: str) -> None:
        """Check a host. Raises InvalidInput, naming the field, for what Portico must not call."""


class Providers(Generic[D]):
    """Use cases of providers. Each takes the project first; another project's records do not exist for it.

    `guard` is asked about every server that a provider leads to. `users` names what uses a provider, which cannot be
    deleted then. `default` is what the provider `default` is made from, when it is first asked for. `changes` tells of
    every change.
    """

    def __init__(
        self,
        store: DocumentStore,
        collection: Collection,
        sealer: Sealer,
        drivers: Mapping[str, D],
        guard: HostGuard,
        *,
        users: str,
        default: NewProvider | None = None,
    ) -> None:
        self.drivers = drivers
        self._store = store
        self._table = Table(store, collection, Provider)
        self._sealer = sealer
        self._guard = guard
        self.changes = ProjectChanges()
        self._users = users
        self._default = default

    async def create(self, project: Project, new: NewProvider) -> Provider:
        """Create a provider. Raises Conflict (the key), FailedPrecondition (too many), InvalidInput."""
        driver = self.drivers[fields.one_of("driver", new.driver, tuple(self.drivers))]
        label = fields.text("label", new.label, at_least=1, at_most=200)
        credentials = driver.checked(CREDENTIALS, new.credentials)
        settings = driver.checked(SETTINGS, new.settings)
        id, now = _new_id(), time.time()
        key = fields.key("key", new.key) if new.key else ""
        provider = Provider(
            id=id,
            key=key,
            driver=driver.id,
            label=label,
            description=fields.text("description", new.description, at_most=2000),
            status=fields.one_of("status", new.status or ACTIVE, STATUSES),
            settings=settings,
            metadata=fields.small_json("metadata", new.metadata),
            sealed=self._seal(project, id, credentials),
            created_at=now,
            updated_at=now,
        )
        await driver.check(credentials, settings)
        await self._check_hosts(driver, credentials, settings)
        await self._make_default(project)  # so that nobody takes its key
        if await self._table.count(project) >= MAX_PROVIDERS:
            raise FailedPrecondition(
                f"The project has {MAX_PROVIDERS} providers, which is the most there may be. Delete some first.",
                reason="TOO_MANY_PROVIDERS",
            )
        stem = fields.slug(label, "provider")
        made = await self._in_open_project(
            project,
            id,
            lambda: insert_with_key(
                self._table, project, lambda key: msgspec.structs.replace(provider, key=key), key, stem
            ),
        )
        self.changes.publish(project)
        return made

    async def get(self, project: Project, key: str, *, field: str = "providerKey") -> Provider:
        """Return a provider by key or record id. Raises NotFound, which names `field`."""
        provider = await self._table.find_one(project, {"key": key})
        if provider is None and key == DEFAULT and self._default is not None:
            await self._make_default(project)
            return await self.get(project, key)
        provider = provider or await self._table.get(project, key)
        if provider is None:
            raise NotFound("There is no such provider in this project.", reason="PROVIDER_NOT_FOUND", field=field)
        return provider

    async def active(self, project: Project, key: str) -> Provider:
        """The provider, ready for use. Raises as `get`, FailedPrecondition where it is disabled, NotFound where it is
        being deleted."""
        provider = await self.get(project, key)
        provider.check_enabled()
        provider.check_open()
        return provider

    async def list(
        self, project: Project, *, status: str = "", driver: str = "", size: int = 0, token: str = ""
    ) -> tuple[list[Provider], str]:
        """One page, newest first, and the token of the next. Raises InvalidInput."""
        await self._make_default(project)
        if status:
            fields.one_of("status", status, STATUSES)
        where = {name: value for name, value in (("status", status), ("driver", driver)) if value}
        limit = fields.page_size(size, fields.MAX_PAGE)
        return await self._table.page(project, where, page_size=limit, page_token=token)

    async def all(self, project: Project) -> dict[str, Provider]:
        """Every provider of the project, by key."""
        await self._make_default(project)
        return {provider.key: provider async for provider in self._table.scan(project)}

    async def update(
        self, project: Project, key: str, changes: ProviderChanges, *, field: str = "providerKey"
    ) -> Provider:
        """Change a provider. Raises NotFound, InvalidInput, FailedPrecondition (the driver), Conflict."""
        for _ in range(_ATTEMPTS):
            old = await self.get(project, key, field=field)
            fresh = await self._changes_of(project, old, changes)
            unchanged = {"updatedAt": old.updated_at}  # or somebody else's change would be lost
            updated = await self._table.update(project, old.id, where=unchanged, **fresh)
            if updated is not None:
                self.changes.publish(project)
                return updated
        raise Conflict("The provider is being changed by others. Try again.", reason="CHANGED_MEANWHILE")

    async def delete(self, project: Project, key: str, count_users: CountUsers, *, field: str = "providerKey") -> None:
        """Delete a provider. Raises NotFound, FailedPrecondition where it is in use, Conflict."""
        provider = await self.get(project, key, field=field)
        if self._default is not None and provider.key == DEFAULT:
            raise FailedPrecondition("The default provider stays.", reason="PROVIDER_IS_DEFAULT", field=field)
        audit.change().resource_id = provider.key
        counted = partial(count_users, project, provider)
        if used := await delete_unreferenced(self._table, project, provider.id, counted):
            raise FailedPrecondition(
                f"The provider is in use ({self._users}: {used}). Delete them first.",
                reason="PROVIDER_IN_USE",
                field=field,
            )
        self.changes.publish(project)

    async def every(self, project: Project) -> AsyncIterator[Provider]:
        """Iterate the stored providers, without making the default ones, for the removal of a project."""
        async for provider in self._table.scan(project):
            yield provider

    async def delete_all(self, project: Project) -> None:
        """Delete all providers with their sealed credentials, even those in use, for the removal of a project."""
        await self._table.delete_where(project, {})
        self.changes.publish(project)

    def credentials(self, project: Project, provider: Provider) -> dict[str, str]:
        """The credentials in the clear, for the driver alone. Raises SealBroken."""
        if not provider.sealed:
            return {}
        opened: dict[str, str] = orjson.loads(self._sealer.open(project, provider.id, provider.sealed))
        return opened

    def driver_of(self, provider: Provider, *, field: str = "providerKey") -> D:
        """The driver of a provider. Raises FailedPrecondition, which names `field`, where the installation does not
        offer the provider's driver any more."""
        driver = self.drivers.get(provider.driver)
        if driver is None:
            raise FailedPrecondition(
                f"The driver {provider.driver} of the provider {provider.key} is turned off in this installation. "
                "Use a provider of another driver.",
                reason="DRIVER_DISABLED",
                field=field,
            )
        return driver

    async def access(self, project: Project, provider: Provider) -> tuple[D, Values, Values]:
        """The driver, with credentials and settings that have been checked anew: a name that was harmless once may lead
        elsewhere now. Raises InvalidInput, FailedPrecondition (the driver), SealBroken."""
        driver, credentials = self.driver_of(provider), self.credentials(project, provider)
        await self._check_hosts(driver, credentials, provider.settings)
        return driver, credentials, provider.settings

    async def _changes_of(self, project: Project, old: Provider, changes: ProviderChanges) -> dict[str, Any]:
        fresh: dict[str, Any] = {"updated_at": time.time(), "closing": None}
        if changes.label is not None:
            fresh["label"] = fields.text("label", changes.label, at_least=1, at_most=200)
        if changes.description is not None:
            fresh["description"] = fields.text("description", changes.description, at_most=2000)
        if changes.status is not None:
            fresh["status"] = fields.one_of("status", changes.status, STATUSES)
        if changes.metadata is not None:
            fresh["metadata"] = fields.small_json("metadata", changes.metadata)
        if changes.settings is not None or changes.credentials:
            fresh |= await self._changed_values(project, old, changes.credentials, changes.settings)
        return fresh

    async def _changed_values(
        self, project: Project, old: Provider, credentials: Mapping[str, Any], settings: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        driver, known = self.driver_of(old), self.credentials(project, old)
        merged = driver.checked(CREDENTIALS, {**known, **credentials})
        given = driver.checked(SETTINGS, old.settings if settings is None else settings)
        driver.check_destination(Configuration(known, old.settings), Configuration(merged, given), credentials)
        await driver.check(merged, given)
        await self._check_hosts(driver, merged, given)
        sealed = {"sealed": self._seal(project, old.id, merged)} if merged != known else {}
        return {"settings": given, **sealed}

    async def _check_hosts(self, driver: D, credentials: Values, settings: Values) -> None:
        """Check the hosts that a provider calls. Raises InvalidInput, naming the field."""
        for host in driver.hosts(credentials, settings):
            await self._guard.validate_host(host.name, host.port, field=host.field)

    async def _make_default(self, project: Project) -> None:
        """Create the default provider, unless it exists or is not wanted."""
        new = self._default
        if new is None or await self._table.find_one(project, {"key": DEFAULT}) is not None:
            return
        now = time.time()
        made = Provider(_new_id(), DEFAULT, new.driver, new.label, new.description, created_at=now, updated_at=now)
        with suppress(Conflict):  # another call made it at the same moment
            await self._in_open_project(project, made.id, lambda: self._table.insert(project, made))

    async def _in_open_project(self, project: Project, id: str, write: Callable[[], Awaitable[W]]) -> W:
        """Write a new provider. Raises NotFound where its project is deleted meanwhile."""
        return await referring(
            write,
            check=lambda _: check_project_open(self._store, project),
            undo=lambda _: self._table.delete(project, id),
        )

    def _seal(self, project: Project, id: str, credentials: Values) -> str:
        return self._sealer.seal(project, id, orjson.dumps(dict(credentials))) if credentials else ""


def _new_id() -> str:
    return f"prv_{uuid4().hex}"
